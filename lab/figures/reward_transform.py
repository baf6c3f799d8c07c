"""Rewards of a log before and after a reward rule."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl

from lab.figures.figure import figure
from lab.figures.theme import palette

__all__ = ["reward_transform"]

_MOST_POINTS = 1500


@figure(
    guide="Each point is a rollout: its total reward as logged, and after the reward rule. On the diagonal nothing "
    "changes; points above one another had the same reward and are told apart now, points side by side no longer are.",
    columns=("before", "after"),
)
def reward_transform(frame: pl.DataFrame, *, theme: str, height: int = 360) -> go.Figure:
    """Scatter of total rewards, with the diagonal; of many rollouts an even choice is drawn.

    Args:
        frame: before, after, a row per rollout.
        theme: "light" or "dark".
        height: In pixels.
    """
    colors = palette(theme)
    shown = frame.gather_every(max(-(-frame.height // _MOST_POINTS), 1))
    ends = [shown["before"].min(), shown["before"].max()]
    drawn = go.Figure()
    drawn.add_scatter(x=ends, y=ends, mode="lines", line={"color": colors.muted, "width": 1, "dash": "dot"},
                      hoverinfo="skip")  # fmt: skip
    drawn.add_scatter(x=shown["before"].to_numpy(), y=shown["after"].to_numpy(), mode="markers",
                      marker={"size": 6, "color": colors.hues[0], "opacity": 0.5},
                      hovertemplate="%{x:.4g} becomes %{y:.4g}<extra></extra>")  # fmt: skip
    drawn.update_layout(height=height, showlegend=False, hovermode="closest", xaxis_title="total reward, as logged",
                        yaxis_title="after the reward rule")  # fmt: skip
    return drawn
