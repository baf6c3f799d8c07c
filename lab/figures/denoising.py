"""A flow's samples on their way from noise to data, and what becomes of their variety."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from lab.figures.figure import figure
from lab.figures.theme import fade, palette, shade, style

__all__ = ["denoising_paths", "flow_quality"]

_EDGES = (-9.0, -1.0, -0.25, 0.25, 1.0, 9.0)
_CLASSES = ("≤ −1", "−1 to −¼", "about 0", "¼ to 1", "≥ 1")
_SHARES, _SYMBOLS = (-1.0, -0.5, 0.0, 0.5, 1.0), ("triangle-down", "triangle-down", "circle", "triangle-up",
                                                 "triangle-up")  # fmt: skip
_HALF = 3.0
_QUALITY = {"reward": "reward", "modes": "modes per prompt", "within": "share near a mode",
            "energy": "energy distance"}  # fmt: skip


@figure(
    guide="Each line is a sample on its way from noise to data, as far as the slider says. A piece is coloured by "
    "the advantage of its denoising step: blue ▲ is made likelier, orange ▼ less likely. Shading is the reward, rings "
    "are the modes of the data. All methods have the same noise; samples that end in one ring have lost their variety.",
    columns=("variant", "rollout", "position", "x", "y", "advantage"),
)
def denoising_paths(
    frame: pl.DataFrame, *, theme: str, landscape: pl.DataFrame | None = None,
    modes: Sequence[Sequence[float]] = (), ring: float = 0.45,
) -> go.Figure:  # fmt: skip
    """Paths of a group under several methods, a frame for each denoising step.

    Args:
        frame: `lab.studies.denoising_study`, the first frame, of one or more methods.
        theme: "light" or "dark".
        landscape: `lab.studies.reward_landscape`.
        modes: Centres of the data's modes.
        ring: Radius of the ring around each.
    """
    variants = frame["variant"].unique(maintain_order=True).to_list()
    drawn = make_subplots(cols=len(variants), subplot_titles=variants, horizontal_spacing=0.03)
    for column in range(1, len(variants) + 1):
        _ground(drawn, column, theme, landscape, modes, ring)
    fixed, last = len(drawn.data), max(frame["position"].to_list())
    for column, variant in enumerate(variants, start=1):
        for trace in _upto(frame.filter(variant=variant), last, theme, column == 1):
            drawn.add_trace(trace, row=1, col=column)
    moving = list(range(fixed, len(drawn.data)))
    drawn.frames = [
        go.Frame(name=str(k), traces=moving,
                 data=[t for v in variants for t in _upto(frame.filter(variant=v), k, theme, v == variants[0])])
        for k in range(last + 1)
    ]  # fmt: skip
    _controls(drawn, last, theme)
    drawn.update_layout(meta={"wide": len(variants) > 1})  # squares side by side have no use for a tall window
    return drawn


def _ground(drawn: go.Figure, column: int, theme: str, landscape: pl.DataFrame | None, modes: Any, ring: float) -> None:
    """Reward, rings and axes of one method."""
    colors = palette(theme)
    if landscape is not None:
        scale = [[0.0, colors.paper], [1.0, "#bfe3d6" if theme == "light" else "#1d4a40"]]
        drawn.add_heatmap(x=landscape["x"], y=landscape["y"], z=landscape["reward"], colorscale=scale, zmin=0,
                          zmax=_most(landscape), showscale=False, zsmooth="best", hoverinfo="skip", row=1,
                          col=column)  # fmt: skip
    for x, y in modes:
        drawn.add_shape(type="circle", x0=x - ring, x1=x + ring, y0=y - ring, y1=y + ring, row=1, col=column,
                        line={"color": colors.muted, "width": 1, "dash": "dot"})  # fmt: skip
    hidden = {"showgrid": False, "showline": False, "ticks": "", "showticklabels": False, "row": 1, "col": column}
    drawn.update_xaxes(range=[-_HALF, _HALF], constrain="domain", **hidden)
    anchor = "x" if column == 1 else f"x{column}"
    drawn.update_yaxes(range=[-_HALF, _HALF], scaleanchor=anchor, constrain="domain", **hidden)


def _most(landscape: pl.DataFrame) -> float:
    """The most that one reward pays, or where there are several the most of their sum."""
    return max(1.0, float(landscape["reward"].to_numpy().max()))


def _upto(one: pl.DataFrame, last: int, theme: str, legend: bool) -> list[go.Scatter]:
    """The pieces of the paths that are there after `last` denoising steps, by class of advantage, and the samples."""
    ordered = one.sort("rollout", "position")
    before = pl.col("x", "y").shift(1).over("rollout").name.prefix("from_")
    pieces = ordered.with_columns(before).filter(pl.col("position").is_between(1, last))
    ends = ordered.filter(position=last).with_columns(pl.col("advantage").fill_null(0.0))
    traces = []
    for place, (low, high) in enumerate(pairwise(_EDGES)):
        held = pl.col("advantage").clip(-8.9, 8.9).is_between(low, high, closed="left")
        color = shade(_SHARES[place], theme) if _SHARES[place] else palette(theme).axis
        look = {"name": _CLASSES[place], "legendgroup": str(place)}
        xs, ys = _broken(pieces.filter(held))
        traces.append(go.Scatter(x=xs, y=ys, mode="lines", line={"color": fade(color, 0.6), "width": 1.5},
                                 showlegend=False, hoverinfo="skip", **look))  # fmt: skip
        at = ends.filter(held)
        traces.append(go.Scatter(
            x=at["x"].to_list() or [None], y=at["y"].to_list() or [None], customdata=at["advantage"], mode="markers",
            marker={"color": color, "symbol": _SYMBOLS[place], "size": 9,
                    "line": {"color": palette(theme).text, "width": 0.8}},
            showlegend=legend, hovertemplate="advantage %{customdata:.2f}<extra></extra>", **look,
        ))  # fmt: skip
    return traces


def _broken(pieces: pl.DataFrame) -> tuple[list[float | None], list[float | None]]:
    """Pieces as one line with gaps."""
    rows = pieces.select("from_x", "x", "from_y", "y").rows()
    return [v for a, b, _, _ in rows for v in (a, b, None)], [v for _, _, a, b in rows for v in (a, b, None)]


def _controls(drawn: go.Figure, last: int, theme: str) -> None:
    """Play, and a slider over the denoising steps; the frames are in the figure, so nothing is asked of anybody."""
    colors = palette(theme)
    still = {"mode": "immediate", "frame": {"duration": 0, "redraw": False}, "transition": {"duration": 0}}
    moving = {"fromcurrent": False, "frame": {"duration": 350, "redraw": False}, "transition": {"duration": 0}}
    steps = [{"label": str(k), "method": "animate", "args": [[str(k)], still]} for k in range(last + 1)]
    play = {"label": "▶ Play", "method": "animate", "args": [[str(k) for k in range(last + 1)], moving]}
    drawn.update_layout(
        height=520, hovermode="closest", margin={"l": 8, "r": 8, "t": 76, "b": 8},
        legend={"title": {"text": "advantage of the step "}, "y": 1.09},
        sliders=[{
            "active": last, "steps": steps, "x": 0.13, "len": 0.87, "y": 0, "pad": {"t": 12, "b": 4},
            "currentvalue": {"prefix": "denoising step ", "font": {"color": colors.text, "size": 13}},
            "font": {"color": colors.muted, "size": 12}, "bgcolor": colors.panel, "bordercolor": colors.axis,
            "activebgcolor": colors.axis, "tickcolor": colors.axis,
        }],
        updatemenus=[{
            "type": "buttons", "buttons": [play], "showactive": False, "x": 0, "xanchor": "left", "y": 0,
            "yanchor": "top", "pad": {"t": 26}, "bgcolor": colors.panel, "bordercolor": colors.axis,
            "font": {"color": colors.text, "size": 13},
        }],
    )  # fmt: skip


@figure(
    guide="Reward beside variety over the training steps; step 0 is the pretrained flow. Modes per prompt: how many of "
    "the data's modes the samples of a prompt use (exp of the entropy of their shares). Reward that rises while modes "
    "fall to 1 is bought with variety. Energy distance is 0 where samples are spread like the data.",
    columns=("variant", "step", *_QUALITY),
)
def flow_quality(frame: pl.DataFrame, *, theme: str) -> go.Figure:
    """Four measurements of a flow's samples over the steps of a run, a line per method.

    Args:
        frame: `lab.studies.denoising_study`, the second frame, of one or more methods.
        theme: "light" or "dark".
    """
    drawn = make_subplots(rows=2, cols=2, subplot_titles=list(_QUALITY.values()), vertical_spacing=0.18)
    for place, name in enumerate(_QUALITY):
        for variant in frame["variant"].unique(maintain_order=True):
            one, look = frame.filter(variant=variant), style(variant, theme)
            drawn.add_scatter(x=one["step"], y=one[name], mode="lines+markers", name=variant, legendgroup=variant,
                              line=look.line, marker={"symbol": look.symbol, "size": 7}, showlegend=place == 0,
                              row=place // 2 + 1, col=place % 2 + 1)  # fmt: skip
    drawn.update_xaxes(title="training step", row=2)
    drawn.update_yaxes(rangemode="tozero")
    drawn.update_layout(height=520, legend={"y": 1.08})
    return drawn
