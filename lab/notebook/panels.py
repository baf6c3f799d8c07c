"""The notebook home of the panels that are no pictures: words, tables, texts, cards."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from functools import singledispatch
from typing import Any

import ipywidgets
from markdown_it import MarkdownIt

from lab.explorers.panels import AnyPanel, Card, Cards, Table, Texts, Words

__all__ = ["html_of", "shown"]

_BADGE = re.compile(r":(?:\w+-badge|small)\[([^\]]*)\]?")
_ROWS = 12  # of a table
_LETTERS = 60  # of a row among those that may be chosen

Tell = Callable[[Mapping[str, Any]], None]


def html_of(text: str) -> str:
    """Markdown as HTML; what it holds of HTML is shown letter by letter."""
    rendered: str = MarkdownIt("commonmark", {"html": False}).enable("table").render(_BADGE.sub(r"\1", text))
    return rendered


def shown(panel: AnyPanel, tell: Tell) -> Any:
    """The widget of a panel below its heading; `tell(changes)` is called when something is chosen in it."""
    inside = ipywidgets.VBox(_inside(panel, tell))
    if isinstance(panel, Table | Words) and panel.folded:
        return ipywidgets.Accordion([inside], titles=(panel.heading,))
    heading = [_small(f"<b>{html.escape(panel.heading)}</b>")] if panel.heading else []
    return ipywidgets.VBox([*heading, inside])


@singledispatch
def _inside(panel: AnyPanel, tell: Tell) -> list[Any]:
    raise TypeError(f"{type(panel).__name__} has no home here")


def _small(words: str) -> Any:
    return ipywidgets.HTML(words)


def _guide(words: str) -> list[Any]:
    return [_small(f"<small>{html.escape(words)}</small>")] if words else []


@_inside.register
def _(panel: Words, tell: Tell) -> list[Any]:
    return [_small(html_of(panel.text)), *_guide(panel.guide)]


@_inside.register
def _(panel: Table, tell: Tell) -> list[Any]:
    rows, picks = panel.shown.drop(panel.hidden), panel.picks
    widgets = [_small(rows.head(_ROWS)._repr_html_()), *_guide(panel.reading)]
    if picks is None or rows.is_empty():
        return widgets
    words = [", ".join(str(cell) for cell in row if cell != "")[:_LETTERS] for row in rows.rows()]
    choice = ipywidgets.Dropdown(options=[("Choose a row …", -1), *((w, i) for i, w in enumerate(words))], value=-1)
    choice.observe(lambda change: tell(picks(panel.frame.row(change["new"], named=True))), names="value")
    return [choice, *widgets]


@_inside.register
def _(panel: Texts, tell: Tell) -> list[Any]:
    texts = [_small(f'<small>{html.escape(words)}</small><pre style="white-space: pre-wrap">{html.escape(text)}</pre>')
             for words, text in panel.shown]  # fmt: skip
    return [*texts, *_guide(panel.guide)]


@_inside.register
def _(panel: Cards, tell: Tell) -> list[Any]:
    return [*(_card(card, tell) for card in panel.cards), *_guide(panel.guide)]


def _card(card: Card, tell: Tell) -> Any:
    """What a card says, with a button that chooses it, and the rest folded."""
    button = ipywidgets.Button(description="shown" if card.chosen else "show", disabled=card.chosen)
    button.on_click(lambda _: tell(card.changes))
    said = html_of("\n\n".join([f"**{card.label}**", card.text, *card.details]))
    more = [ipywidgets.Accordion([_small(html_of("\n\n".join(card.more)))], titles=("Why this counts",))]
    return ipywidgets.VBox([_small(said), button, *(more if card.more else [])])
