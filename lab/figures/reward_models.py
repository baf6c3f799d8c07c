"""Reward models beside the gold reward: reliability, and what they rank wrongly."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from lab.figures.figure import figure
from lab.figures.marks import ON_TOP, bounds, whiskers
from lab.figures.theme import palette, style

__all__ = ["reward_model_checks"]


@figure(
    guide="Left: of the pairs of which a reward model is so sure, the share in which an annotator who is not flipped "
    "agrees; on the dashed line it is as often right as it says, below it is too sure. Right: the share of fresh pairs "
    "that it ranks as the gold reward does, by how far apart the two responses truly are. Bars are 95% intervals over "
    "runs, each with comparisons and a network of its own; larger points stand for more pairs.",
    columns=("model", "confidence", "right", "low", "high", "share"),
)
def reward_model_checks(frame: pl.DataFrame, *, theme: str, by_distance: pl.DataFrame | None = None) -> go.Figure:
    """Reliability diagram of each reward model, and beside it the share that is ranked rightly.

    Args:
        frame: `lab.studies.reward_model_study(...).reliability`.
        theme: "light" or "dark".
        by_distance: The third table of the same study.
    """
    titles = ["How sure, and how often right", "What is ranked wrongly"]
    both = by_distance is not None
    drawn = make_subplots(cols=1 + both, subplot_titles=titles[: 1 + both], horizontal_spacing=0.1)
    drawn.add_scatter(x=[0.5, 1], y=[0.5, 1], mode="lines", hoverinfo="skip", showlegend=False, row=1, col=1,
                      line={"color": palette(theme).muted, "dash": "dash", "width": 1.5})  # fmt: skip
    for column, table in enumerate((frame, by_distance)[: 1 + both], start=1):
        _points(drawn, table, column, theme)
    drawn.update_xaxes(title="confidence of the reward model", tickformat=".0%", row=1, col=1)
    drawn.update_yaxes(title="share that is right", tickformat=".0%", row=1, col=1)
    if both:
        drawn.update_xaxes(title="gold distance of the pair (standard deviations)", row=1, col=2)
        drawn.update_yaxes(tickformat=".0%", row=1, col=2)
    drawn.update_layout(height=440, hovermode="closest", legend=dict(ON_TOP), margin={"t": 72})
    return drawn


def _points(drawn: go.Figure, table: pl.DataFrame | None, column: int, theme: str) -> None:
    """Points and lines of every reward model in one panel."""
    assert table is not None
    along = "confidence" if column == 1 else "distance"
    for name in table["model"].unique(maintain_order=True):
        one, look = table.filter(model=name), style(name, theme)
        size = (7 + 16 * one["share"].sqrt()).to_list() if column == 1 else 8
        drawn.add_scatter(
            x=one[along].to_list(), y=one["right"].to_numpy(), mode="lines+markers", name=name, legendgroup=name,
            showlegend=column == 1, line=look.line, error_y=whiskers(one, "right", look.color), customdata=bounds(one),
            marker={"symbol": look.symbol, "size": size, "color": look.color}, row=1, col=column,
            hovertemplate="%{y:.1%} (%{customdata[0]:.1%} to %{customdata[1]:.1%})",
        )  # fmt: skip
