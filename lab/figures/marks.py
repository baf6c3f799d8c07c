"""What pictures share: points with their intervals, axes of shares, panels in rows and their headings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl

from lab.figures.theme import palette

__all__ = ["ON_TOP", "SHARE", "bounds", "heading", "panel", "points", "tiles", "whiskers", "whole"]

_FEW = 5  # steps that each have a tick

#: An axis of shares of a whole.
SHARE: Mapping[str, Any] = {"tickformat": ".0%", "rangemode": "tozero"}

#: A legend at the upper edge of the picture, however high it is; the margin leaves room for it and for headings.
ON_TOP: Mapping[str, Any] = {"yref": "container", "y": 1, "yanchor": "top"}


def whole(steps: Any) -> dict[str, Any]:
    """An axis of steps, with whole numbers alone: Plotly puts ticks between two steps where there are few."""
    few = len(steps) > 0 and max(steps) - min(steps) <= _FEW
    return {"tickformat": "d"} | ({"dtick": 1} if few else {})


def bounds(frame: pl.DataFrame) -> np.ndarray:
    """The interval of each row [n, 2], from the columns low and high: what a hover text says beside a mean."""
    return np.stack([frame["low"].to_numpy(), frame["high"].to_numpy()], -1)


def whiskers(
    frame: pl.DataFrame, value: str, color: str, ends: tuple[str, str] = ("low", "high"), **look: Any
) -> dict[str, Any]:
    """Error bars around the column `value`, from the two columns that hold its interval."""
    low, high = ends
    return {
        "type": "data", "symmetric": False, "color": color, "thickness": 1.4, "width": 4,
        "array": (frame[high] - frame[value]).to_numpy(), "arrayminus": (frame[value] - frame[low]).to_numpy(),
    } | look  # fmt: skip


def points(
    drawn: go.Figure, x: Any, frame: pl.DataFrame, value: str, *, color: str, symbol: str = "circle", size: int = 8,
    **more: Any,
) -> None:  # fmt: skip
    """Simulated shares as points with their 95% intervals, upright at the places `x`."""
    drawn.add_scatter(
        x=x, y=frame[value].to_numpy(), error_y=whiskers(frame, value, color), mode="markers",
        marker={"size": size, "color": color, "symbol": symbol}, customdata=bounds(frame),
        hovertemplate="drawn: %{y:.1%} (%{customdata[0]:.1%} to %{customdata[1]:.1%})", **more,
    )  # fmt: skip


def panel(
    place: int, panels: int, across: int, x: Mapping[str, Any], y: Mapping[str, Any], *, beside: float, below: float
) -> dict[str, Any]:
    """Layout of both axes of one of several panels; titles stand only in the lowest row and in the first column.

    Args:
        place: Which panel, row by row, from 0.
        panels: How many there are.
        across: Panels side by side.
        x: The upright position aside, what the horizontal axis is; its "title" is a text.
        y: Likewise the vertical axis.
        beside: Room between columns, as a share of the picture.
        below: Room between rows.
    """
    rows, (row, column) = -(-panels // across), divmod(place, across)
    axis = str(place + 1) if place else ""
    width, tall = (1 - beside * (across - 1)) / across, (1 - below * (rows - 1)) / rows
    left, bottom = column * (width + beside), max(0.0, 1 - tall - row * (tall + below))
    whole = {
        "x": {**x, "domain": [left, left + width], "anchor": f"y{axis}"},
        "y": {**y, "domain": [bottom, bottom + tall], "anchor": f"x{axis}"},
    }
    for way, words in (("x", x.get("title") if place + across >= panels else None), ("y", y.get("title"))):
        whole[way]["title"] = None if words is None else {"text": words * (way == "x" or column == 0), "standoff": 4}
    return {f"{way}axis{axis}": settings for way, settings in whole.items()}


def tiles(place: int, panels: int, beside: float, **plain: Any) -> dict[str, Any]:
    """Layout of the invisible axes of one of several maps side by side, square cells, the first row on top."""
    width, axis = (1 - beside * (panels - 1)) / panels, str(place + 1) if place else ""
    left, bare = place * (width + beside), {"visible": False} | plain
    return {
        f"xaxis{axis}": bare | {"domain": [left, left + width], "anchor": f"y{axis}"},
        f"yaxis{axis}": bare | {"autorange": "reversed", "scaleanchor": f"x{axis}", "anchor": f"x{axis}"},
    }


def heading(text: str, axis: str, theme: str, size: int = 14) -> dict[str, Any]:
    """Annotation above the left end of the panel whose axes end in `axis` ("", "2", ...)."""
    return {
        "text": text, "xref": f"x{axis} domain", "yref": f"y{axis} domain", "x": 0, "y": 1.02, "xanchor": "left",
        "yanchor": "bottom", "font": {"size": size, "color": palette(theme).text},
    }  # fmt: skip
