"""The further numbers of a measurement: what a claim compared, one panel per quantity."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import polars as pl
import polars.selectors as cs
from plotly.subplots import make_subplots

from lab.figures.figure import figure
from lab.figures.marks import whiskers
from lab.figures.theme import palette

__all__ = ["claim_detail"]

PANELS, ROWS = 4, 40
_BOUNDS = ("low", "high")


@figure(
    guide="A row is one thing that the claim compared, a panel one quantity with an axis of its own. Bars are 95% "
    "intervals where there are any; where there are none the number is exact or a single measurement.",
)
def claim_detail(frame: pl.DataFrame, *, theme: str, row_height: int = 24) -> go.Figure:
    """Dots of each quantity by what was compared.

    Args:
        frame: `lab.papers.record.Measurement.frame`: texts and whole numbers name the row, the other numbers are
            quantities; columns low and high (or <quantity>_low and <quantity>_high) are intervals.
        theme: "light" or "dark".
        row_height: In pixels.
    """
    some = frame.head(ROWS)
    quantities = [c for c in some.select(cs.float()).columns if not c.endswith(_BOUNDS)][:PANELS]
    names = _names(some)
    color = palette(theme).hues[0]
    drawn = make_subplots(cols=max(len(quantities), 1), shared_yaxes=True, horizontal_spacing=0.03)
    for place, quantity in enumerate(quantities, start=1):
        shown = some[quantity].to_numpy()
        drawn.add_scatter(
            x=shown, y=list(range(some.height)), mode="markers", marker={"size": 9, "color": color}, showlegend=False,
            error_x=_bars(some, quantity, first=place == 1, color=color), customdata=names,
            hovertemplate="%{customdata}: %{x:.4g}<extra></extra>", row=1, col=place,
        )  # fmt: skip
        drawn.update_xaxes(title=quantity.replace("_", " "), nticks=5, row=1, col=place)
    drawn.update_yaxes(range=[some.height - 0.5, -0.5], tickvals=list(range(some.height)), showgrid=True)
    drawn.update_yaxes(ticktext=names, col=1)
    drawn.update_layout(height=90 + row_height * some.height, hovermode="closest", margin={"t": 12})
    return drawn


def _names(frame: pl.DataFrame) -> list[str]:
    """What each row is about: its texts, and its whole numbers with their names."""
    texts = frame.select(cs.string()).columns
    counts = frame.select(cs.integer() | cs.boolean()).columns
    rows = frame.iter_rows(named=True)
    found = [", ".join([*(str(r[c]) for c in texts), *(f"{c.replace('_', ' ')} {r[c]}" for c in counts)]) for r in rows]
    return found if any(found) else [str(place) for place in range(1, frame.height + 1)]


def _bars(frame: pl.DataFrame, quantity: str, first: bool, color: str) -> dict[str, Any] | None:
    """Interval of a quantity, from columns of its own or, for the first quantity, from low and high."""
    for low, high in ((f"{quantity}_low", f"{quantity}_high"), _BOUNDS if first else ("", "")):
        if low in frame.columns and high in frame.columns:
            return whiskers(frame, quantity, color, (low, high), thickness=None, width=None)
    return None
