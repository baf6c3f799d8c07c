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
    columns=("slot", "prompt", "norm", "share", "largest"),
)
def prompt_norms(frame: pl.DataFrame, *, theme: str, height: int = 250) -> go.Figure:
    """Norm of each prompt's part of the gradient.

    Args:
        frame: `lab.measures.causes.prompt_shares`: slot, prompt, norm, share, largest.
        theme: "light" or "dark".
        height: In pixels.
    """
    colors = palette(theme)
    named = frame.gather_every(max(1, frame.height // 16))
    drawn = go.Figure()
    drawn.add_bar(
        x=frame["slot"].to_numpy(), y=frame["norm"].to_numpy(), customdata=frame["share", "prompt"].to_numpy(),
        marker_color=[colors.flip if big else colors.ramp[1] for big in frame["largest"]],
        hovertemplate="prompt %{customdata[1]}: %{y:.3g} (%{customdata[0]:.0%} of the norms)<extra></extra>",
    )  # fmt: skip
    drawn.update_layout(height=height, hovermode="closest", margin={"t": 12}, bargap=0.25)
    ticks = {"tickvals": named["slot"].to_list(), "ticktext": [str(name) for name in named["prompt"]]}
    drawn.update_xaxes(title="prompt", showgrid=False, **ticks)
    drawn.update_yaxes(title="gradient norm", rangemode="tozero", nticks=4)
    return drawn
