"""Two rewards: their maps with what is best, distance and regret on the way between them, the cloud of random pairs."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl
from numpy.typing import NDArray

from lab.errors import UnknownNameError
from lab.figures.figure import figure
from lab.figures.marks import heading, panel, tiles
from lab.figures.theme import DASHES, diverging, fade, palette

__all__ = ["distance_color", "place_states", "regret_cloud", "reward_maps", "reward_way"]

#: Canonicalisation, or name of a distance without one -> hue.
_HUES = {
    "val": 0, "epic": 1, "dard": 2, "valpotential": 3, "minimalpotential": 4, "minimal": 5, "minimal_w": 6, "none": 7,
    "pearson": 7, "erc": 4, "singleton": 3, "greedy": 6, "npec": 5,
}  # fmt: skip
_WAYS = ((0, -1), (1, 0), (0, 1), (-1, 0))
_BESIDE, _BELOW = 0.06, 0.2


def distance_color(name: str, theme: str = "light") -> str:
    """Colour of a distance: that of its canonicalisation, the same in every figure."""
    return palette(theme).hues[_HUES.get(name.removeprefix("starc").partition("-")[0] or "val", 7)]


def place_states(layout: str, states: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Where states stand, x and y (downwards) [S]: cells of a square "grid" or a row, or a circle of radius 1.

    Raises:
        UnknownNameError: Another layout than "grid", "row" or "graph".
    """
    here = np.arange(states)
    if layout == "row":
        return here, np.zeros_like(here)
    if layout == "grid":
        y, x = np.divmod(here, max(1, int(np.ceil(np.sqrt(states)))))
        return x, y
    if layout == "graph":
        turn = 2 * np.pi * here / states
        return np.sin(turn), -np.cos(turn)
    raise UnknownNameError("layout", layout, ("grid", "row", "graph"))


@figure(
    guide="A cell is a state and its number what arriving there pays on average. Arrows are the best actions, all of "
    "them where several are equally good. Red: none of them is best under the first reward too, so there a policy "
    "made for the one is wrong for the other.",
    columns=("reward", "state", "arriving", "best", "shared"),
)
def reward_maps(frame: pl.DataFrame, *, theme: str, layout: str = "grid", height: int = 380) -> go.Figure:
    """Rewards of a grid or a row of states side by side, with the best actions.

    Args:
        frame: `lab.studies.reward_map`.
        theme: "light" or "dark".
        layout: "grid" (actions up, right, down, left) or "row" (left, right).
        height: In pixels.
    """
    names, colors, drawn = frame["reward"].unique(maintain_order=True).to_list(), palette(theme), go.Figure()
    limit = max(1e-9, float(frame["arriving"].abs().max()))  # type: ignore[arg-type]
    for k, name in enumerate(names):
        one, axis = frame.filter(pl.col("reward") == name), str(k + 1) if k else ""
        x, y = place_states(layout, one.height)
        table = np.full((y.max() + 1, x.max() + 1), np.nan)
        table[y, x] = one["arriving"].to_numpy()
        drawn.add_heatmap(
            z=table, zmin=-limit, zmax=limit, colorscale=diverging(theme), showscale=False, xgap=2, ygap=2,
            texttemplate="%{z:.2~f}", textfont={"color": colors.text}, xaxis=f"x{axis}", yaxis=f"y{axis}",
            hovertemplate="column %{x}, row %{y}: %{z:.4g}<extra></extra>",
        )  # fmt: skip
        _policy(drawn, one, (x, y), axis, theme)
        drawn.update_layout(tiles(k, len(names), _BESIDE, showgrid=False))
        drawn.add_annotation(
            text=f"<b>{name}</b>", xref=f"x{axis} domain", yref="paper", x=0.5, y=1.01, yanchor="bottom",
            font={"color": colors.text},
        )  # fmt: skip
    drawn.update_layout(height=height, hovermode="closest", margin={"l": 8, "r": 8, "t": 36, "b": 8})
    return drawn


def _policy(
    drawn: go.Figure, one: pl.DataFrame, places: tuple[NDArray[Any], NDArray[Any]], axis: str, theme: str
) -> None:
    """Arrows of the best actions; none where all actions are equally good."""
    colors, ways = palette(theme), _WAYS if one.height and places[1].max() else (_WAYS[3], _WAYS[1])
    for x, y, row in zip(*places, one.iter_rows(named=True), strict=True):
        for action in row["best"] if len(row["best"]) < len(ways) else ():
            dx, dy = ways[action]
            drawn.add_annotation(
                x=x + 0.42 * dx, y=y + 0.42 * dy, ax=x + 0.2 * dx, ay=y + 0.2 * dy, xref=f"x{axis}", yref=f"y{axis}",
                axref=f"x{axis}", ayref=f"y{axis}", showarrow=True, arrowhead=2, arrowwidth=1.6, text="",
                arrowcolor=colors.text if row["shared"] else colors.flip,
            )  # fmt: skip


