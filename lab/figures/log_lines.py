"""One measurement of a training log over its steps, for itself or beside others of its kind."""

from __future__ import annotations

import html
from typing import Any

import plotly.graph_objects as go
import polars as pl

from lab.figures.figure import figure
from lab.figures.lines import thin
from lab.figures.theme import fade, palette
from lab.text import printable

__all__ = ["log_lines"]

_BUCKETS = 150


@figure(
    guide="A line is what the trainer logged, or the mean over the rollouts of each step; a band, where there is one, "
    "runs from the lowest rollout to the highest. Of a long log every stretch keeps its smallest and largest value.",
    columns=("line", "step", "value", "low", "high"),
)
def log_lines(frame: pl.DataFrame, *, theme: str, label: str, log: bool = False, height: int = 340) -> go.Figure:
    """Lines over the steps of a log, each with a band where the frame has one.

    Args:
        frame: line (name), step, value, low, high; the last two are null where there is no band.
        theme: "light" or "dark".
        label: Name and unit, for the axis.
        log: Logarithmic axis; what is not above 0 is left out.
        height: In pixels.
    """
    drawn, hues = go.Figure(), palette(theme).hues
    parts = frame.partition_by("line", maintain_order=True)
    for i, one in enumerate(parts):
        _line(drawn, one.sort("step"), hues[i % len(hues)])
    drawn.update_layout(
        height=height, showlegend=len(parts) > 1, xaxis={"title": "step of the log", "tickformat": "d"},
        yaxis={"title": html.escape(printable(label)), "type": "log" if log else "linear"}, margin={"t": 24},
    )  # fmt: skip
    return drawn


def _line(drawn: go.Figure, one: pl.DataFrame, color: str) -> None:
    """Band and line of one name; few points are marked, for a line through one point is not seen."""
    name = html.escape(printable(one["line"][0]))
    kept = thin(one["value"].cast(pl.Float64).to_numpy(), _BUCKETS)
    step, value = one["step"].to_numpy()[kept], one["value"].cast(pl.Float64).to_numpy()[kept]
    if one["low"].is_not_null().any():
        quiet: dict[str, Any] = {"x": step, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
        low, high = (one[c].cast(pl.Float64).to_numpy()[kept] for c in ("low", "high"))
        drawn.add_scatter(y=low, showlegend=False, legendgroup=name, **quiet)
        drawn.add_scatter(
            y=high, fill="tonexty", fillcolor=fade(color, 0.16), showlegend=False, legendgroup=name, **quiet
        )
    drawn.add_scatter(
        x=step, y=value, name=name, legendgroup=name, mode="lines+markers" if len(kept) <= 40 else "lines",
        marker={"size": 5}, line={"color": color, "width": 2}, hovertemplate="%{y:.4g}",
    )  # fmt: skip
