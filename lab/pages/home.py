"""The Streamlit home of explorers: any of them is drawn here, with its controls beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import streamlit as st

from lab.explorers import explorer, places
from lab.explorers.contract import ROOMS, Explorer, LeftOut, Offer, Picture
from lab.explorers.kept import watched_by
from lab.pages.background import Job
from lab.pages.panels import panel
from lab.pages.shell import Page
from lab.text import plain

__all__ = ["page_of", "rooms", "show", "started", "stop_button"]

AT_ONCE = 1.0  # seconds that a page waits for a picture before it shows how far it is


def show(name: str) -> None:
    """Draws the explorer of that name in the state of the address."""
    asked = explorer(name)
    page = Page(asked)
    state = page.open()
    with st.spinner("Working …"):
        settled = dict(page.ask(asked.settle, state))
    if changed := {name: value for name, value in settled.items() if value != state[name]}:
        page.set(**changed)
        st.rerun()
    _controls(page, asked, page.ask(asked.offer, state))
    picture = _drawn(page, asked, state)
    page.say(picture.sentence)
    with page.notices:
        for each in picture.left_out:
            _left_out(page, each)
    if picture.panels:
        with page.first:
            _first(page, picture)
    _rest(page, picture)
    page.finish(picture.code, picture.frame, picture.of, call=asked.call(state))
    if asked.follows(state):
        _follow(asked, state, repr(asked.edition(state)))


@st.fragment(run_every=4.0)
def _follow(asked: Explorer, state: Mapping[str, Any], seen: str) -> None:
    """Draws the page anew when there is something new."""
    if repr(asked.edition(state)) != seen:
        st.rerun()


def _first(page: Page, picture: Picture) -> None:
    """The most telling panel in the height that is left, with what stands beside it."""
    if picture.beside is None:
        panel(page, picture.panels[0], fill=True)
        return
    with st.container(key="pair", height="stretch"):
        with st.container(key="pair-picture", height="stretch"):
            panel(page, picture.panels[0], fill=True)
        with st.container(key="pair-beside"):
            panel(page, picture.beside)


def _controls(page: Page, asked: Explorer, offer: Offer) -> None:
    """What matters most on top, then a heading for each group; at the end what the place is."""
    shown = [each for each in asked.properties if each.drawn and each.matters(page.state) and each.name != asked.views]
    top = [each for each in shown if each.name in asked.first]
    groups: dict[str, list[Any]] = {}
    for each in shown:
        if each not in top:
            groups.setdefault(each.group or "Settings", []).append(each)
    with page.controls():
        for each in sorted(top, key=lambda each: asked.first.index(each.name)):
            _control(page, each.name, offer)
        if offer.about:
            st.caption(offer.about)
            if offer.others:
                with st.popover(f"The other {offer.number}", type="tertiary"):
                    st.markdown(offer.others)
        for group, members in groups.items():
            st.markdown(f"###### {group}")
            for each in members:
                _control(page, each.name, offer)


def _control(page: Page, name: str, offer: Offer) -> None:
    more: dict[str, Any] = {}
    if name in offer.options:
        more["options"] = offer.options[name]
    if name in offer.bounds:
        more["min_value"], more["max_value"] = offer.bounds[name]
    page.control(name, **more)


@st.cache_resource(max_entries=24, show_spinner=False)
def started(name: str, state: str, edition: str) -> Job:
    """The picture of a state (as JSON) and edition, begun once and kept, so that a second look is immediate."""

    def draw(**watching: Any) -> Picture:
        with watched_by(**watching):
            return explorer(name).picture(json.loads(state))

    return Job(draw)


def _drawn(page: Page, asked: Explorer, state: Mapping[str, Any]) -> Picture:
    """The picture of a state; where it takes longer, how far it is and a button that stops it."""
    settled = asked.name, json.dumps(state, sort_keys=True), repr(page.ask(asked.edition, state))
    before, work = st.session_state.get(page.key("job"), (settled, None))
    if before != settled and work.left(page.reader):
        started.clear(*before)
    job = started(*settled)
    st.session_state[page.key("job")] = settled, job
    if not job.wait(AT_ONCE, page.reader):
        page.say("Working …")
        with page.first:
            _watch(job, page.reader)
        st.stop()
    if job.stopped:
        with page.notices:
            st.info(f"Stopped after {job.share:.0%} of the work.")
            st.button("Run it to the end", on_click=started.clear, args=settled, icon=":material/play_arrow:")
    picture: Picture = page.ask(job.answer)
    return picture


@st.fragment(run_every=0.8)
def _watch(job: Job, reader: str) -> None:
    """How far the work is, and the button that stops it where it can be stopped."""
    if job.wait(0, reader):
        st.rerun()
    if not job.tells:
        st.progress(0.0, text="Computing …")
        return
    st.progress(job.share, text=f"{job.share:.0%} done")
    stop_button(job)


def stop_button(job: Job) -> None:
    """Stops work that nobody else looks at."""
    if job.readers > 1:
        st.caption("Another window looks at this run too, so it goes on; with another setting you leave it alone.")
    else:
        st.button("Stop and show what is there", on_click=job.stop, icon=":material/stop:")


def _left_out(page: Page, each: LeftOut) -> None:
    """What is left out and why, with a way to the worlds where it is not."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.warning(f"**{each.name}** is left out. {plain(each.why)}")
        for home in each.homes:
            st.button(f"Go to {places.place(home).label}", on_click=page.enter, args=("world", home),
                      key=page.key(f"go {each.name} {home}"))  # fmt: skip


def _rest(page: Page, picture: Picture) -> None:
    """Everything but the first panel, below the first screen."""
    beside = [each for each in picture.panels[1:] if not each.wide]
    if beside:
        with page.panels():
            for each in beside:
                with st.container():
                    panel(page, each)
    for each in picture.panels[1:]:
        if each.wide:
            panel(page, each)
    for action in picture.actions:
        st.button(action.label, on_click=page.set, kwargs=dict(action.changes), key=page.key(f"do {action.label}"))
    for note in picture.notes:
        st.caption(note)


def page_of(name: str) -> Any:
    """The explorer as a page of the app, at the address of its name."""
    asked = explorer(name)
    return st.Page(partial(show, name), title=asked.label, url_path=asked.path)


def rooms(pages: Mapping[str, Sequence[Any]]) -> None:
    """What a visitor may come for, with a link to each page."""
    with st.container(key="rooms"):
        for room, members in pages.items():
            with st.container(border=True, gap="xsmall"):
                st.markdown(f"**{room}**")
                st.caption(ROOMS[room])
                for each in members:
                    st.page_link(each)
