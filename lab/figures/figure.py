"""The decorator of figures: guide beside the function, template on the picture, columns of the frame checked."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go
import polars as pl

from lab.errors import InputError
from lab.figures.theme import template

__all__ = ["Figure", "figure"]


class Figure:
    """A figure function: `frame, *, theme="light", options -> go.Figure`, with its reading guide.

    Args:
        function: Draws the frame; it receives `theme` and need not set the template.
        guide: What to look at, which way is good, where chance lies.
        columns: Columns that the frame must have.
    """

    def __init__(self, function: Callable[..., go.Figure], guide: str, columns: tuple[str, ...]) -> None:
        functools.update_wrapper(self, function)
        self.function, self.guide, self.columns = function, guide, columns

    def __call__(self, frame: pl.DataFrame, *, theme: str = "light", **options: Any) -> go.Figure:
        """The picture of a tidy frame.

        Raises:
            InputError: The frame has no rows, or lacks a column that the figure draws.
        """
        name = getattr(self, "__name__", "figure")
        lacking = [column for column in self.columns if column not in frame.columns]
        if lacking:
            raise InputError(f"figure {name} needs the columns {', '.join(self.columns)}; {', '.join(lacking)} missing")
        if frame.is_empty():
            raise InputError(f"figure {name} was given a frame without rows")
        drawn = self.function(frame, theme=theme, **options)
        drawn.update_layout(template=template(theme), meta={**(drawn.layout.meta or {}), "guide": self.guide})
        return drawn


def figure(*, guide: str, columns: tuple[str, ...] = ()) -> Callable[[Callable[..., go.Figure]], Figure]:
    """Decorator: records the reading guide and the columns of a figure function.

    Args:
        guide: Two or three sentences, shown wherever the figure is shown.
        columns: Columns that the frame must have; a frame without them is an error that names them.
    """
    return lambda function: Figure(function, guide, columns)
