"""The verdicts of all claims at a glance."""

from __future__ import annotations

import html
import textwrap

import plotly.graph_objects as go
import polars as pl

from lab.figures.figure import figure
from lab.figures.theme import palette

__all__ = ["claim_map"]

_SHAPES = {"claim": "circle", "limit": "diamond", "headline": "star"}


@figure(
    guide="A row is a paper, a mark one of its claims: filled where it was measured and holds, crossed where it fails "
    "or holds without its method too, hollow where it was not measured yet. Diamonds are limits, which hold while the "
    "measurement still shows them; a star is what the abstract promises: filled where it is shown here, crossed where "
    "the opposite is.",
    columns=("paper", "id", "place", "kind", "sentence", "verdict"),
)
def claim_map(frame: pl.DataFrame, *, theme: str, row_height: int = 26) -> go.Figure:
    """Claims in rows by paper, marked by verdict.

    Args:
        frame: `lab.papers.ledger.Ledger.frame`: paper, id, place, kind, sentence, verdict.
        theme: "light" or "dark".
        row_height: Height of a paper's row in pixels.
    """
    colors = palette(theme)
    good, bad = (colors.hues[2], ""), (colors.flip, "-x")
    looks = {"holds": good, "shown": good, "fails": bad, "does not distinguish": bad, "reversed here": bad,
             "not shown here": (colors.muted, ""), "": (colors.muted, "-open")}  # fmt: skip
    drawn = go.Figure()
    for verdict, (color, ending) in looks.items():
        known = pl.col("verdict").is_in([name for name in looks if name])
        some = frame.filter((pl.col("verdict") == verdict) if verdict else ~known)
        words = [
            f"<b>{i}</b>: {v}<br>{_wrapped(s)}" for i, v, s in some.select("id", "verdict", "sentence").iter_rows()
        ]
        if verdict and some.is_empty():
            continue
        shapes = [_SHAPES[kind] + ending for kind in some["kind"]]
        drawn.add_scatter(
            x=some["place"].to_numpy(), y=some["paper"], mode="markers", name=verdict or "not measured yet",
            marker={"symbol": shapes, "size": 14, "color": color, "line": {"color": color, "width": 2}},
            hovertext=words, hovertemplate="%{hovertext}<extra></extra>",
        )  # fmt: skip
    rows = frame["paper"].unique(maintain_order=True).to_list()
    drawn.update_layout(height=70 + row_height * len(rows), hovermode="closest", margin={"t": 34, "b": 12, "l": 90})
    drawn.update_xaxes(visible=False, range=[0.4, float(frame["place"].max() or 1) + 0.6])  # type: ignore[arg-type]
    drawn.update_yaxes(categoryorder="array", categoryarray=rows[::-1], showline=False, ticks="")
    return drawn


def _wrapped(sentence: str) -> str:
    return "<br>".join(html.escape(line) for line in textwrap.wrap(sentence, 70))
