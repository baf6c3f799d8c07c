"""One group as a small table in colours: its rewards, and what several rules make of them."""

from __future__ import annotations

import html
import math

import plotly.graph_objects as go
import polars as pl

from lab.figures.figure import figure
from lab.figures.theme import Palette, diverging, palette

__all__ = ["group_matrix"]

_STRONG = 2.0  # an advantage of this magnitude has the full colour


@figure(
    guide="A column is a rollout. Blue pushes it up, orange down, stronger colour harder; an empty cell takes no part. "
    "A framed number has the wrong sign against the action's expected reward or, in a log, which does not know it, "
    "another sign than the logged advantage.",
    columns=("row", "kind", "rollout", "value", "wrong"),
)
def group_matrix(frame: pl.DataFrame, *, theme: str, row_height: int = 34) -> go.Figure:
    """Rows of numbers, one column per rollout: rewards first, then advantages.

    Args:
        frame: row (label), kind ("reward" or "advantage"), rollout, value, wrong.
        theme: "light" or "dark".
        row_height: In pixels.
    """
    colors = palette(theme)
    frame = frame.with_columns(pl.col("row").map_elements(html.escape, return_dtype=pl.String))
    rows = frame["row"].unique(maintain_order=True).to_list()
    rollouts = frame["rollout"].unique(maintain_order=True).to_list()
    shade = pl.when(pl.col("kind") == "advantage").then((pl.col("value") / _STRONG).clip(-1, 1)).otherwise(0.0)
    wide = frame.with_columns(shade.alias("shade")).pivot("rollout", index="row", values="shade", maintain_order=True)
    drawn = go.Figure()
    drawn.add_heatmap(
        x=[str(r) for r in rollouts], y=rows, z=wide.drop("row").to_numpy(), zmin=-1, zmax=1,
        colorscale=diverging(theme), showscale=False, xgap=2, ygap=2, hoverinfo="skip",
    )  # fmt: skip
    _numbers(drawn, frame, rollouts, colors)
    drawn.update_layout(height=76 + row_height * len(rows), hovermode="closest", showlegend=False)
    drawn.update_xaxes(title="rollout", showgrid=False, showline=False, ticks="", type="category")
    edges = [len(rows) - 0.5, -0.5]
    drawn.update_yaxes(range=edges, showgrid=False, showline=False, ticks="", type="category")
    drawn.update_layout(margin={"t": 12})
    return drawn


def _numbers(drawn: go.Figure, frame: pl.DataFrame, rollouts: list[int], colors: Palette) -> None:
    """The numbers in the cells; wrong signs framed."""
    size = 13 if len(rollouts) <= 12 else 10
    strong = (frame["value"].abs() > 0.6 * _STRONG) & (frame["kind"] == "advantage")
    ink = [colors.paper if s else colors.text for s in strong.fill_null(False)]
    drawn.add_scatter(
        x=frame["rollout"].cast(pl.String), y=frame["row"], mode="text", text=[number(v) for v in frame["value"]],
        textfont={"size": size, "color": ink}, hovertemplate="%{y}, rollout %{x}: %{customdata:.6g}<extra></extra>",
        customdata=frame["value"].to_numpy(),
    )  # fmt: skip
    wrong = frame.filter("wrong")
    places = {name: i for i, name in enumerate(frame["row"].unique(maintain_order=True))}
    for row, rollout in wrong.select("row", "rollout").iter_rows():
        x, y = rollouts.index(rollout), places[row]
        drawn.add_shape(type="rect", x0=x - 0.46, x1=x + 0.46, y0=y - 0.42, y1=y + 0.42,
                        line={"color": colors.flip, "width": 2.5})  # fmt: skip


def number(value: float | None) -> str:
    """A number short enough for a cell; nothing for what is missing."""
    if value is None or math.isnan(value):
        return ""
    if value == 0 or 0.0005 <= abs(value) < 1000:
        return f"{value:.{2 if value == 0 or abs(value) >= 0.01 else 3}f}".replace("-", "−")
    return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e").replace("-", "−")
