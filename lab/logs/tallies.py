"""Groups and steps of a log counted: rewards, why there is nothing to learn, what changes under other rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lab.advantages.statistics import NO_SIGNAL
from lab.logs.columns import by_pieces, column
from lab.logs.texts import place

if TYPE_CHECKING:
    from lab.logs.table import RolloutTable

__all__ = ["BESIDE", "CAUSES", "EQUAL", "LOGGED", "SIGN_ZERO", "changes", "groups", "per_group", "steps"]

#: Name of the trainer's own advantages among the variants.
LOGGED = "logged"

#: An advantage smaller than this has no sign when it is compared with the log: trainers compute in float32.
SIGN_ZERO = 1e-6

#: Rewards of a group that differ by less than this, relative to the largest, are equal in float32.
EQUAL = 4 * float(np.finfo(np.float32).eps)

#: Metrics of the trainer (`lab.logs.SCALARS`) that are set beside the measurements of each step, where it logged them.
BESIDE = ("grad_norm", "entropy", "kl", "loss", "learning_rate", "zero_std", "clip_share", "length")

#: Why the total rewards of a group are equal; of several reasons the first.
CAUSES: Mapping[str, str] = {
    "single": "the group has one rollout",
    "rounding": "the rewards differ by rounding alone",
    "cancelling": "the parts of the reward differ and cancel",
    "constant": "the reward is the same in every rollout of the log",
    "truncated": "every rollout was cut off",
    "solved": "every rollout has the highest reward of the log",
    "hopeless": "every rollout has the lowest reward of the log",
    "alike": "every rollout has the same reward",
}


def groups(table: RolloutTable) -> pl.DataFrame:
    """One row per group, as `Facts.groups` says; equal parts are judged exactly, equal totals in float32."""
    total, advantage = _total(table), pl.col("advantage")
    low, high = total.min(), total.max()
    parts = [column(c) for c in table.reward_columns]
    alike = pl.all_horizontal(pl.lit(True), *(part.drop_nulls().n_unique() <= 1 for part in parts))
    differ = pl.any_horizontal(pl.lit(False), *(_apart(part) for part in parts))
    equal = (high - low <= EQUAL * total.abs().max()).fill_null(True)
    loud = (advantage.abs() > NO_SIGNAL).any()
    cut = table.logged("truncated")
    all_cut = pl.lit(False) if cut is None else column("truncated").cast(pl.Boolean).fill_null(False).all()
    facts = [
        pl.col("prompt", *place(table.frame)).first(),
        pl.col("reward").mean(),
        pl.col("reward").min().alias("reward_low"),
        pl.col("reward").max().alias("reward_high"),
        equal.alias("no_signal"),
        alike.alias("equal_parts"),
        (alike & equal & loud).fill_null(False).alias("phantom"),
        advantage.min().alias("advantage_low"),
        advantage.max().alias("advantage_high"),
        pl.len().cast(pl.Int64).alias("rollouts"),
        pl.col("reward").std(ddof=0).alias("reward_std"),
        differ.alias("parts_differ"),
        all_cut.alias("all_truncated"),
    ]
    counted = per_group(table.frame, facts)
    return counted.with_columns(_cause().alias("cause")).drop("parts_differ", "all_truncated")


def per_group(frame: pl.DataFrame, facts: Iterable[pl.Expr]) -> pl.DataFrame:
    """One row per group of a table's frame: step, group, facts."""
    facts = list(facts)
    return by_pieces(frame, lambda rows: rows.group_by("step", "group", maintain_order=True).agg(facts))


def _apart(part: pl.Expr) -> pl.Expr:
    """Whether a part of the reward differs within the group by more than rounding."""
    return (part.max() - part.min() > EQUAL * part.abs().max()).fill_null(False)


def _cause() -> pl.Expr:
    """One of `CAUSES` for a group without signal, null for the others; from the columns of the groups."""
    low, high = pl.col("reward_low").min(), pl.col("reward_high").max()
    near = EQUAL * pl.max_horizontal(low.abs(), high.abs())
    holds = {
        "single": pl.col("rollouts") == 1,
        "rounding": ~pl.col("equal_parts") & ~pl.col("parts_differ"),
        "cancelling": pl.col("parts_differ"),
        "constant": high - low <= near,
        "truncated": pl.col("all_truncated"),
        "solved": pl.col("reward_low") >= high - near,
        "hopeless": pl.col("reward_high") <= low + near,
    }
    reason = pl.coalesce(pl.when(condition.fill_null(False)).then(pl.lit(name)) for name, condition in holds.items())
    return pl.when("no_signal").then(reason.fill_null("alike"))


def _total(table: RolloutTable) -> pl.Expr:
    """The total reward, scaled where the sum of finite parts would not be finite."""
    if not table.frame["reward"].is_infinite().any():
        return pl.col("reward")
    largest = max(abs(w) for w in table.reward_weights)
    parts = [column(c) * (w / largest) for c, w in zip(table.reward_columns, table.reward_weights, strict=True)]
    return pl.sum_horizontal(part / len(parts) for part in parts)


def steps(table: RolloutTable, groups: pl.DataFrame) -> pl.DataFrame:
    """One row per step that has rollouts, as `Facts.steps` says."""
    total, advantage = pl.col("reward"), pl.col("advantage")
    facts = [
        total.mean(),
        total.std().alias("reward_std"),
        total.is_null().sum().alias("missing"),
        advantage.std().alias("advantage_std"),
        advantage.abs().max().alias("advantage_max"),
    ]
    rollouts = by_pieces(table.frame, lambda rows: rows.group_by("step", maintain_order=True).agg(facts))
    shares = groups.group_by("step", maintain_order=True).agg(
        pl.len().alias("prompts"), pl.col("no_signal", "phantom").mean()
    )
    own = (
        "step",
        "prompts",
        "reward",
        "reward_std",
        "missing",
        "no_signal",
        "phantom",
        "advantage_std",
        "advantage_max",
    )
    trainer = table.metrics.select("step", *(c for c in BESIDE if c in table.metrics.columns))
    return rollouts.join(shares, on="step").select(own).join(trainer, on="step", how="left", maintain_order="left")


def changes(found: Mapping[str, NDArray[Any]], logged: NDArray[Any]) -> pl.DataFrame:
    """How many rollouts have another sign than in the log, the most changed variant first."""
    known = np.isfinite(logged)
    before = _sign(logged[known])
    rows = []
    for name, values in found.items() if known.any() else ():
        after = _sign(values[known])
        changed = after != before
        kinds = (before * after < 0, (before != 0) & (after == 0), (before == 0) & (after != 0))
        rows.append((name, len(before), int(changed.sum()), *(int(k.sum()) for k in kinds), float(changed.mean())))
    schema = {"variant": pl.String, "compared": pl.Int64, "changed": pl.Int64, "flipped": pl.Int64,
              "silenced": pl.Int64, "woken": pl.Int64, "share": pl.Float64}  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row").sort("changed", descending=True, maintain_order=True)


def _sign(values: NDArray[Any]) -> NDArray[Any]:
    return np.where(np.abs(np.nan_to_num(values)) <= SIGN_ZERO, 0, np.sign(np.nan_to_num(values)))
