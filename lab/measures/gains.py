"""Which measurement gains first: the step at which each has made half of its way from start to end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lab.measures.interval import mean_interval

if TYPE_CHECKING:
    import polars as pl

__all__ = ["half_gains"]

Array = NDArray[Any]


def half_gains(frame: pl.DataFrame, metrics: Sequence[str], *, share: float = 0.15) -> pl.DataFrame:
    """Where each measurement starts and ends, and when it first stands half way between.

    A curve is smoothed over a window of `share` of its points; start and end are the first and the last window.

    Args:
        frame: A trace: variant, seed, step and measurements.
        metrics: Which measurements.
        share: Of the points, that are averaged.

    Returns:
        Table variant, metric, start, end (means over seeds), gain with its 95% interval gain_low and gain_high, step
        (mean over seeds) with low and high, runs. The interval is null with one run; step is null, too, where the
        interval of the gain does not lie above 0: what has not risen is never half way.
    """
    import polars as pl

    rows = []
    for (variant,), one in frame.group_by("variant", maintain_order=True):
        for metric in metrics:
            runs = [r.sort("step").drop_nulls(metric) for _, r in one.group_by("seed", maintain_order=True)]
            found = np.array([_half(r["step"].to_numpy(), r[metric].to_numpy(), share) for r in runs if r.height])
            if not found.size:
                continue
            start, end, steps = found.T
            gain = _interval(end - start)
            half = _interval(steps) if gain[1] is not None and gain[1] > 0 else (None, None, None)
            rows.append((variant, metric, start.mean(), end.mean(), *gain, *half, len(found)))
    names = ("start", "end", "gain", "gain_low", "gain_high", "step", "low", "high")
    schema = {"variant": pl.String, "metric": pl.String, **dict.fromkeys(names, pl.Float64), "runs": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _half(step: Array, values: Array, share: float) -> tuple[float, float, float]:
    """Start, end, and the first step at which the smoothed curve is half way from one to the other."""
    window = max(1, round(share * len(values)))
    smooth = np.convolve(values, np.ones(window) / window, "valid")
    start, end = float(smooth[0]), float(smooth[-1])
    there = (smooth - start) * np.sign(end - start) >= abs(end - start) / 2
    middle = np.convolve(step, np.ones(window) / window, "valid")
    return start, end, float(middle[there.argmax()])


def _interval(values: Array) -> tuple[float, float | None, float | None]:
    return (float(values.mean()), None, None) if len(values) < 2 else mean_interval(values)
