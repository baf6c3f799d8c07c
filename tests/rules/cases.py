"""Rewards and fields on which every advantage rule is tried."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab import advantages

Array = NDArray[Any]
NAMES = advantages.names()
TOKENS = 4


def rewards(*shape: int, seed: int = 0) -> Array:
    """Rewards within [0, 1], as every rule takes them, with ties."""
    return np.random.default_rng(seed).integers(0, 5, shape) / 4


def fields(name: str, groups: tuple[int, ...], seed: int = 0) -> dict[str, Array]:
    """The fields that a rule reads, for rewards [..., P, G, K] with `groups` = [..., P, G]."""
    read, rng = advantages.rule(name).fields, np.random.default_rng(seed)
    lengths = rng.integers(1, TOKENS + 1, groups)
    given = {
        "mask": np.arange(TOKENS) < lengths[..., None],
        "greedy_rewards": rng.integers(0, 5, groups[:-1]) / 4,
        "task": rng.integers(0, 2, groups[:-1]),
    }
    further = _further(groups, rng)
    required = {field: further[field] for field in advantages.rule(name).required if field in further}
    return {field: value for field, value in given.items() if field in read} | required


def _further(groups: tuple[int, ...], rng: np.random.Generator) -> dict[str, Array]:
    """Fields that a rule gets only where it cannot do without."""
    tokens = (*groups, TOKENS)
    turn = np.broadcast_to(np.arange(TOKENS) // 2, tokens).copy()
    return {
        "agent": rng.integers(0, 2, tokens), "actions": rng.integers(0, 2, tokens), "turn": turn,
        "turn_rewards": np.take_along_axis(rng.integers(0, 5, tokens) / 4, turn, axis=-1),
        "token_rewards": rng.normal(size=tokens), "hidden": rng.normal(size=(*tokens, 3)),
        "prediction_error": rng.normal(size=(*tokens, 3)), "pair_scores": rng.normal(size=(*groups, groups[-1])),
        "instant_rewards": rng.random(tokens),
    }  # fmt: skip


def only(given: dict[str, Array], kept: Array) -> dict[str, Array]:
    """Fields of one batch [P, ...] with some of the rollouts of each group, in any order: indices [P, G']."""
    prompts = np.arange(len(kept))[:, None]
    fewer = {k: v[prompts, kept] if k not in ("greedy_rewards", "task") else v for k, v in given.items()}
    if "pair_scores" in fewer:
        fewer["pair_scores"] = np.take_along_axis(fewer["pair_scores"], kept[:, None, :], axis=-1)
    return fewer


def run(name: str, values: Array, **given: Any) -> Array:
    """Advantages of `values` [..., P, G, K] with the fields of `fields`, unless they are given."""
    return advantages.compute(name, values, **{**fields(name, values.shape[:-1]), **given})
