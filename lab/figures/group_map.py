"""All groups of a training log at a glance: where there is signal, and where there is none."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl

from lab.figures.figure import figure
from lab.figures.theme import Palette, palette

__all__ = ["group_map"]

_MOST_STEPS = 400
KINDS = ("signal", "no signal", "phantom")


@figure(
    guide="A cell is a group of rollouts. In a group without signal all rewards are equal, so nothing can be learnt; "
    "phantom groups have equal rewards and got an advantage all the same. In a log of many steps a cell stands for a "
    "stretch of them, in the colour of the worst.",
    columns=("step", "group", "reward", "kind"),
)
def group_map(frame: pl.DataFrame, *, theme: str, height: int = 360) -> go.Figure:
    """Groups of every step, coloured by what can be learnt from them.

    Args:
        frame: `lab.logs.frames.group_map_frame`: step, group, reward, kind.
        theme: "light" or "dark".
        height: In pixels.
    """
    code = pl.col("kind").replace_strict({kind: i for i, kind in enumerate(KINDS)}, return_dtype=pl.Float64)
    cells = _stretches(frame.with_columns(code.alias("code")))
    kinds = cells.pivot("step", index="group", values="code").sort("group")
    rewards = cells.pivot("step", index="group", values="reward").sort("group")
    steps, colors = kinds.columns[1:], _colors(palette(theme))
    scale = [[edge, color] for i, color in enumerate(colors) for edge in (i / 3, (i + 1) / 3)]
    few = len(steps) <= 60 and kinds.height <= 40
    drawn = go.Figure()
    drawn.add_heatmap(
        x=[int(s) for s in steps], y=kinds["group"].to_numpy(), z=kinds.drop("group").to_numpy(), zmin=-0.5, zmax=2.5,
        colorscale=scale, showscale=False, xgap=2 * few, ygap=2 * few, customdata=rewards.drop("group").to_numpy(),
        hovertemplate="step %{x}, group %{y}: mean reward %{customdata:.4g}<extra></extra>",
    )  # fmt: skip
    for kind, color in zip(KINDS, colors, strict=True):
        share = f"{kind}: {frame.filter(pl.col('kind') == kind).height}"
        marker = {"symbol": "square", "size": 11, "color": color}
        drawn.add_scatter(x=[None], y=[None], mode="markers", name=share, marker=marker, hoverinfo="skip")
    drawn.update_layout(height=height, hovermode="closest", xaxis_title="step of the log", yaxis_title="group")
    drawn.update_xaxes(showgrid=False, tickformat="d", nticks=12)
    drawn.update_yaxes(showgrid=False, autorange="reversed", tickformat="d")
    return drawn


def _stretches(cells: pl.DataFrame) -> pl.DataFrame:
    """The cells of a long log: of each stretch of steps the first step, the worst kind and the mean reward."""
    length = -(-cells["step"].n_unique() // _MOST_STEPS)
    if length <= 1:
        return cells
    stretch = (pl.col("step").rank("dense") - 1) // length
    first = pl.col("step").min().over(stretch)
    told = cells.with_columns(first.alias("step")).group_by("step", "group", maintain_order=True)
    return told.agg(pl.col("code").max(), pl.col("reward").mean()).sort("step", "group")


def _colors(colors: Palette) -> tuple[str, str, str]:
    return colors.ramp[1], colors.axis, colors.flip
