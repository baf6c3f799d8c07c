"""How a trainer's metrics move: one of them by step, and its first third against its last."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from lab.logs.columns import by_pieces, column
from lab.logs.facts import Facts
from lab.logs.findings.contract import Evidence
from lab.logs.tallies import LOGGED, per_group

__all__ = ["Change", "change", "curve", "progress", "series", "thirds"]


@dataclass(frozen=True)
class Change:
    """How far a metric has come.

    Attributes:
        first: Mean over the first third of the steps.
        last: Mean over the last third.
        error: Standard error of their difference, the values of a third taken as independent.
    """

    first: float
    last: float
    error: float

    def rises(self, errors: float = 4.0) -> bool:
        """Whether the last third lies above the first by so many standard errors."""
        return self.last - self.first > errors * self.error + self._rounding

    def falls(self, errors: float = 4.0) -> bool:
        """Whether it lies below by so many."""
        return self.first - self.last > errors * self.error + self._rounding

    @property
    def _rounding(self) -> float:
        return 1e-9 * max(abs(self.first), abs(self.last))


def series(run: Facts, name: str) -> pl.DataFrame:
    """A metric by step (step, value): the trainer's own, else the mean over the rollouts of the step.

    Without rows where the log has neither; NaN and infinite values are left out.
    """
    metrics, rows = run.table.metrics, run.table.frame
    if name in metrics.columns and metrics[name].is_finite().any():
        found = metrics.select("step", column(name).alias("value"))
    elif _has(run, name):
        mean = column(name).cast(pl.Float64).mean().alias("value")
        found = by_pieces(rows, lambda some: some.group_by("step", maintain_order=True).agg(mean))
    else:
        return pl.DataFrame(schema={"step": pl.Int64, "value": pl.Float64})
    return found.filter(pl.col("value").is_finite())


def change(values: pl.Series, *, least: int = 6) -> Change | None:
    """The first third of the values against the last; None where there are fewer than `least`."""
    size = len(values) // 3
    if len(values) < max(least, 6):
        return None
    first, last = values.head(size), values.tail(size)
    spread = math.hypot(*(float(part.std() or 0.0) for part in (first, last)))  # type: ignore[arg-type]
    return Change(float(first.mean()), float(last.mean()), spread / math.sqrt(size))  # type: ignore[arg-type]


def progress(run: Facts, name: str, rows: pl.DataFrame | None = None, *, least: int = 6) -> Change | None:
    """How far a metric has come over the steps; where too few of them have it, over the groups of the rollouts.

    Args:
        run: The log.
        name: The metric.
        rows: step, group and value of its rollouts; None: the column of that name, if there is one.
        least: Fewest steps.

    Returns:
        None where the rollouts, too, are of one step, or there are too few groups in a third.
    """
    way = change(series(run, name)["value"], least=least)
    if way is None and rows is None and _has(run, name):
        rows = run.table.frame.select("step", "group", column(name).cast(pl.Float64).alias("value"))
    return _over_groups(rows) if way is None and rows is not None else way


def _has(run: Facts, name: str) -> bool:
    """Whether the rollouts have numbers of that name."""
    return name in (*run.table.reward_columns, "reward") or run.table.logged(name) is not None


def _over_groups(rows: pl.DataFrame) -> Change | None:
    """The groups of the first third of the steps against those of the last."""
    groups = per_group(rows, [pl.col("value").mean()])
    first, last = (part["value"].drop_nulls() for part in thirds(groups))
    if min(len(first), len(last)) < _GROUPS:
        return None
    error = math.hypot(*(float(part.std()) / math.sqrt(len(part)) for part in (first, last)))  # type: ignore[arg-type]
    return Change(float(first.mean()), float(last.mean()), error)  # type: ignore[arg-type]


_GROUPS = 4  # fewest means that a deviation is taken of


def thirds(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rollouts of the first third of the steps (none of a single step) and of the last; rows in order of steps."""
    number = rows["step"].rle_id()
    steps = int(number.max()) + 1 if rows.height else 0  # type: ignore[arg-type]
    size = max(steps // 3, 1)
    end, start = (int((number < bound).sum()) for bound in (size * (steps > 1), max(steps - size, 0)))
    return rows.head(end), rows.slice(start)


def curve(lines: pl.DataFrame | Mapping[str, pl.DataFrame], label: str, *, log: bool = False) -> Evidence:
    """What draws one metric, or several, over the steps.

    Args:
        lines: step and value, with low and high where there is a band; or such frames by the name of the line.
        label: Name and unit, for the axis.
        log: Whether the axis is logarithmic.
    """
    named = {LOGGED: lines} if isinstance(lines, pl.DataFrame) else lines
    frame = pl.concat(_line(name, part) for name, part in named.items())
    return Evidence("log_lines", frame, {"label": label, "log": log})


def _line(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    band = (column(c) if c in frame.columns else pl.lit(None).alias(c) for c in ("low", "high"))
    return frame.select(pl.lit(name).alias("line"), "step", "value", *(each.cast(pl.Float64) for each in band))
