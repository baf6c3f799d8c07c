"""Proxy and gold reward over training, and the step at which they part."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl

from lab.figures.figure import figure
from lab.figures.lines import thin
from lab.figures.marks import ON_TOP, heading, panel
from lab.figures.theme import fade, palette

__all__ = ["parting_steps"]

_BESIDE, _BELOW, _MOST_POINTS = 0.05, 0.22, 300


@figure(
    guide="Solid: the gold reward, which is meant; dashed: the proxy, which is trained on; means over runs with 95% "
    "bands. The upright line is the step from which on gold is lost while the proxy is still gained, both beyond "
    "doubt; the ring is the best gold before it, where one should have stopped. Without a line they don't part.",
    columns=("variant", "step", "metric", "mean", "low", "high"),
)
def parting_steps(
    frame: pl.DataFrame, *, theme: str, parted: pl.DataFrame, proxy: str = "value", gold: str = "gold",
    columns: int = 2, height: int = 0,
) -> go.Figure:  # fmt: skip
    """Gold and proxy reward over the steps of training, a panel per variant.

    Args:
        frame: `lab.trace.summarise` of both rewards: variant, step, metric, mean, low, high.
        theme: "light" or "dark".
        parted: `lab.measures.parting` of the same trace.
        proxy: Name of the proxy reward.
        gold: Name of the gold reward.
        columns: Panels side by side.
        height: In pixels; 0: by the number of panels.
    """
    variants = frame["variant"].unique(maintain_order=True).to_list()
    across = min(columns, len(variants))
    rows = -(-len(variants) // across)
    traces, shapes, titles = list[dict[str, Any]](), list[dict[str, Any]](), []
    layout: dict[str, Any] = {"height": height or 110 + 270 * rows, "margin": {"t": 66, "l": 52}, "legend": ON_TOP}
    for place, variant in enumerate(variants):
        one = frame.filter(pl.col("variant") == variant)
        axis = str(place + 1) if place else ""
        x = {"nticks": 6, "title": "step"}
        y = {"range": [-0.03, 1.05], "nticks": 6, "showticklabels": place % across == 0, "title": "expected reward"}
        below = _BELOW if rows < 3 else 0.12
        layout |= panel(place, len(variants), across, x, y, beside=_BESIDE, below=below)
        for metric, dash in ((gold, "solid"), (proxy, "dash")):
            traces += _line(one.filter(pl.col("metric") == metric).sort("step"), metric == gold, dash, axis, theme)
        row = parted.filter(pl.col("variant") == variant).row(0, named=True)
        words = "they don't part" if row["step"] is None else f"they part at step {row['step']}"
        if row["step"] is not None:
            line, best = _mark(row, axis, theme)
            shapes, traces = [*shapes, line], [*traces, best]
        text = f"<b>{variant}</b> <span style='color:{palette(theme).muted}'>{words}</span>"
        titles.append(heading(text, axis, theme))
    return go.Figure(data=traces, layout=layout | {"shapes": shapes, "annotations": titles})


def _line(one: pl.DataFrame, gold: bool, dash: str, axis: str, theme: str) -> list[dict[str, Any]]:
    """Band and line of one reward in one panel; the first panel's lines stand in the legend."""
    color, name = palette(theme).hues[0 if gold else 1], "gold reward" if gold else "proxy reward"
    mean = one["mean"].cast(pl.Float64).to_numpy()
    kept = thin(mean, _MOST_POINTS // 2)
    step, mean = one["step"].to_numpy()[kept], mean[kept]
    low, high = (one[end].cast(pl.Float64).to_numpy()[kept] for end in ("low", "high"))
    place = {
        "type": "scatter", "x": step, "mode": "lines", "xaxis": f"x{axis}", "yaxis": f"y{axis}", "legendgroup": name,
    }  # fmt: skip
    quiet = place | {"line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    line = place | {
        "y": mean, "name": name, "showlegend": not axis, "line": {"color": color, "dash": dash, "width": 2},
        "customdata": np.stack([low, high], -1),
        "hovertemplate": "%{y:.3f}  (%{customdata[0]:.3f} to %{customdata[1]:.3f})",
    }  # fmt: skip
    return [quiet | {"y": low}, quiet | {"y": high, "fill": "tonexty", "fillcolor": fade(color, 0.16)}, line]


def _mark(row: dict[str, Any], axis: str, theme: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A line at the parting step, and a ring around the best gold before it."""
    flip, at = palette(theme).flip, row["step"]
    line = {"type": "line", "xref": f"x{axis}", "yref": f"y{axis} domain", "x0": at, "x1": at, "y0": 0, "y1": 1,
            "line": {"color": flip, "width": 1.5}}  # fmt: skip
    ring = {
        "type": "scatter", "x": [row["best"]], "y": [row["gold_best"]], "mode": "markers", "name": "best gold",
        "xaxis": f"x{axis}", "yaxis": f"y{axis}", "legendgroup": "best", "showlegend": False,
        "marker": {"size": 13, "symbol": "circle-open", "color": flip, "line": {"width": 2}},
        "hovertemplate": "best gold, step %{x}: %{y:.3f}<extra></extra>",
    }  # fmt: skip
    return line, ring
