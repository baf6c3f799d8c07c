"""Logged advantages against the same ones recomputed."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl

from lab.figures.figure import figure
from lab.figures.theme import palette

__all__ = ["agreement"]

_MOST_POINTS = 1500


@figure(
    guide="Each point is a rollout. On the diagonal the lab's rule gives what the trainer logged; a line of another "
    "slope is another scale, a cloud another rule.",
    columns=("logged", "recomputed", "rule", "precision"),
)
def agreement(frame: pl.DataFrame, *, theme: str, height: int = 360) -> go.Figure:
    """Scatter of logged against recomputed advantages, with the diagonal.

    Args:
        frame: `lab.logs.frames.recomputed`: step, group, rollout, logged, recomputed, rule, precision.
        theme: "light" or "dark".
        height: In pixels; of many rollouts an even choice is drawn.
    """
    colors = palette(theme)
    shown = frame.gather_every(-(-frame.height // _MOST_POINTS))
    ends = _ends(frame)
    drawn = go.Figure()
    drawn.add_scatter(x=ends, y=ends, mode="lines", line={"color": colors.muted, "width": 1, "dash": "dot"},
                      name="equal", hoverinfo="skip")  # fmt: skip
    drawn.add_scatter(
        x=shown["logged"].to_numpy(), y=shown["recomputed"].to_numpy(), mode="markers", name="rollouts",
        marker={"size": 6, "color": colors.hues[0], "opacity": 0.55},
        customdata=shown.select("step", "group", "rollout").to_numpy(),
        hovertemplate="step %{customdata[0]}, group %{customdata[1]}, rollout %{customdata[2]}<br>"
        "logged %{x:.6g}, recomputed %{y:.6g}<extra></extra>",
    )  # fmt: skip
    rule = f"{frame['rule'][0]}, {frame['precision'][0]}"
    drawn.update_layout(height=height, hovermode="closest", showlegend=False, xaxis_title="advantage, as logged")
    drawn.update_xaxes(range=ends, nticks=6)
    drawn.update_yaxes(range=ends, nticks=6, title=f"advantage, {rule}")
    return drawn


def _ends(frame: pl.DataFrame) -> list[float]:
    """Both axes run from the smallest to the largest advantage, with some air around."""
    values = pl.concat([frame["logged"], frame["recomputed"].cast(pl.Float64)]).drop_nulls().drop_nans()
    low, high = float(values.min() or 0.0), float(values.max() or 0.0)  # type: ignore[arg-type]
    air = 0.08 * (high - low) if high - low > 1e-3 * max(abs(high), abs(low)) else max(abs(high), abs(low)) or 1.0
    return [low - air, high + air]