@figure(
    guide="Above, how far the reward at t is from the first one, as a share of the largest distance; below, how much "
    "of the first reward is lost. A distance is good where it rises with the loss and stays at 0 where nothing is "
    "lost. Solid: by optimising the other reward; dashed: at worst, among policies that the other reward prefers.",
    columns=("share", "regret", "worst_case"),
)
def reward_way(
    frame: pl.DataFrame, *, theme: str, maximum: Mapping[str, float] | None = None, height: int = 430
) -> go.Figure:
    """Distance and regret against the share of the way from one reward to the other, one above the other.

    Args:
        frame: `lab.studies.reward_walk`.
        theme: "light" or "dark".
        maximum: Largest value of each distance, 2 where not said.
        height: In pixels.
    """
    drawn, colors = go.Figure(), palette(theme)
    names = [c for c in frame.columns if c not in ("step", "share", "regret", "back", "mean_regret", "worst_case")]
    share = frame["share"].to_numpy()
    for name, dash in zip(names, cycle(DASHES), strict=False):
        largest = (maximum or {}).get(name, 2.0)
        drawn.add_scatter(
            x=share, y=frame[name].to_numpy() / largest, customdata=frame[name].to_numpy(), name=name, mode="lines",
            line={"color": distance_color(name, theme), "width": 2, "dash": dash}, hovertemplate="%{customdata:.3f}",
        )  # fmt: skip
    for name, column, dash in (("regret", "regret", "solid"), ("at worst", "worst_case", "dash")):
        drawn.add_scatter(
            x=share, y=frame[column].to_numpy(), name=name, mode="lines", yaxis="y2", hovertemplate="%{y:.1%}",
            line={"color": colors.flip, "width": 2, "dash": dash},
        )  # fmt: skip
    drawn.update_layout(
        height=height, xaxis={"title": "t, share of the way from R₁ to R₂", "anchor": "y2", "range": [0, 1]},
        yaxis={"title": "distance", "domain": [0.54, 1], "range": [-0.03, 1.05]},
        yaxis2={"title": "lost of R₁", "domain": [0, 0.44], "range": [-0.03, 1.05], "tickformat": ".0%"},
    )  # fmt: skip
    return drawn


@figure(
    guide="A point is a pair of random rewards: how far apart they are, and what is lost by taking one for the other "
    "(mean of both ways, as a share of what is at stake). The tighter the cloud rises from 0, the more a distance "
    "says. r and ρ are Pearson's and Spearman's correlation, in brackets 95% intervals over worlds. The star is the "
    "pair of this page.",
    columns=("regret",),
)
def regret_cloud(
    frame: pl.DataFrame, *, theme: str, correlations: pl.DataFrame, here: Mapping[str, float] | None = None,
    columns: int = 3, height: int = 0,
) -> go.Figure:  # fmt: skip
    """Distance against regret over random pairs of rewards, a panel per distance.

    Args:
        frame: `lab.studies.distance_study`.
        theme: "light" or "dark".
        correlations: `lab.studies.regret_correlations` of the same frame; its distances are drawn, in its order.
        here: A pair to be marked: "regret" and the name of each distance to its value.
        columns: Panels side by side.
        height: In pixels; 0: by the number of panels.
    """
    colors, across = palette(theme), min(columns, correlations.height)
    rows = -(-correlations.height // across)
    traces: list[dict[str, Any]] = []
    layout: dict[str, Any] = {"height": height or 90 + 260 * rows, "hovermode": "closest", "margin": {"t": 56, "l": 56}}
    titles = []
    for place, row in enumerate(correlations.iter_rows(named=True)):
        name, axis = row["distance"], str(place + 1) if place else ""
        x = {"rangemode": "tozero", "nticks": 6, "title": "distance"}
        y = {"range": [-0.03, 1.03], "tickformat": ".0%", "title": "regret"}
        below = _BELOW if rows < 3 else 0.13
        layout |= panel(place, correlations.height, across, x, y, beside=_BESIDE, below=below)
        point = {"type": "scatter", "mode": "markers", "xaxis": f"x{axis}", "yaxis": f"y{axis}", "showlegend": False}
        traces.append(point | {
            "x": frame[name].to_numpy(), "y": frame["regret"].to_numpy(),
            "marker": {"size": 5, "color": fade(distance_color(name, theme), 0.45)},
            "hovertemplate": "distance %{x:.3f}, regret %{y:.1%}<extra></extra>",
        })  # fmt: skip
        if here is not None and name in here:
            traces.append(point | {
                "x": [here[name]], "y": [here["regret"]], "cliponaxis": False,
                "marker": {"size": 15, "symbol": "star", "color": colors.flip},
                "hovertemplate": "this pair: distance %{x:.3f}, regret %{y:.1%}<extra></extra>",
            })  # fmt: skip
        words = " · ".join(
            f"{sign} {row[kind]:.2f} [{row[f'{kind}_low']:.2f}, {row[f'{kind}_high']:.2f}]"
            for sign, kind in (("r", "pearson"), ("ρ", "spearman"))
        )
        text = f"<b>{name}</b><br><span style='color:{colors.muted}'>{words}</span>"
        titles.append(heading(text, axis, theme, 13) | {"align": "left"})
    return go.Figure(data=traces, layout=layout | {"annotations": titles})
