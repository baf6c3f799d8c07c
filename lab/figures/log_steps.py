"""A training log step by step: rewards, groups without signal, and the trainer's own gradient norm."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl

from lab.figures.figure import figure
from lab.figures.lines import thin
from lab.figures.marks import panel, whole
from lab.figures.theme import fade, palette

__all__ = ["log_steps"]

_BUCKETS = 150
_STEP = "step of the log"
_ROWS = {"reward": "reward", "no_signal": "no signal", "grad_norm": "gradient norm"}


@figure(
    guide="Above, the mean reward of each step with one standard deviation of its rollouts; then the share of groups "
    "whose rewards are all equal; then the gradient norm, where the trainer logged it. Of a long log every stretch "
    "keeps its smallest and largest value.",
    columns=("step", "reward", "reward_std", "no_signal"),
)
def log_steps(frame: pl.DataFrame, *, theme: str, step: int | None = None, height: int = 430) -> go.Figure:
    """Measurements over the steps of a log, a row each.

    Args:
        frame: `Diagnosis.steps`: step, reward, reward_std, no_signal and, where it was logged, grad_norm.
        theme: "light" or "dark".
        step: A step to mark.
        height: In pixels.
    """
    rows = [name for name in _ROWS if name in frame.columns and frame[name].null_count() < frame.height]
    traces, shapes = list[dict[str, Any]](), []
    layout: dict[str, Any] = {"height": height, "showlegend": False, "margin": {"t": 12}}
    axes = ["", *map(str, range(2, len(rows) + 1))]
    mark = {"type": "line", "x0": step, "x1": step, "y0": 0, "y1": 1,
            "line": {"color": palette(theme).text, "width": 1.5, "dash": "dash"}}  # fmt: skip
    for row, (name, axis) in enumerate(zip(rows, axes, strict=True)):
        lowest = axis == axes[-1]
        x = whole(frame["step"]) if lowest else {"showticklabels": False, "matches": f"x{axes[-1]}"}
        y = {"tickformat": ".0%", "range": [-0.04, 1.04]} if name == "no_signal" else {}
        layout |= panel(row, len(rows), 1, x, y | {"nticks": 4}, beside=0, below=0.06)
        layout[f"yaxis{axis}"]["title"], layout[f"xaxis{axis}"]["title"] = _ROWS[name], _STEP if lowest else None
        traces += _lines(frame, name, axis, theme)
        shapes.append(mark | {"xref": f"x{axis}", "yref": f"y{axis} domain"})
    return go.Figure(data=traces, layout=layout | {"shapes": [] if step is None else shapes})


def _lines(frame: pl.DataFrame, name: str, axis: str, theme: str) -> Iterator[dict[str, Any]]:
    """The line of a measurement; with the rewards' the band of one standard deviation."""
    color = palette(theme).hues[0]
    value = frame[name].cast(pl.Float64).to_numpy()
    kept = thin(value, _BUCKETS)
    place = {"type": "scatter", "x": frame["step"].to_numpy()[kept], "xaxis": f"x{axis}", "yaxis": f"y{axis}"}
    if name == "reward":
        spread = frame["reward_std"].cast(pl.Float64).fill_null(0.0).to_numpy()[kept]
        quiet = place | {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
        yield quiet | {"y": value[kept] - spread}
        yield quiet | {"y": value[kept] + spread, "fill": "tonexty", "fillcolor": fade(color, 0.16)}
    yield place | {
        "y": value[kept], "mode": "lines+markers", "marker": {"size": 5 if np.size(kept) <= 40 else 2},
        "line": {"color": color, "width": 2}, "name": _ROWS[name], "hovertemplate": "%{y:.4g}",
    }  # fmt: skip
