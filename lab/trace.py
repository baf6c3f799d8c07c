"""The trace of a training run: what was measured at each step of each run, as a tidy table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.errors import UnknownNameError
from lab.measures.interval import mean_interval, student_quantile
from lab.measures.metrics import METRICS
from lab.methods import Variant

if TYPE_CHECKING:
    import polars as pl

    from simulators.records import Policy

__all__ = ["Trace", "lead", "leads", "mean_interval", "standing", "student_quantile", "summarise"]

_KEYS = ("variant", "seed", "step")


@dataclass(frozen=True)
class Trace:
    """What a training run left behind.

    Attributes:
        variants: The variants, in the order given.
        parts: For each block: its variant's name, seeds [s], steps measured [t] and measurements [t, s] by name.
        finals: For each block: its variant's name and final policy (parameters [s, ...]).
    """

    variants: tuple[Variant, ...]
    parts: tuple[tuple[str, Any, Any, dict[str, Any]], ...]
    finals: tuple[tuple[str, Policy], ...]

    @cached_property
    def frame(self) -> pl.DataFrame:
        """Tidy table: variant, seed, step and one column per measurement, sorted; undefined values are null."""
        import polars as pl

        tables = [_table(*part) for part in self.parts]
        joined = pl.concat(tables, how="diagonal")
        order = {v.name: i for i, v in enumerate(self.variants)}
        keyed = joined.with_columns(_order=pl.col("variant").replace_strict(order, return_dtype=pl.Int64))
        return keyed.sort("_order", "seed", "step").drop("_order")

    def summary(self, metrics: Iterable[str] | None = None) -> pl.DataFrame:
        """Mean over seeds with its 95% interval: variant, step, metric, mean, low, high, runs. See `summarise`."""
        return summarise(self.frame, metrics)

    def parameters(self, name: str | None = None) -> Any:
        """Final parameters of a variant's runs [S, ...], in the order of their seeds."""
        wanted = name or self.variants[0].name
        found = [p.parameters for n, p in self.finals if n == wanted]
        if not found:
            raise UnknownNameError("variant of this trace", wanted, [v.name for v in self.variants])
        return np.concatenate(found)


def _table(name: str, seeds: Any, steps: Any, rows: dict[str, Any]) -> pl.DataFrame:
    import polars as pl

    count = len(steps)
    table = pl.DataFrame(
        {
            "seed": np.repeat(np.asarray(seeds, dtype=np.int64), count),
            "step": np.tile(steps, len(seeds)),
            **{k: np.ascontiguousarray(v.T).reshape(-1) for k, v in rows.items()},
        }
    )
    floats = [c for c, kind in table.schema.items() if kind == pl.Float64]
    return table.select(pl.lit(name).alias("variant"), pl.col("seed", "step"), pl.col(floats).fill_nan(None))


def summarise(frame: pl.DataFrame, metrics: Iterable[str] | None = None) -> pl.DataFrame:
    """Mean over seeds of each measurement at each step, with its 95% interval.

    The interval is Student's t over runs; with one run, or where a measurement is undefined, it is null.

    Args:
        frame: A trace: variant, seed, step and measurements.
        metrics: Measurements to summarise; all by default.

    Returns:
        Table variant, step, metric, mean, low, high, runs, in the order of the frame.
    """
    import polars as pl

    known = [c for c in frame.columns if c not in _KEYS]
    wanted = known if metrics is None else list(metrics)
    for name in wanted:
        if name not in known:
            raise UnknownNameError("metric of this trace", name, known, f"all metrics: {', '.join(METRICS)}")
    long = frame.select(*_KEYS, *wanted).unpivot(index=_KEYS, on=wanted, variable_name="metric", value_name="_x")
    grouped = long.group_by("variant", "step", "metric", maintain_order=True).agg(
        mean=pl.col("_x").mean(), _std=pl.col("_x").std(), runs=pl.col("_x").count()
    )
    half = pl.col("_std") / pl.col("runs").sqrt() * _quantile(grouped["runs"])
    return grouped.with_columns(low=pl.col("mean") - half, high=pl.col("mean") + half).select(
        "variant", "step", "metric", "mean", "low", "high", "runs"
    )


def _quantile(runs: pl.Series) -> pl.Series:
    import polars as pl

    table = {n: student_quantile(n - 1) if n > 1 else None for n in runs.unique().to_list()}
    return pl.Series([table[n] for n in runs.to_list()], dtype=pl.Float64)


def standing(frame: pl.DataFrame, metric: str, *, last: int | None = None) -> pl.DataFrame:
    """Where each variant stands: the mean over a run's last steps, then mean and 95% interval over runs.

    Args:
        frame: A trace: variant, seed, step and measurements.
        metric: The measurement.
        last: How many of the last measured steps count; all of them by default.

    Returns:
        Table variant, mean, low, high, runs, in the order of the frame; low and high are null with one run.
    """
    import polars as pl

    kept = frame.sort("step", maintain_order=True)
    if last is not None:
        kept = kept.group_by("variant", "seed", maintain_order=True).tail(last)
    order = frame["variant"].unique(maintain_order=True).to_list()
    runs = kept.group_by("variant", "seed").agg(pl.col(metric).mean()).with_columns(step=pl.lit(0))
    table = summarise(runs, [metric]).select("variant", "mean", "low", "high", "runs")
    return table.sort(pl.col("variant").replace_strict({name: i for i, name in enumerate(order)}))


def lead(frame: pl.DataFrame, metric: str, first: str, second: str, *, last: int | None = None) -> pl.DataFrame:
    """By how much `first` lies above `second`, seed by seed on the same draws: one row mean, low, high, runs."""
    import polars as pl

    pair = frame.filter(pl.col("variant").is_in([first, second]))
    if last is not None:
        pair = pair.sort("step", maintain_order=True).group_by("variant", "seed", maintain_order=True).tail(last)
    wide = pair.group_by("variant", "seed").agg(pl.col(metric).mean()).pivot("variant", index="seed", values=metric)
    paired = wide.select(variant=pl.lit(first), seed="seed", step=pl.lit(0), gap=pl.col(first) - pl.col(second))
    return summarise(paired, ["gap"]).select("mean", "low", "high", "runs")


def leads(frame: pl.DataFrame, metric: str, base: str) -> pl.DataFrame:
    """By how much each other variant lies above `base` at each step, seed by seed on the same draws.

    Args:
        frame: A trace: variant, seed, step and measurements.
        metric: The measurement.
        base: The variant that the others are compared with.

    Returns:
        As `summarise`: variant, step, metric ("lead"), mean, low, high, runs; `base` itself is left out.

    Raises:
        UnknownNameError: The trace has no such variant or metric.
    """
    import polars as pl

    known = frame["variant"].unique(maintain_order=True).to_list()
    if base not in known:
        raise UnknownNameError("variant of this trace", base, known)
    if metric not in frame.columns:
        raise UnknownNameError("metric of this trace", metric, [c for c in frame.columns if c not in _KEYS])
    own = frame.filter(pl.col("variant") == base).select("seed", "step", _base=metric)
    others = frame.filter(pl.col("variant") != base).join(own, on=["seed", "step"], maintain_order="left")
    return summarise(others.select(*_KEYS, lead=pl.col(metric) - pl.col("_base")), ["lead"])
