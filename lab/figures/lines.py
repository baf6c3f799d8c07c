"""Curves with their intervals: measurements over steps, thinned so that no spike is lost."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl
from numpy.typing import NDArray

from lab.figures.figure import figure
from lab.figures.theme import fade, palette, style

__all__ = ["NOTHING", "curves", "thin"]

MOST_POINTS = 600
#: A smaller norm is what rounding left of zero, which has no place on a logarithmic axis.
NOTHING = 1e-12


def thin(values: NDArray, buckets: int) -> NDArray:
    """Indices that keep the smallest and the largest value of each bucket, so a spike of one step stays visible.

    Args:
        values: A trace [N]; NaN counts as absent.
        buckets: Number of equal parts of the trace.

    Returns:
        Increasing indices, at most 2·buckets + 2: first, last, and two per bucket; all of them where N is small.
    """
    size = len(values)
    if size <= 2 * buckets + 2:
        return np.arange(size)
    edges = np.linspace(0, size, buckets + 1).astype(int)
    low = np.where(np.isnan(values), np.inf, values)
    high = np.where(np.isnan(values), -np.inf, values)
    kept = [0, size - 1]
    for start, stop in itertools.pairwise(edges):
        kept += [start + int(low[start:stop].argmin()), start + int(high[start:stop].argmax())]
    return np.unique(kept)


@figure(
    guide="Lines are means over seeds, bands their 95% intervals. All variants met the same random draws, so two are "
    "compared by their difference seed by seed, which can be sure where their bands overlap. Long traces keep the "
    "smallest and largest value of each stretch.",
    columns=("variant", "step", "metric", "mean", "low", "high"),
)
def curves(
    frame: pl.DataFrame,
    *,
    theme: str,
    metric: str,
    label: str,
    height: int = 360,
    log: bool = False,
    percent: bool = False,
    variants: Sequence[str] | None = None,
    legend: bool = True,
    points: int = MOST_POINTS,
    unit: str = "step",
) -> go.Figure:
    """One metric over the steps of training, a line with a band per variant.

    Args:
        frame: `Trace.summary()`: variant, step, metric, mean, low, high.
        theme: "light" or "dark".
        metric: Which metric to draw.
        label: Name and unit for the axis.
        height: In pixels.
        log: Logarithmic axis; what is not above 0 is left out.
        percent: The metric is a share; the axis runs from 0 to 100%.
        variants: Order of the lines; that of the frame by default.
        legend: Whether names stand above the picture.
        points: Most points per line.
        unit: What a step is.
    """
    chosen = frame.filter(pl.col("metric") == metric)
    traces: list[dict[str, Any]] = []
    for variant in variants or chosen["variant"].unique(maintain_order=True).to_list():
        traces += _line(chosen.filter(pl.col("variant") == variant).sort("step"), variant, theme, points)
    share = {"tickformat": ".0%", "range": [-0.02, 1.02]} if percent else {}
    axes = {"xaxis": {"title": unit}, "yaxis": {"title": label, "type": "log" if log else "linear"} | share}
    return go.Figure(data=traces, layout={"height": height, "showlegend": legend} | axes)


def _line(one: pl.DataFrame, variant: str, theme: str, points: int) -> list[dict[str, Any]]:
    """Band and line of one variant. The band is thinned like the line, so that they end at the same steps."""
    look = style(variant, theme)
    mean = one["mean"].cast(pl.Float64).to_numpy()
    kept = thin(mean, points // 2)
    step = one["step"].to_numpy()[kept]
    low, high = (one[name].cast(pl.Float64).to_numpy()[kept] for name in ("low", "high"))
    every = {"type": "scatter", "x": step, "mode": "lines", "legendgroup": variant}
    quiet = every | {"line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    line = every | {
        "y": mean[kept], "name": variant, "line": look.line, "customdata": np.stack([low, high], -1),
        "hovertemplate": "%{y:.4g}  (%{customdata[0]:.4g} to %{customdata[1]:.4g})",
    }  # fmt: skip
    return [quiet | {"y": low}, quiet | {"y": high, "fill": "tonexty", "fillcolor": fade(look.color, 0.16)}, line]


def reference(drawn: go.Figure, y: float, words: str, theme: str) -> None:
    """A dotted level with its words at the right end: what chance, or a formula, gives."""
    color = palette(theme).muted
    drawn.add_hline(y=y, line={"color": color, "width": 1, "dash": "dot"}, annotation_text=words,
                    annotation_position="top right", annotation_font_color=color)  # fmt: skip
