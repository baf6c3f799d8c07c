"""Training at a glance: one small panel per measurement, all variants in each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from textwrap import wrap
from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl
from numpy.typing import NDArray

from lab.figures.figure import figure
from lab.figures.lines import NOTHING, thin
from lab.figures.marks import SHARE, heading, panel
from lab.figures.theme import fade, palette, style
from lab.measures.metrics import Metric
from lab.measures.metrics import metric as declared

__all__ = ["GLANCE", "training"]

#: What the panels show, in reading order.
GLANCE = ("value", "sign_flip", "no_signal", "grad_norm", "entropy", "cosine")

_LOG = ("grad_norm",)
_LEAST = {"sign_flip": 0.0, "no_signal": 0.0, "entropy": 0.0, "cosine": -1.0}
_MOST_POINTS = 200
_LETTERS = 32  # of a title that fits above a panel in a narrow window
_BESIDE, _BELOW = 0.065, 0.18  # room between panels, as shares of the picture


@figure(
    guide="Lines are means over seeds, bands their 95% intervals; all variants met the same draws, so two are "
    "compared by their difference seed by seed, which can be sure where their bands overlap. A sign is held against "
    "what the action earns on average, not against the reward that was drawn: a coin is wrong half of the time. A "
    "cosine of 1 is the exact gradient, 0 no relation to it. "
    "The axis of the gradient norm is logarithmic; where the norm is zero it has no point.",
    columns=("variant", "step", "metric", "mean", "low", "high"),
)
def training(
    frame: pl.DataFrame,
    *,
    theme: str,
    metrics: Sequence[str] = GLANCE,
    labels: Mapping[str, str] | None = None,
    columns: int = 3,
    height: int = 580,
) -> go.Figure:
    """Several measurements over the steps of training, a panel each.

    Args:
        frame: `Trace.summary()`: variant, step, metric, mean, low, high.
        theme: "light" or "dark".
        metrics: Measurements to draw, in reading order; those that the frame lacks are left out.
        labels: Other names for measurements.
        columns: Panels side by side.
        height: In pixels.
    """
    known = set(frame["metric"].unique())
    named = {name: replace(declared(name), label=label) for name, label in (labels or {}).items()}
    shown = [named.get(name) or declared(name) for name in metrics if name in known]
    traces: list[dict[str, Any]] = []
    layout: dict[str, Any] = {"height": height, "margin": {"l": 48, "r": 12, "t": 84, "b": 44}, "legend": {"y": 1.13}}
    titles = []
    for place, metric in enumerate(shown):
        axis = str(place + 1) if place else ""
        traces += _lines(frame.filter(pl.col("metric") == metric.name), metric, axis, theme)
        layout |= _axes(metric, place, len(shown), columns)
        titles.append(_title(metric, axis, theme))
    # Given as one whole: trace by trace takes Plotly five times as long, which a reader who drags a slider feels.
    return go.Figure(data=traces, layout=layout | {"annotations": titles})


def _axes(metric: Metric, place: int, panels: int, columns: int) -> dict[str, Any]:
    """Both axes of a panel: where it stands, and what its numbers are."""
    x = {"nticks": 6, "title": "step"}
    y: dict[str, Any] = {"type": "log", "dtick": 1} if metric.name in _LOG else {"nticks": 5}
    if metric.unit.startswith("share"):
        y |= SHARE
    return panel(place, panels, min(columns, panels), x, y, beside=_BESIDE, below=_BELOW)


def _title(metric: Metric, axis: str, theme: str) -> dict[str, Any]:
    """Name on a line, a long one on two; unit and the good direction, quieter, on the next."""
    quiet = [metric.unit, f"{metric.better} is better" if metric.better else ""]
    second = ", ".join(part for part in quiet if part) or "\u00a0"
    label = "<br>".join(wrap(metric.label[:1].upper() + metric.label[1:], _LETTERS))
    text = f"<b>{label}</b><br><span style='font-size:12px;color:{palette(theme).muted}'>{second}</span>"
    return heading(text, axis, theme) | {"align": "left", "showarrow": False}


def _lines(one: pl.DataFrame, metric: Metric, axis: str, theme: str) -> list[dict[str, Any]]:
    """Band and line of every variant in one panel."""
    variants = one["variant"].unique(maintain_order=True)
    parts = (_line(one.filter(pl.col("variant") == v).sort("step"), v, axis, theme, metric) for v in variants)
    return [trace for part in parts for trace in part]


def _line(one: pl.DataFrame, variant: str, axis: str, theme: str, metric: Metric) -> list[dict[str, Any]]:
    """Band and line of one variant in one panel; the first panel's lines stand in the legend."""
    look = style(variant, theme)
    step = one["step"].to_numpy()
    mean, low, high = (one[name].cast(pl.Float64).to_numpy() for name in ("mean", "low", "high"))
    if metric.name in _LOG:
        mean = np.where(mean > NOTHING, mean, np.nan)
    kept = thin(mean, _MOST_POINTS // 2)
    step, mean, low, high = step[kept], mean[kept], *_possible(low[kept], high[kept], mean[kept], metric)
    around, edge = _band(step, low, high)
    place = {"type": "scatter", "mode": "lines", "xaxis": f"x{axis}", "yaxis": f"y{axis}", "legendgroup": variant}
    band = {
        "x": around, "y": edge, "fill": "toself", "fillcolor": fade(look.color, 0.16), "line": {"width": 0},
        "hoverinfo": "skip", "showlegend": False,
    }  # fmt: skip
    line = {
        "x": step, "y": mean, "name": variant, "showlegend": not axis, "customdata": np.stack([low, high], -1),
        "line": look.line,
        "hovertemplate": "%{y:.4g}  (%{customdata[0]:.3g} to %{customdata[1]:.3g})",
    }  # fmt: skip
    return [place | band, place | line]


def _possible(low: NDArray, high: NDArray, mean: NDArray, metric: Metric) -> tuple[NDArray, NDArray]:
    """An interval cut to the values that the measurement can take; on a logarithmic axis to the smallest mean."""
    positive = mean[mean > 0]
    least = positive.min() if metric.name in _LOG and positive.size else _LEAST.get(metric.name, -np.inf)
    most = 1.0 if metric.unit.startswith("share") or metric.name == "cosine" else np.inf
    return np.clip(low, least, most), np.clip(high, least, most)


def _band(step: NDArray, low: NDArray, high: NDArray) -> tuple[NDArray, NDArray]:
    """Outline of the band as closed polygons, one for each stretch without a gap, NaN between them."""
    known = np.flatnonzero(np.isfinite(low) & np.isfinite(high))
    parts = [(np.empty(0), np.empty(0))]
    for run in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
        forth, back = run, run[::-1]
        parts.append((np.r_[step[forth], step[back], np.nan], np.r_[high[forth], low[back], np.nan]))
    x, y = (np.concatenate(side) for side in zip(*parts, strict=True))
    return x, y
