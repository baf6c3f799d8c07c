"""The trace of a training run: what was measured at each step of each run, as a tidy table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.errors import InputError, UnknownNameError
from lab.measures.interval import mean_interval, student_quantile
from lab.measures.metrics import HELD_OUT, known, metric
from lab.methods import Variant

if TYPE_CHECKING:
    import polars as pl

    from simulators.records import Policy

__all__ = [
    "OUTCOME", "Trace", "card", "card_html", "lead", "leads", "mean_interval", "outcome", "outcome_table", "per_run",
    "standing", "student_quantile", "summarise",
]  # fmt: skip

_KEYS = ("variant", "seed", "step")

#: Measurements in the table that a run ends with, where they were taken.
OUTCOME = (
    "value", "reward", "greedy", "pass_at_1", "pass_at_8", "sign_flip", "no_signal", "grad_norm", "cosine_reference",
)  # fmt: skip


@dataclass(frozen=True, repr=False)
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

    def beside(self, other: Trace) -> Trace:
        """Both as one: of the same world and draws, where variants need settings of their own (learning rates, say).

        Raises:
            InputError: A variant is in both.
        """
        twice = {v.name for v in self.variants} & {v.name for v in other.variants}
        if twice:
            raise InputError(f"{sorted(twice)[0]!r} is in both traces; give one a label=")
        return Trace(self.variants + other.variants, self.parts + other.parts, self.finals + other.finals)

    @cached_property
    def frame(self) -> pl.DataFrame:
        """Tidy table: variant, seed, step and one column per measurement, sorted; undefined values are null."""
        import polars as pl

        tables = [_table(*part) for part in self.parts]
        joined = pl.concat(tables, how="diagonal")
        order = {v.name: i for i, v in enumerate(self.variants)}
        keyed = joined.with_columns(_order=pl.col("variant").replace_strict(order, return_dtype=pl.Int64))
        return keyed.sort("_order", "seed", "step").drop("_order")

    def summary(self, metrics: str | Iterable[str] | None = None) -> pl.DataFrame:
        """Mean over seeds with its 95% interval: variant, step, metric, mean, low, high, runs. See `summarise`."""
        return summarise(self.frame, metrics)

    def table(self) -> pl.DataFrame:
        """Each variant in a row, as `advlab run` ends: see `outcome_table`."""
        return outcome_table(outcome(self.frame))

    def __repr__(self) -> str:
        return card("Trace", self.frame, [v.name for v in self.variants])

    def _repr_html_(self) -> str:
        return card_html("Trace", self.frame, [v.name for v in self.variants])

    def parameters(self, name: str | None = None, block: str = "policy") -> Any:
        """Final parameters of a variant's runs [S, ...], by seed: the policy's, or those of another block."""
        wanted = name or self.variants[0].name
        blocks = [p.blocks for n, p in self.finals if n == wanted]
        if not blocks:
            raise UnknownNameError("variant of this trace", wanted, [v.name for v in self.variants])
        if block not in blocks[0]:
            raise UnknownNameError("block of parameters", block, blocks[0])
        return np.concatenate([each[block] for each in blocks])


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


def summarise(frame: pl.DataFrame, metrics: str | Iterable[str] | None = None) -> pl.DataFrame:
    """Mean over seeds of each measurement at each step, with its 95% interval.

    The interval is Student's t over runs; with one run, or where a measurement is undefined, it is null.

    Args:
        frame: A trace: variant, seed, step and measurements.
        metrics: Measurements to summarise, a name or several; all by default.

    Returns:
        Table variant, step, metric, mean, low, high, runs, in the order of the frame. What cannot be negative, or above
        1, has an interval that ends there.

    Raises:
        UnknownNameError: There is no such measurement.
        InputError: It was not measured in this trace.
    """
    import polars as pl

    known = [c for c in frame.columns if c not in _KEYS]
    wanted = known if metrics is None else list(dict.fromkeys([metrics] if isinstance(metrics, str) else metrics))
    for name in wanted:
        _check_measured(name, known)
    long = frame.select(*_KEYS, *wanted).unpivot(index=_KEYS, on=wanted, variable_name="metric", value_name="_x")
    grouped = long.group_by("variant", "step", "metric", maintain_order=True).agg(
        mean=pl.col("_x").mean(), _std=pl.col("_x").std(), runs=pl.col("_x").count()
    )
    half = pl.col("_std") / pl.col("runs").sqrt() * _quantile(grouped["runs"])
    low, high = pl.col("mean") - half, pl.col("mean") + half
    is_rate, is_size = (pl.col("metric").is_in([n for n in wanted if _bounded(n, most)]) for most in (True, False))
    low = pl.when(is_rate | is_size).then(low.clip(lower_bound=0.0)).otherwise(low)
    high = pl.when(is_rate).then(high.clip(upper_bound=1.0)).otherwise(high)
    return grouped.with_columns(low=low, high=high).select("variant", "step", "metric", "mean", "low", "high", "runs")


def _check_measured(name: str, measured: Sequence[str]) -> None:
    if name in measured:
        return
    if known(name):
        raise InputError(f"{name!r} was not measured in this trace; train with measure='full', or measure=[{name!r}]")
    raise UnknownNameError("metric of this trace", name, measured)


def _bounded(name: str, most: bool) -> bool:
    """Whether a measurement lies from 0 to 1 (`most`), or is at least 0 without a largest value."""
    return known(name) and (metric(name).unit.startswith("share of") if most else metric(name).size)


def outcome(frame: pl.DataFrame) -> pl.DataFrame:
    """Each variant in a nutshell: value and accuracies at the last step, all else averaged over the steps.

    Args:
        frame: A trace: variant, seed, step and measurements.

    Returns:
        Table variant, step, metric, mean, low, high, runs, as `summarise` has it, `step` being the last one.
    """
    import polars as pl

    metrics = [name for name in frame.columns if name not in _KEYS]
    runs = frame.group_by("variant", "seed", maintain_order=True).agg(pl.col("step").max(), *map(per_run, metrics))
    return summarise(runs.with_columns(pl.col("step").max().over("variant")))


def per_run(name: str) -> pl.Expr:
    """What `outcome` says of a measurement of one run: its last value, or its mean over the steps."""
    import polars as pl

    if name not in ("value", *HELD_OUT):
        return pl.col(name).mean()
    return pl.col(name).sort_by("step").drop_nulls().last()


def outcome_table(outcome: pl.DataFrame) -> pl.DataFrame:
    """A row for each variant: the mean of each measurement, and under its name with "_half" half its 95% interval."""
    import polars as pl

    half = outcome.with_columns(half=(pl.col("high") - pl.col("low")) / 2)
    shown = [name for name in OUTCOME if name in outcome["metric"]]
    wide = half.pivot("metric", index="variant", values=["mean", "half"], maintain_order=True)
    columns = [c for n in shown for c in (pl.col(f"mean_{n}").alias(n), pl.col(f"half_{n}").alias(f"{n}_half"))]
    return wide.select("variant", *columns)


def card(kind: str, frame: pl.DataFrame, variants: Sequence[str]) -> str:
    """A trace in a few lines: what it is of, and its table."""
    import polars as pl

    steps = 0 if frame.is_empty() else int(frame["step"].max()) + 1  # type: ignore[arg-type]
    head = f"{kind}: {', '.join(variants)}; {steps} steps x {frame['seed'].n_unique()} seeds"
    if frame.is_empty() or not set(OUTCOME) & set(frame.columns):
        return f"{head}; nothing was measured"
    with pl.Config(tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True, tbl_rows=20, tbl_cols=-1,
                   float_precision=3, tbl_width_chars=200):  # fmt: skip
        return f"{head}\n{outcome_table(outcome(frame))}"


def card_html(kind: str, frame: pl.DataFrame, variants: Sequence[str]) -> str:
    """As `card`, for a notebook."""
    head, _, table = card(kind, frame, variants).partition("\n")
    return f"<p>{escape(head)}</p><pre>{escape(table)}</pre>"


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
