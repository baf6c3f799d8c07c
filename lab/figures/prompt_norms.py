"""Which prompts a gradient came from."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl

from lab.figures.figure import figure
from lab.figures.theme import palette

__all__ = ["prompt_norms"]


@figure(
    guide="Each bar is one prompt's share of the gradient of that step. Level bars are an ordinary step; one tall bar "
    "is one prompt that moved the policy alone.",
    columns=("prompt", "norm", "share", "largest"),
)
def prompt_norms(frame: pl.DataFrame, *, theme: str, height: int = 250) -> go.Figure:
    """Norm of each prompt's part of the gradient.

    Args:
        frame: `lab.measures.causes.prompt_shares`: prompt, norm, share, largest.
        theme: "light" or "dark".
        height: In pixels.
    """
    colors = palette(theme)
    drawn = go.Figure()
    drawn.add_bar(
        x=frame["prompt"].to_numpy(), y=frame["norm"].to_numpy(), customdata=frame["share"].to_numpy(),
        marker_color=[colors.flip if big else colors.ramp[1] for big in frame["largest"]],
        hovertemplate="prompt %{x}: %{y:.3g} (%{customdata:.0%} of the norms)<extra></extra>",
    )  # fmt: skip
    drawn.update_layout(height=height, hovermode="closest", margin={"t": 12}, bargap=0.25)
    drawn.update_xaxes(title="prompt", dtick=max(1, frame.height // 16), showgrid=False)
    drawn.update_yaxes(title="gradient norm", rangemode="tozero", nticks=4)
    return drawn
