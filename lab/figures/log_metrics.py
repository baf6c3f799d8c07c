"""What a trainer measured, metric by metric, over its steps."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
import polars as pl

from lab.figures.figure import figure
from lab.figures.lines import thin
from lab.figures.marks import heading, panel, whole
from lab.figures.theme import palette
from lab.text import printable

__all__ = ["log_metrics"]

_BUCKETS = 150
_MOST = 9
_LETTERS = 34
_CENTRED = {"x": 0.5, "y": 1.0, "xanchor": "center", "showarrow": False, "font": {"size": 13}}


@figure(
    guide="Each small picture is a metric that the trainer logged, over its steps. Of a long log every stretch keeps "
    "its smallest and largest value; a gap is a value that is missing or not finite.",
    columns=("step",),
)
def log_metrics(
    frame: pl.DataFrame, *, theme: str, metrics: Sequence[str] | None = None, height: int = 460
) -> go.Figure:
    """Small pictures side by side, a metric each.

    Args:
        frame: `RolloutTable.metrics`: step and a column per metric.
        theme: "light" or "dark".
        metrics: Those to draw; the first nine that change, by default.
        height: In pixels.
    """
    chosen = list(metrics or _telling(frame))
    columns = 1 if len(chosen) < 2 else 2 if len(chosen) < 5 else 3
    titles = [html.escape(printable(name.replace("_", " "))[:_LETTERS]) for name in chosen]
    rows = -(-len(chosen) // columns)
    traces, words = list[dict[str, Any]](), []
    layout: dict[str, Any] = {"height": height, "showlegend": False, "hovermode": "closest", "margin": {"t": 40}}
    for i, name in enumerate(chosen):
        value, axis = frame[name].cast(pl.Float64).to_numpy(), str(i + 1) if i else ""
        kept = thin(value, _BUCKETS)
        traces.append({
            "type": "scatter", "x": frame["step"].to_numpy()[kept], "y": value[kept], "marker": {"size": 5},
            "mode": "lines+markers" if len(kept) <= 40 else "lines", "xaxis": f"x{axis}", "yaxis": f"y{axis}",
            "line": {"color": palette(theme).hues[0], "width": 2}, "name": titles[i],
            "hovertemplate": "step %{x}: %{y:.4g}<extra></extra>",
        })  # fmt: skip
        x, y = {"nticks": 5} | whole(frame["step"]), {"nticks": 4}
        layout |= panel(i, len(chosen), columns, x, y, beside=0.07, below=0.3 / rows)
        words.append(heading(titles[i], axis, theme) | _CENTRED)
    return go.Figure(data=traces, layout=layout | {"annotations": words})


def _telling(frame: pl.DataFrame) -> list[str]:
    """Numeric metrics that change, in the order of the frame; without any, those that there are."""
    numeric = [name for name, kind in frame.schema.items() if name != "step" and kind.is_numeric()]
    change = [name for name in numeric if frame[name].drop_nulls().n_unique() > 1]
    return (change or numeric)[:_MOST]
