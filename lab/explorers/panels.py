"""The panels of a picture: figures, words, tables, texts, cards, and what answers while it is dragged.

Each home of explorers draws every kind. What is chosen in a panel is told as changes of the state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import plotly.graph_objects as go
import polars as pl

from lab.figures.figure import Figure

__all__ = ["AnyPanel", "Card", "Cards", "Live", "Panel", "State", "Table", "Texts", "Words"]

State = Mapping[str, Any]
Picks = Callable[[Mapping[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True)
class Panel:
    """One picture of a figure function.

    Attributes:
        figure: The figure function.
        frame: What it draws.
        heading: Words above it.
        options: Further options of the figure.
        guide: A reading guide in place of the figure's own.
        key: Tells it from another panel with the same figure.
        wide: Whether it takes the whole width; the first panel always does.
        picks: A point that was clicked (x, y) -> changes of the state.
    """

    figure: Figure
    frame: pl.DataFrame
    heading: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    guide: str = ""
    key: str = ""
    wide: bool = False
    picks: Picks | None = None

    def draw(self, theme: str = "light") -> go.Figure:
        """The Plotly figure in a theme."""
        return self.figure(self.frame, theme=theme, **self.options)

    @property
    def reading(self) -> str:
        """What to look at."""
        return self.guide or self.figure.guide

    @property
    def name(self) -> str:
        """Tells the panels of a picture apart."""
        return self.key or str(getattr(self.figure, "__name__", "figure"))


@dataclass(frozen=True)
class Words:
    """A panel of Markdown; what comes from outside went through `lab.text.plain`. `folded`: until it is asked for."""

    text: str
    heading: str = ""
    guide: str = ""
    wide: bool = False
    folded: bool = False


@dataclass(frozen=True)
class Table:
    """A panel with the first rows of a frame.

    Attributes:
        frame: The rows; no home shows more than `most`.
        heading: Words above it.
        guide: Words below it.
        wide: Whether it takes the whole width.
        folded: Whether it is shown when it is asked for.
        picks: A row that was chosen (column -> value) -> changes of the state.
        hidden: Columns that `picks` reads and nobody needs to see.
        key: Tells the rows that may be chosen from others.
        most: Rows that are shown.
    """

    frame: pl.DataFrame
    heading: str
    guide: str = ""
    wide: bool = True
    folded: bool = True
    picks: Picks | None = None
    hidden: Sequence[str] = ()
    key: str = ""
    most: int = 200

    @property
    def shown(self) -> pl.DataFrame:
        """The rows that are shown."""
        return self.frame.head(self.most)

    @property
    def reading(self) -> str:
        """What to look at, and how many rows there are beside those shown."""
        more = f"The first {self.most:,} of {self.frame.height:,} rows." if self.frame.height > self.most else ""
        return f"{self.guide} {more}".strip()


@dataclass(frozen=True)
class Texts:
    """A panel of texts from outside, each below its heading, shown letter by letter and cut where they are long."""

    texts: Sequence[tuple[str, str]]
    heading: str = ""
    guide: str = ""
    wide: bool = False
    most: int = 6_000

    @property
    def shown(self) -> list[tuple[str, str]]:
        """Headings and texts; of a long text its beginning and its end."""
        return [(words, self._cut(text)) for words, text in self.texts]

    def _cut(self, text: str) -> str:
        left = len(text) - self.most
        half = self.most // 2
        return text if left <= 0 else f"{text[:half]}\n[… {left:,} characters are not shown …]\n{text[-half:]}"


@dataclass(frozen=True)
class Card:
    """Something to choose among others; its words are Markdown, so what comes from outside went through `plain`.

    Attributes:
        label: What it is, in a few words.
        text: What it says.
        details: Words below, a line each.
        more: Words that are folded, a line each.
        changes: What choosing it does to the state.
        chosen: Whether it is the one that is shown.
    """

    label: str
    text: str
    details: Sequence[str] = ()
    more: Sequence[str] = ()
    changes: Mapping[str, Any] = field(default_factory=dict)
    chosen: bool = False


@dataclass(frozen=True)
class Cards:
    """A panel of cards, one of which is chosen."""

    cards: Sequence[Card]
    heading: str = ""
    guide: str = ""
    wide: bool = False


@dataclass(frozen=True)
class Live:
    """A picture that answers while it is dragged, drawn by a module of `lab/explorers/live`.

    Attributes:
        module: Name of the JavaScript module and its style sheet.
        data: What it draws in a theme.
        heard: What a change tells: the state and the module's words -> changes of the state.
        still: The same as a figure, for where nothing runs.
        heading: Words above it.
        wide: It always takes the whole width.
    """

    module: str
    data: Callable[[str], dict[str, Any]]
    heard: Callable[[State, Mapping[str, Any]], Mapping[str, Any]]
    still: Panel
    heading: str = ""
    wide: bool = True

    @property
    def reading(self) -> str:
        """What to look at."""
        return self.still.reading

    @property
    def name(self) -> str:
        """Tells the panels of a picture apart."""
        return self.module


AnyPanel = Panel | Words | Table | Texts | Cards | Live
