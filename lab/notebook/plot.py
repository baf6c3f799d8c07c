"""A Plotly figure as a widget that is sent what is new, and plotly.js once for all of them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import anywidget
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from lab.notebook.sent import SENT, Sent, sent

__all__ = ["Plot", "plain"]


def plain(figure: go.Figure) -> dict[str, Any]:
    """A figure as JSON has it."""
    return dict(json.loads(figure.to_json()))


@cache
def _library() -> Sent:
    return Sent(value=get_plotlyjs())


class Plot(anywidget.AnyWidget):
    """A figure that is drawn in place: `draw(figure)` shows another one, without a new widget.

    Plotly's own FigureWidget sends plotly.js, five megabytes, with every figure.
    """

    _esm = SENT + Path(__file__).with_name("plot.js").read_text(encoding="utf-8")
    figure = sent()
    library = sent()

    def __init__(self, figure: go.Figure) -> None:
        super().__init__(figure=Sent(value=plain(figure)), library=_library())

    def draw(self, figure: go.Figure) -> None:
        """Shows another figure."""
        self.figure.value = plain(figure)
