"""What a few rules make of the same rewards, and what they would make of them if one reward were another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from lab.advantages import credit
from lab.advantages.statistics import NO_SIGNAL
from lab.errors import InputError
from lab.measures.advantage import NO_TRUTH, per_rollout
from lab.registry import find
from lab.rewards import apply as transformed

__all__ = [
    "FLIPPED", "REFUSED", "UNUSED", "WhatIf", "advantage_summary", "advantage_table", "after", "grid", "read_by",
    "rule_and_transform", "what_if",
]  # fmt: skip

Array = NDArray[Any]

#: Marks of a rollout: its advantage has the other sign than the truth; it takes no part in the update; the rule
#: refuses such rewards (its advantage is NaN).
FLIPPED, UNUSED, REFUSED = 1, 2, 3


@dataclass(frozen=True)
class WhatIf:
    """Advantages for the rewards as they are (scenario 0) and with each one moved (scenario 1 + handle·N + n).

    Attributes:
        advantage: [V, S, P, G] for V rules and S = 1 + P·G·K·N scenarios; a handle counts prompts, then rollouts,
            then components.
        mark: [V, S, P, G], 0, `FLIPPED`, `UNUSED` or `REFUSED`.
        total: Rewards with their components weighted and added [S, P, G].
        mean: Mean total of each group [S, P].
    """

    advantage: Array
    mark: Array
    total: Array
    mean: Array


_AFTER = " after "


def after(rule: str, transform: str) -> str:
    """Name, among advantage rules, of one to which a reward rule hands its rewards."""
    return f"{rule}{_AFTER}{transform}"


def rule_and_transform(name: str) -> tuple[str, str]:
    """The advantage rule of such a name and its reward rule, which is "" where there is none."""
    rule, _, transform = name.partition(_AFTER)
    return rule, transform


def grid(low: float, high: float, rewards: ArrayLike) -> Array:
    """Values that a reward can be dragged to: 41 from `low` to `high`, 21 where more than 16 rewards can be dragged."""
    return np.linspace(low, high, 41 if np.size(rewards) <= 16 else 21).round(10)


def what_if(
    rules: Sequence[str],
    rewards: ArrayLike,
    values: ArrayLike,
    *,
    true_mean: float,
    precision: str = "float64",
    weights: ArrayLike | None = None,
    fields: Mapping[str, Array] | None = None,
) -> WhatIf:
    """Every rule's advantages with each single reward set to each value, the others left as they are.

    Args:
        rules: Names of advantage rules, or of `after`.
        rewards: [P, G, K].
        values: Values that one reward takes [N].
        true_mean: Expected total reward of the policy; what is above it deserves a positive advantage.
        precision: As in `lab.advantages.compute`.
        weights: Weight of each component [K]; ones by default.
        fields: What rules read beside the rewards, the same whatever these are: [P, G, ...], or [P].

    Raises:
        InputError: Rewards are not [P, G, K]. MissingFieldError: a rule reads a field that is not given.
    """
    scenarios = _scenarios(np.asarray(rewards, dtype=float), np.asarray(values, dtype=float))
    total = scenarios.sum(-1) if weights is None else scenarios @ np.asarray(weights, dtype=float)
    options = {"precision": precision, "weights": weights}
    seen = [_seen(rule, scenarios, total - true_mean, read_by(rule, fields or {}), **options) for rule in rules]
    advantage, mark = (np.stack(part) for part in zip(*seen, strict=True))
    return WhatIf(advantage, mark, total, total.mean(-1))


def read_by(rule: str, fields: Mapping[str, Array]) -> dict[str, Array]:
    """Those of the fields that a rule reads beside rewards set by hand.

    Rewards of turns are left to the rules that cannot do without: the others would let them stand in for the rewards.
    """
    record = find("advantage", rule_and_transform(rule)[0])
    wanted = {f for f in record.fields if f != "turn_rewards" or f in record.required}
    return {f: array for f, array in fields.items() if f in wanted}


def _scenarios(rewards: Array, values: Array) -> Array:
    """Rewards [S, P, G, K] with one entry changed in each scenario but the first."""
    if rewards.ndim != 3:
        raise InputError(f"rewards have shape {rewards.shape}; they must be [P, G, K]")
    handles = rewards.size
    moved = np.broadcast_to(rewards.ravel(), (handles, values.size, handles)).copy()
    moved[np.arange(handles), :, np.arange(handles)] = values
    return np.concatenate([rewards[None], moved.reshape(-1, *rewards.shape)])


def _seen(rule: str, rewards: Array, truth: Array, fields: Mapping[str, Array], **options: Any) -> tuple[Array, Array]:
    """Advantage and mark [S, P, G] of one rule, scenario by scenario where it refuses one of them."""
    given: dict[str, Any] = {
        f: x if f == "task" else np.broadcast_to(x, (len(rewards), *x.shape)) for f, x in fields.items()
    }
    name, through = rule_and_transform(rule)
    try:
        paid = transformed(through, rewards) if through else rewards
        own = options if paid.shape[-1] == rewards.shape[-1] else {**options, "weights": None}
        made = credit(name, paid, **given, **own)
    except InputError:
        if len(rewards) == 1:
            return np.full(truth.shape, np.nan), np.full(truth.shape, REFUSED)
        parts = [_seen(rule, rewards[s : s + 1], truth[s : s + 1], fields, **options) for s in range(len(rewards))]
        return np.concatenate([a for a, _ in parts]), np.concatenate([m for _, m in parts])
    advantage = per_rollout(made.advantage, given.get("mask"))
    opposite = (advantage > 0) != (truth > 0)
    mark = np.where(opposite & (np.abs(advantage) > NO_SIGNAL) & (np.abs(truth) > NO_TRUTH), FLIPPED, 0)
    return advantage, mark if made.keep is None else np.where(made.keep, mark, UNUSED)


def advantage_table(
    rules: Sequence[str],
    rewards: ArrayLike,
    *,
    true_mean: float,
    precision: str = "float64",
    weights: ArrayLike | None = None,
    fields: Mapping[str, Array] | None = None,
) -> pl.DataFrame:
    """What each rule makes of the rewards of a few groups, tidy.

    Args:
        rules: Names of advantage rules, or of `after`.
        rewards: [G], [P, G] or [P, G, K].
        true_mean: Expected total reward of the policy.
        precision: As in `lab.advantages.compute`.
        weights: Weight of each component [K]; ones by default.
        fields: As in `what_if`; a rule's advantages per token are averaged over the valid ones.

    Returns:
        Columns variant, prompt, rollout (counted from 1), reward (components weighted and added), true_advantage,
        advantage (null where the rule refuses such rewards), flipped (sign against the truth), used (takes part in the
        update).
    """
    given = np.asarray(rewards, dtype=float)
    cube = given.reshape(1, -1, 1) if given.ndim == 1 else given[..., None] if given.ndim == 2 else given
    seen = what_if(rules, cube, [], true_mean=true_mean, precision=precision, weights=weights, fields=fields)
    shape = seen.advantage[:, 0].shape
    prompt, rollout = np.indices(shape)[1:] + 1
    total = np.broadcast_to(seen.total[0], shape)
    columns = {
        "variant": np.repeat(np.asarray(rules), shape[1] * shape[2]), "prompt": prompt, "rollout": rollout,
        "reward": total, "true_advantage": total - true_mean, "advantage": seen.advantage[:, 0],
        "flipped": seen.mark[:, 0] == FLIPPED, "used": (seen.mark[:, 0] != UNUSED) & (seen.mark[:, 0] != REFUSED),
    }  # fmt: skip
    table = pl.DataFrame({name: np.ravel(column) for name, column in columns.items()})
    return table.with_columns(pl.col("advantage").fill_nan(None))


def advantage_summary(table: pl.DataFrame) -> pl.DataFrame:
    """One row per variant of an `advantage_table`, in its order.

    Returns:
        Columns variant, rollouts, flipped (how many), refused (the rule refuses such rewards), silent (no used rollout
        has an advantage), largest (magnitude), levels (distinct advantages, to 1e-6), phantom (a group of equal rewards
        gets an advantage).
    """
    group = ["variant", "prompt"]
    refused = pl.col("advantage").is_null()
    loud = (pl.col("advantage").abs() > NO_SIGNAL).fill_null(False) & pl.col("used")
    equal = (pl.col("reward").max() - pl.col("reward").min()).over(group) <= NO_TRUTH
    return table.group_by("variant", maintain_order=True).agg(
        pl.len().alias("rollouts"),
        pl.col("flipped").sum(),
        refused.any().alias("refused"),
        (~loud & ~refused).all().alias("silent"),
        pl.col("advantage").abs().max().alias("largest"),
        pl.col("advantage").round(6).n_unique().alias("levels"),
        (loud & equal).any().alias("phantom"),
    )
