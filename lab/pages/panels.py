"""The Streamlit home of each kind of panel."""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch
from typing import Any

import streamlit as st

from lab.explorers.panels import AnyPanel, Card, Cards, Live, Panel, Table, Texts, Words
from lab.pages import live
from lab.pages.shell import Page

__all__ = ["panel"]


def panel(page: Page, each: AnyPanel, *, fill: bool = False) -> None:
    """Draws a panel below its heading; `fill` gives a figure the height that is left on the first screen."""
    if isinstance(each, Table | Words) and each.folded:
        with st.expander(each.heading):
            _draw(each, page, fill)
        return
    if each.heading:
        st.subheader(each.heading, anchor=False)
    _draw(each, page, fill)


@singledispatch
def _draw(each: AnyPanel, page: Page, fill: bool) -> None:
    raise TypeError(f"{type(each).__name__} has no home here")


@_draw.register
def _(each: Panel, page: Page, fill: bool) -> None:
    page.draw(each, fill=fill)


@_draw.register
def _(each: Words, page: Page, fill: bool) -> None:
    st.markdown(each.text)
    st.caption(each.guide)


@_draw.register
def _(each: Table, page: Page, fill: bool) -> None:
    shown, picks = each.shown.drop(each.hidden), each.picks
    key = f"{page.slug}-table-{each.heading}-{each.key}"
    if picks is None:
        st.dataframe(shown, hide_index=True, key=key)
    else:

        def heard() -> None:
            for row in st.session_state[key].selection.rows[:1]:
                page.set(**picks(each.frame.row(row, named=True)))

        st.dataframe(shown, hide_index=True, key=key, on_select=heard, selection_mode="single-row")
    st.caption(each.reading)


@_draw.register
def _(each: Texts, page: Page, fill: bool) -> None:
    for words, text in each.shown:
        st.caption(words)
        st.code(text, language=None, wrap_lines=True)
    st.caption(each.guide)


@_draw.register
def _(each: Cards, page: Page, fill: bool) -> None:
    for place, card in enumerate(each.cards):
        _card(page, card, place)
    st.caption(each.guide)


def _card(page: Page, card: Card, place: int) -> None:
    """A frame with a button that chooses, what it says, and more when it is asked for."""
    with st.container(border=True, gap="xsmall", key=f"card-{place}{'-chosen' * card.chosen}"):
        st.button(card.label, key=page.key(f"card {place}"), on_click=page.set, kwargs=dict(card.changes),
                  type="primary" if card.chosen else "secondary", width="stretch")  # fmt: skip
        st.markdown(card.text)
        for line in card.details:
            st.caption(line)
        if card.more:
            with st.popover("Why this counts", type="tertiary"):
                for line in card.more:
                    st.markdown(line)


@_draw.register
def _(each: Live, page: Page, fill: bool) -> None:
    def heard(change: Mapping[str, Any]) -> None:
        state = {known.name: st.session_state[page.key(known.name)] for known in page.properties}
        page.set(**each.heard(state, change))

    live.mount(each.module, page.ask(each.data, page.theme), heard)
    st.caption(each.reading)
