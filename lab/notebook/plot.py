"""A Plotly figure as a widget that is sent what is new, and plotly.js once for all of them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import plotly.graph_objects as go
import traitlets
from plotly.offline import get_plotlyjs

__all__ = ["Plot", "plain"]


def plain(figure: go.Figure) -> dict[str, Any]:
    """A figure as JSON has it."""
    return dict(json.loads(figure.to_json()))


class _Library(ipywidgets.Widget):
    """plotly.js, which shows nothing by itself."""

    source = traitlets.Unicode().tag(sync=True)


@cache
def _library() -> _Library:
    return _Library(source=get_plotlyjs())


class Plot(anywidget.AnyWidget):
    """A figure that is drawn in place: `draw(figure)` shows another one, without a new widget.

    Plotly's own FigureWidget sends plotly.js, five megabytes, with every figure.
    """

    _esm = Path(__file__).with_name("plot.js").read_text(encoding="utf-8")
    figure = traitlets.Dict().tag(sync=True)
    library = traitlets.Instance(ipywidgets.Widget).tag(sync=True, **ipywidgets.widget_serialization)

    def __init__(self, figure: go.Figure) -> None:
        super().__init__(figure=plain(figure), library=_library())

    def draw(self, figure: go.Figure) -> None:
        """Shows another figure."""
        self.figure = plain(figure)
