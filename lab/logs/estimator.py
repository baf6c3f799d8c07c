"""Which estimator wrote a log: the rule, its precision, the rows it was normalised over, and its sign."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lab.advantages import names
from lab.errors import InputError
from lab.logs.rules import computed, precisions, reproduction, tolerance
from lab.logs.table import RolloutTable
from lab.logs.texts import key

__all__ = ["OVER", "Estimator", "estimate", "estimated", "sample"]

Array = NDArray[Any]

#: What advantages may be relative to.
OVER = {
    "group": "the rollouts of a group",
    "prompt": "all rollouts of a prompt in a step",
    "block": "so many consecutive rows of a prompt, fewer than the log has",
    "consecutive": "so many consecutive rows, of different prompts",
    "batch": "all rollouts of a step",
}

_ENOUGH = 256  # groups that tell the rule
_LARGEST = 64  # number of consecutive rows that is tried
_BASIC = ("grpo", "dr_grpo", "rloo", "grpo_leave_one_out")  # tried over other rows than those of a group


@dataclass(frozen=True)
class Estimator:
    """What wrote the logged advantages.

    Attributes:
        rule: Rule or preset of the lab, "reward" where the advantages are the rewards themselves, "" for none.
        precision: float64, float32, bfloat16, or what was written down: "2 decimals" to "4 decimals".
        over: One of `OVER`.
        sign: 1, or -1 where the log has the opposite sign.
        error: Largest difference, among the groups that were tried.
        exact: Whether it reproduces all of these; otherwise it is the nearest, or there are exceptions.
        share: Share of the logged rollouts that it reproduces.
        others: Other rules that would have given the same, whose names are not presets of this one.
        size: How many consecutive rows belong together; None for whatever else they are relative to.
    """

    rule: str
    precision: str = "float64"
    over: str = "group"
    sign: int = 1
    error: float = 0.0
    exact: bool = True
    share: float = 1.0
    others: tuple[str, ...] = ()
    size: int | None = None


def sample(table: RolloutTable, groups: int = _ENOUGH) -> tuple[RolloutTable, Array]:
    """Whole steps with so many groups, spread over the log, of those that have an advantage other than zero.

    Returns:
        Their rollouts, and which rows of the table they are [rows].
    """
    loud = pl.col("advantage").is_not_null() & (pl.col("advantage") != 0)
    steps = table.frame.group_by("step", maintain_order=True).agg(pl.col("group").max() + 1, loud.any().alias("loud"))
    steps = steps.filter("loud") if steps["loud"].any() else steps
    if steps.is_empty():
        return table, np.ones(0, dtype=bool)
    most = max(1, int(groups // max(float(steps["group"].median() or 1), 1.0)))  # type: ignore[arg-type]
    chosen = steps["step"].gather(np.unique(np.linspace(0, steps.height - 1, most).astype(int)))
    rows = table.frame["step"].is_in(chosen.implode())
    order = None if table.order is None else table.order.filter(rows)
    return replace(table, frame=table.frame.filter(rows), order=order), rows.to_numpy()


def regrouped(table: RolloutTable, over: str, size: int | None = None) -> tuple[RolloutTable, Array]:
    """The same rollouts in other groups (of `size` consecutive rows), and which rows of the table they are [rows]."""
    steps = table.frame["step"].to_numpy()
    order = np.arange(len(steps)) if table.order is None else table.order.to_numpy()
    rows = np.lexsort((order, steps))
    frame = table.frame[rows]
    place = pl.int_range(pl.len()).over("step")
    if over == "prompt":
        group = (key(table.frame, "prompt").rank("dense").over("step").cast(pl.Int64) - 1).alias("group")
        rows = rows[frame.select(pl.arg_sort_by("step", group, maintain_order=True)).to_series().to_numpy()]
        frame = table.frame[rows].with_columns(group)
    else:
        frame = frame.with_columns((place // (size or pl.len())).cast(pl.Int64).alias("group"))
    frame = frame.with_columns(pl.int_range(pl.len()).over("step", "group").alias("rollout"))
    return replace(table, frame=frame, group_size=None, order=None), rows


def _sizes(table: RolloutTable) -> list[int]:
    """How many consecutive rows may belong together: as many as most groups have, then what divides every step."""
    steps = table.frame.group_by("step").len()["len"].to_numpy()
    usual = int(table.frame.group_by("step", "group").len()["len"].mode().max())  # type: ignore[arg-type]
    sizes = [usual, *(n for n in range(2, _LARGEST + 1) if n < steps.min() and not (steps % n).any() and n != usual)]
    return [n for n in sizes if table.order is not None or n != table.group_size]


def estimate(table: RolloutTable, rules: pl.DataFrame, counts: Array | None) -> Estimator | None:
    """The estimator of a log; None without logged advantages.

    The rewards themselves come first, then the rules of a group, the basic ones over other rows, and last the same with
    the opposite sign.

    Args:
        table: Rollouts of a log.
        rules: `reproduction` of its sample.
        counts: Response lengths [rows].
    """
    if not table.has_advantages:
        return None
    if table.frame["advantage"].abs().max() == 0:
        return Estimator("")
    tried, rows = sample(table)
    lengths = None if counts is None else counts[rows]
    found = _raw(tried) or _first(rules, "group") or _elsewhere(tried)
    if found is None:
        turned = replace(tried, frame=tried.frame.with_columns(-pl.col("advantage")))
        found = _raw(turned) or _first(reproduction(turned, lengths), "group") or _elsewhere(turned)
        found = replace(found, sign=-1) if found else _nearest(rules)
    return replace(found, share=_share(table, found, counts)) if found.rule and found.exact else found


def _first(rules: pl.DataFrame, over: str) -> Estimator | None:
    """The first rule that reproduces everything."""
    good = rules.filter("reproduces")
    if good.is_empty():
        return None
    best = good.row(0, named=True)
    families = good["rule"].unique(maintain_order=True).to_list()
    others = tuple(name for name in families if name.partition("@")[0] != best["rule"].partition("@")[0])
    return Estimator(best["rule"], best["precision"], over, error=best["max_error"], others=others)


def _nearest(rules: pl.DataFrame) -> Estimator:
    """The rule that reproduces most of the rollouts, or is the nearest."""
    if rules.is_empty():
        return Estimator("", exact=False)
    best = rules.row(0, named=True)
    return Estimator(best["rule"], best["precision"], error=best["max_error"], exact=False, share=best["share"])


def _raw(table: RolloutTable) -> Estimator | None:
    """The rewards themselves; where their mean is 0 in every group, a baseline would have changed nothing."""
    means = table.frame.group_by("step", "group").agg(pl.col("reward").mean())["reward"]
    if means.abs().max() == 0:
        return None
    logged, reward = (table.frame[c].to_numpy() for c in ("advantage", "reward"))
    known = np.isfinite(logged) & np.isfinite(reward)
    error = float(np.abs(logged - reward)[known].max()) if known.any() else np.inf
    largest = float(np.abs(logged[known]).max()) if known.any() else 0.0
    precision = next((p for p in precisions(logged) if error <= tolerance(p, largest)), None)
    return Estimator("reward", precision, error=error) if precision else None


def _elsewhere(table: RolloutTable) -> Estimator | None:
    """The basic rules over other rows than those of a group."""
    prompts = table.frame.group_by("step", "prompt").agg(pl.col("group").n_unique())["group"]
    ways: list[tuple[str, int | None]] = [("prompt", None)] if (prompts > 1).any() else []
    basic = [name for name in names() if name.partition("@")[0] in _BASIC]
    for over, size in [*ways, *(("consecutive", size) for size in _sizes(table)), ("batch", None)]:
        other, _ = regrouped(table, over, size)
        found = _first(reproduction(other, variants=basic), over)
        if found:
            mixed = other.frame.group_by("step", "group").agg(pl.col("prompt").n_unique())["prompt"].max() != 1
            return replace(found, size=size, over=over if mixed or size is None else "block")
    return None


def estimated(table: RolloutTable, by: Estimator, counts: Array | None = None) -> Array:
    """Advantages [rows] that an estimator gives to the rollouts of a log; NaN where it cannot be computed for all."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            return _estimated(table, by, counts)
    except InputError:
        return np.full(table.frame.height, np.nan)


def _estimated(table: RolloutTable, by: Estimator, counts: Array | None) -> Array:
    if by.rule == "reward":
        return by.sign * table.frame["reward"].to_numpy()
    if by.over == "group":
        return by.sign * computed(table, by.rule, by.precision, counts)
    other, rows = regrouped(table, by.over, by.size)
    out = np.empty(len(rows))
    out[rows] = by.sign * computed(other, by.rule, by.precision, None)
    return out


def _share(table: RolloutTable, by: Estimator, counts: Array | None) -> float:
    """Share of the logged rollouts of the whole log that it reproduces."""
    logged = table.frame["advantage"].to_numpy()
    known = np.isfinite(logged)
    values = estimated(table, by, counts)
    error = np.abs(np.where(np.isnan(values) & (logged == 0), 0.0, values) - logged)[known]
    return float((error <= tolerance(by.precision, np.abs(logged[known]).max())).mean())
