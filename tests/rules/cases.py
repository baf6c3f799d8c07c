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
    return {field: value for field, value in given.items() if field in read}


def run(name: str, values: Array, **given: Any) -> Array:
    """Advantages of `values` [..., P, G, K] with the fields of `fields`, unless they are given."""
    return advantages.compute(name, values, **{**fields(name, values.shape[:-1]), **given})
