"""The verdicts of all claims at a glance."""

from __future__ import annotations

import html
import textwrap
from typing import Any

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from lab.figures.figure import figure
from lab.figures.theme import Palette, palette

__all__ = ["claim_map"]

_SHAPES = {"claim": "circle", "check": "square", "limit": "diamond", "headline": "star"}
_UNKNOWN = "not measured yet"
_BAR, _BELOW = 0.32, 0.36  # half the length of a full bar, and how far below its mark it lies, of a cell


@figure(
    guide="A row is a paper, a mark one of its claims. A star is what the abstract promises, on a fair track; a circle "
    "a claim, held if it fails without the method; a square an identity; a diamond a limit, held while the measurement "
    "still shows it. The bar below a mark is the part of the way from the value to its criterion that lies outside the "
    "95% interval: a full bar is far from the criterion, none touches it, and without a number there is no track.",
    columns=("paper", "id", "place", "kind", "sentence", "verdict", "room", "differs"),
)
def claim_map(frame: pl.DataFrame, *, theme: str, row_height: int = 20, blocks: int = 2) -> go.Figure:
    """Claims in rows by paper, marked by kind and verdict, with how far each is from its criterion.

    Args:
        frame: `lab.papers.ledger.Ledger.frame`: paper, id, place, kind, sentence, verdict, room (0 to 1, null where
            there is no number), differs (measured here, and not as recorded).
        theme: "light" or "dark".
        row_height: Height of a paper's row in pixels.
        blocks: Papers side by side.
    """
    colors = palette(theme)
    papers = frame["paper"].unique(maintain_order=True).to_list()
    rows = -(-len(papers) // blocks)
    at = pl.col("paper").replace_strict({name: i for i, name in enumerate(papers)}, return_dtype=pl.Int64)
    placed = frame.with_columns(block=at // rows + 1, row=at % rows)
    drawn = make_subplots(cols=blocks, horizontal_spacing=0.19)
    for (block,), part in placed.group_by("block", maintain_order=True):
        _bars(drawn, part, colors, int(block))
        _marks(drawn, part, colors, int(block))
    _legend(drawn, colors)
    drawn.update_layout(height=100 + row_height * rows, hovermode="closest", margin={"t": 76, "b": 8, "l": 120})
    drawn.update_xaxes(visible=False, range=[0.4, float(frame["place"].max() or 1) + 0.6])  # type: ignore[arg-type]
    for block in range(1, blocks + 1):
        names = papers[(block - 1) * rows : block * rows]
        drawn.update_yaxes(range=[rows - 0.4, -0.6], tickvals=list(range(len(names))), ticktext=names, showline=False,
                           ticks="", col=block)  # fmt: skip
    return drawn


def _looks(colors: Palette) -> dict[str, tuple[str, str, str]]:
    """Verdict -> colour, ending of the symbol, words in the legend."""
    good, bad, quiet = colors.hues[2], colors.flip, colors.muted
    return {
        "holds": (good, "", "claim: held"), "fails": (bad, "-x-open", "not held"),
        "does not distinguish": (colors.hues[1], "-open-dot", "does not distinguish"),
        "shown": (good, "", "headline: shown"),
        "not shown here": (colors.text, "-open-dot", "headline: not shown here"),
        "reversed here": (bad, "-triangle-down", "headline: reversed here"), _UNKNOWN: (quiet, "-open", _UNKNOWN),
    }  # fmt: skip


def _marks(drawn: go.Figure, part: pl.DataFrame, colors: Palette, block: int) -> None:
    looks = _looks(colors)
    verdict = pl.when(pl.col("verdict").is_in(list(looks))).then("verdict").otherwise(pl.lit(_UNKNOWN))
    for (name,), some in part.with_columns(verdict=verdict).group_by("verdict", maintain_order=True):
        color, ending, _ = looks[str(name)]
        drawn.add_scatter(
            x=some["place"].to_numpy(), y=some["row"].to_numpy(), mode="markers", name=str(name), showlegend=False,
            marker=_mark([_SHAPES[kind] + ending for kind in some["kind"]], color),
            hovertext=[_words(row) for row in some.iter_rows(named=True)], hovertemplate="%{hovertext}<extra></extra>",
            row=1, col=block,
        )  # fmt: skip
    other = part.filter(pl.col("differs").fill_null(value=False))
    drawn.add_scatter(x=other["place"].to_numpy(), y=other["row"].to_numpy(), mode="markers", showlegend=False,
                      marker=_ring(colors), hoverinfo="skip", name="differs", row=1, col=block)  # fmt: skip


def _bars(drawn: go.Figure, part: pl.DataFrame, colors: Palette, block: int) -> None:
    """The track of each claim that has a number, and on it how far the claim is from its criterion."""
    known = part.drop_nulls("room")
    for color, room in ((colors.grid, [1.0] * known.height), (colors.text, known["room"].to_list())):
        x: list[float | None] = []
        y: list[float | None] = []
        for place, row, share in zip(known["place"], known["row"], room, strict=True):
            x += [place - _BAR, place - _BAR + 2 * _BAR * share, None]
            y += [row + _BELOW, row + _BELOW, None]
        drawn.add_scatter(x=x, y=y, mode="lines", line={"color": color, "width": 2}, hoverinfo="skip",
                          showlegend=False, name="room", row=1, col=block)  # fmt: skip


def _legend(drawn: go.Figure, colors: Palette) -> None:
    """An entry for every kind and verdict, whether or not there is one of it."""
    marks: list[tuple[str, dict[str, Any]]] = []
    for color, ending, words in _looks(colors).values():
        shape = "star" if words.startswith("headline") else "circle"
        marks.append((words, _mark(shape + ending, color)))
    marks[1:1] = [(f"{kind}: held", _mark(_SHAPES[kind], colors.hues[2])) for kind in ("check", "limit")]
    marks.append(("measured here, and differs", _ring(colors)))
    for name, mark in marks:
        drawn.add_scatter(x=[None], y=[None], mode="markers", name=name, marker=mark)
    drawn.add_scatter(x=[None], y=[None], mode="lines", name="way to the criterion beyond doubt",
                      line={"color": colors.text, "width": 2})  # fmt: skip


def _mark(symbol: Any, color: str) -> dict[str, Any]:
    return {"symbol": symbol, "size": 12, "color": color, "line": {"color": color, "width": 1.5}}


def _ring(colors: Palette) -> dict[str, Any]:
    return {"symbol": "circle-open", "size": 21, "color": colors.flip, "line": {"width": 2}}


def _words(row: dict[str, Any]) -> str:
    sentence = "<br>".join(html.escape(line) for line in textwrap.wrap(row["sentence"], 70))
    room = "" if row["room"] is None else f"<br>{row['room']:.0%} of the way to the criterion lies beyond doubt"
    return f"<b>{row['id']}</b>: {row['verdict']}<br>{sentence}{room}"
