"""A training log step by step: rewards, groups without signal, and the trainer's own gradient norm."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from lab.figures.figure import figure
from lab.figures.lines import thin
from lab.figures.theme import fade, palette

__all__ = ["log_steps"]

_BUCKETS = 150
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
    drawn = make_subplots(rows=len(rows), cols=1, shared_xaxes=True, vertical_spacing=0.06)
    for row, name in enumerate(rows, start=1):
        _line(drawn, frame, name, row, theme)
    drawn.update_yaxes(nticks=4)
    if "no_signal" in rows:
        drawn.update_yaxes(tickformat=".0%", range=[-0.04, 1.04], row=rows.index("no_signal") + 1)
    drawn.update_xaxes(title="step of the log", tickformat="d", row=len(rows))
    if step is not None:
        drawn.add_vline(x=step, line={"color": palette(theme).text, "width": 1.5, "dash": "dash"})
    drawn.update_layout(height=height, showlegend=False, margin={"t": 12})
    return drawn


def _line(drawn: go.Figure, frame: pl.DataFrame, name: str, row: int, theme: str) -> None:
    color = palette(theme).hues[0]
    value = frame[name].cast(pl.Float64).to_numpy()
    kept = thin(value, _BUCKETS)
    step, place = frame["step"].to_numpy()[kept], {"row": row, "col": 1}
    if name == "reward":
        spread = frame["reward_std"].cast(pl.Float64).fill_null(0.0).to_numpy()[kept]
        quiet: dict[str, Any] = {"x": step, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
        drawn.add_scatter(y=value[kept] - spread, **quiet, **place)
        drawn.add_scatter(y=value[kept] + spread, fill="tonexty", fillcolor=fade(color, 0.16), **quiet, **place)
    drawn.add_scatter(
        x=step, y=value[kept], mode="lines+markers", marker={"size": 5 if np.size(kept) <= 40 else 2},
        line={"color": color, "width": 2}, name=_ROWS[name], hovertemplate="%{y:.4g}", **place,
    )  # fmt: skip
    drawn.update_yaxes(title=_ROWS[name], **place)
