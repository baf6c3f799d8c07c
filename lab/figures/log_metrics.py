"""What a trainer measured, metric by metric, over its steps."""

from __future__ import annotations

import html
from collections.abc import Sequence

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from lab.figures.figure import figure
from lab.figures.lines import thin
from lab.figures.theme import palette
from lab.text import printable

__all__ = ["log_metrics"]

_BUCKETS = 150
_MOST = 9
_LETTERS = 34


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
    rows = max(-(-len(chosen) // columns), 1)
    drawn = make_subplots(rows=rows, cols=columns, subplot_titles=titles, horizontal_spacing=0.07,
                          vertical_spacing=0.3 / rows)  # fmt: skip
    for i, name in enumerate(chosen):
        value = frame[name].cast(pl.Float64).to_numpy()
        kept = thin(value, _BUCKETS)
        mode = "lines+markers" if len(kept) <= 40 else "lines"
        drawn.add_scatter(x=frame["step"].to_numpy()[kept], y=value[kept], mode=mode, marker={"size": 5},
                          line={"color": palette(theme).hues[0], "width": 2}, name=titles[i],
                          hovertemplate="step %{x}: %{y:.4g}<extra></extra>", row=i // columns + 1,
                          col=i % columns + 1)  # fmt: skip
    drawn.update_layout(height=height, showlegend=False, hovermode="closest", margin={"t": 40})
    drawn.update_annotations(font={"size": 13})
    drawn.update_xaxes(tickformat="d", nticks=5)
    drawn.update_yaxes(nticks=4)
    return drawn


def _telling(frame: pl.DataFrame) -> list[str]:
    """Numeric metrics that change, in the order of the frame; without any, those that there are."""
    numeric = [name for name, kind in frame.schema.items() if name != "step" and kind.is_numeric()]
    change = [name for name in numeric if frame[name].drop_nulls().n_unique() > 1]
    return (change or numeric)[:_MOST]
