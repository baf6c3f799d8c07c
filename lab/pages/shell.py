"""What every page of the dashboard has: title, sentence, questions, controls in the side panel, Link, Code and Data.

Explorers are drawn by `lab.pages.home`. A page of its own kind (`lab/pages/name.py`: an upload, a table of runs;
listed in `lab/pages/app.py`) is written with the same frame:

    page = Page(Topic(name="papers", title="What do the papers promise?", properties=[...], questions={...}, ...))
    state = page.open()                      # reads the address, draws everything above the picture
    with page.controls():
        page.control("paper")
    frame = page.ask(study, state["paper"])  # an error of a door is shown with its text
    page.say("Groups of 2 teach nothing half of the time.")
    with page.first:
        page.show(signal_share, frame)       # a figure function of lab.figures, with its guide
    page.finish("...", frame)                # lines that make these pictures; the data, `of=` says behind which

The list of properties is the page's whole state: it is written into the address on every run, and a question, a link
and the reset are values for it. Text from outside (a file, a log) goes through `lab.text.plain` before it stands in a
sentence.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import polars as pl
import streamlit as st

from lab.explorers.contract import Panel, Topic
from lab.explorers.properties import Choice, parse, written
from lab.explorers.words import in_words
from lab.figures.figure import Figure
from lab.pages import daylight, widgets
from lab.text import plain

STYLE = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
SHOWN_ROWS = 200
IN_SIGHT = 4  # questions that may stand in the one line; the others are behind it
CHIP = {"light": "#0067b5", "dark": "#2b6fd0"}  # behind the white words of what is chosen in a list
FIGURE_ALONE = re.compile(r"^(lab\.figures\.\w+|picture)\(", re.MULTILINE)  # a picture that no name is given to
IN_A_SCRIPT = """

# A notebook shows the last picture of a cell; in a script, and for the others, end its call with
# .show() or .write_html("picture.html")."""
PLOT_CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["lasso2d", "select2d", "autoScale2d"]}


class Page:
    """One page of the dashboard.

    Args:
        topic: An explorer, or the topic of a page of its own kind.

    Attributes:
        state: The whole state, after `open`.
        notices: Where warnings go, above the picture.
        first: Where the first picture goes: all that is left of the first screen.
    """

    def __init__(self, topic: Topic) -> None:
        self.slug, self.title, self.properties = topic.name, topic.title, list(topic.properties)
        self.topic, self.defaults, self.scenes = topic, topic.defaults, topic.scenes
        self.presets = {words: topic.question(words) for words in topic.questions}
        self.state: dict[str, Any] = {}
        self._side: Any = None

    @property
    def theme(self) -> str:
        """The reader's theme, "light" or "dark"."""
        return st.context.theme.type or "light"

    @property
    def reader(self) -> str:
        """Name of the window that looks at the page, the same as long as it is open."""
        return str(st.session_state.setdefault("reader", uuid4().hex))

    def key(self, name: str) -> str:
        """Key of a property in the session."""
        return f"{self.slug}:{name}"

    def open(self) -> dict[str, Any]:
        """Reads the state, draws title, sentence place, tools and questions; returns the state."""
        st.html(f"<style>:root {{ --chip: {CHIP[self.theme]}; }}\n{STYLE}</style>")
        daylight.watch(self.theme)
        notes = self._read()
        with st.container(key="screen"):
            self._head()
            if self.presets:
                self._questions()
            if self.topic.views:
                self._views(self.topic.views)
            self.notices = st.container(key="notices")
            self.first = st.container(key="first", height="stretch")
        if notes:
            self.notices.warning(
                "This link could not be read in full; the defaults stand in for: " + "; ".join(map(plain, notes))
            )
        return self.state

    def set(self, **values: Any) -> None:
        """Changes the state from a callback, before the next run of the page."""
        for name, value in values.items():
            st.session_state[self.key(name)] = value

    def controls(self) -> Any:
        """The side panel with the widgets; it can be folded, and is a drawer where the window is narrow."""
        if self._side is None:
            self._side = st.sidebar.container(key="controls")
        return self._side

    def panels(self) -> Any:
        """Pictures side by side where the window is wide enough; each goes into an `st.container` of its own."""
        return st.container(key="panels")

    def control(self, name: str, **more: Any) -> None:
        """Draws the widget of a property; `more` is for the widget."""
        each = next(each for each in self.properties if each.name == name)
        if name in self.scenes:
            more = {"on_change": self.enter, "args": (name,)} | more
        widgets.draw(each, self.key(name), **more)

    def enter(self, name: str, value: Any = None) -> None:
        """Takes a value for the property `name` (the widget's, if none is given) with the values that suit it."""
        chosen = st.session_state[self.key(name)] if value is None else value
        scene = self.scenes.get(name, {})
        touched = {each for suits in scene.values() for each in suits}
        suits = scene.get(chosen, {})
        self.set(**{each: self.defaults[each] for each in touched})
        self.set(**{name: chosen}, **suits)

    def ask(self, door: Callable[..., Any], *inputs: Any, **options: Any) -> Any:
        """What a door answers; where it refuses, its words are shown and the page ends there."""
        with self.words_of_doors():
            return door(*inputs, **options)
        st.stop()

    @contextmanager
    def words_of_doors(self) -> Iterator[None]:
        """Shows the words of a door that refuses inside the block, and goes on after the block."""
        try:
            yield
        except Exception as error:
            st.error(in_words(error))

    def say(self, sentence: str) -> None:
        """Puts the sentence that was read off the data under the title."""
        self._sentence.markdown(sentence)

    def show(
        self, figure: Figure, frame: pl.DataFrame, *, key: str = "", guide: bool | str = True, fill: bool = False,
        **options: Any,
    ) -> None:  # fmt: skip
        """Draws a figure function's picture in the reader's theme, and below it its reading guide, or another text."""
        words = guide if isinstance(guide, str) else ""
        self.draw(Panel(figure, frame, options=options, guide=words, key=key), fill=fill, guide=bool(guide))

    def draw(self, panel: Panel, *, fill: bool = False, guide: bool = True) -> None:
        """Draws a panel's picture and reading guide; `fill`: in the height that is left on the first screen."""
        drawn = self.ask(panel.draw, self.theme)
        key, picks = f"{self.slug}-{panel.name}", panel.picks
        given: dict[str, Any] = {"theme": None, "config": PLOT_CONFIG, "key": key}
        if picks:
            given |= {"on_select": lambda: self._clicked(key, picks), "selection_mode": "points"}
        if fill:
            drawn.layout.height = None
            shape = "wide" if (drawn.layout.meta or {}).get("wide") else "free"
            with st.container(key="filling", height="stretch"), st.container(key=shape, height="stretch"):
                st.plotly_chart(drawn, height="stretch", **given)
        else:
            st.plotly_chart(drawn, **given)
        if guide:
            st.caption(panel.reading)

    def _clicked(self, key: str, picks: Callable[[Any], Any]) -> None:
        """Takes over what was clicked in a picture."""
        for point in st.session_state[key].selection.points[:1]:
            self.set(**picks(point))

    def finish(self, code: str, frame: pl.DataFrame, of: str = "this picture", call: str = "") -> None:
        """Fills the places of Code and Data.

        Args:
            code: Lines that make the pictures.
            frame: The data behind them.
            of: Which of the page's pictures the frame is drawn in.
            call: The line that opens the same in a notebook.
        """
        with self._code:
            st.caption("These lines make the pictures of this page, in a notebook or a script.")
            st.code(code.strip() + IN_A_SCRIPT * bool(FIGURE_ALONE.search(code)), language="python")
            if call:
                st.caption("This one opens the page itself in a notebook, with its controls.")
                st.code(f"import lab\n\n{call}", language="python")
        with self._data:
            self._downloads(frame, of)

    def _read(self) -> list[str]:
        """State of this run: the address where it is news, the session otherwise. Returns notes on the address."""
        kept = st.session_state.get(self.key("kept"))
        query = st.query_params.to_dict()
        held = {each.name: st.session_state.get(self.key(each.name)) for each in self.properties}
        if kept:
            held = {name: kept["held"][name] if value is None else value for name, value in held.items()}
        untouched = kept and held == kept["held"]
        if not kept or (untouched and query and query != kept["address"]):
            held, notes = parse(self.properties, query, self.scenes)
        else:
            notes = kept["notes"] if untouched else []
        self._keep(held, notes)
        return notes

    def _keep(self, held: dict[str, Any], notes: list[str]) -> None:
        for each in self.properties:
            if st.session_state.get(self.key(each.name)) != held[each.name]:
                st.session_state[self.key(each.name)] = held[each.name]
        self.state = {each.name: each.usable(held[each.name]) for each in self.properties}
        address = written(self.properties, self.state)
        st.session_state[self.key("kept")] = {"held": held, "address": address, "notes": notes}
        if st.query_params.to_dict() != address:
            st.query_params.from_dict(address)

    def _head(self) -> None:
        with st.container(horizontal=True, vertical_alignment="center", wrap=False, key="head"):
            st.title(self.title, anchor=False, width="stretch")
            with st.container(horizontal=True, width="content", wrap=False, gap="small", key="tools"):
                link = st.popover("Link", icon=":material/link:")
                self._code = st.popover("Code", icon=":material/code:")
                self._data = st.popover("Data", icon=":material/table_chart:")
        with link:
            st.caption("The whole state of the page is in its address, the seed included.")
            st.code(self.address(), language=None, wrap_lines=True)
            st.button("Back to the defaults", on_click=self.set, kwargs=self.defaults, key=self.key("reset"))
        self._sentence = st.container(key="reading").empty()

    def address(self) -> str:
        """Address of the page in this state."""
        url = (st.context.url or "").split("?")[0]
        return f"{url}?{urlencode(written(self.properties, self.state), safe='@~_,')}"

    def _questions(self) -> None:
        """Some questions in one line, the chosen one first so that no window hides it; all are behind a button."""
        here = written(self.properties, self.state)
        lit = next((name for name, state in self.presets.items() if written(self.properties, state) == here), None)
        seen = sorted(self.presets, key=lambda name: name != lit)[:IN_SIGHT]
        with st.container(horizontal=True, wrap=False, key="questions", gap="small", vertical_alignment="center"):
            with st.popover("Questions", icon=":material/help:"):
                self._pills("All questions", "further", list(self.presets), lit)
            self._pills("Questions", "preset", seen, lit)

    def _views(self, name: str) -> None:
        """The sides of the matter as a row of buttons."""
        each = next(each for each in self.properties if each.name == name and isinstance(each, Choice))
        with st.container(key="views"):
            st.segmented_control(each.label, each.options, format_func=each.shown, key=self.key(name), required=True,
                                 label_visibility="collapsed")  # fmt: skip

    def _pills(self, label: str, name: str, questions: list[str], lit: str | None) -> None:
        st.session_state[self.key(name)] = lit if lit in questions else None
        st.pills(
            label, questions, key=self.key(name), label_visibility="collapsed", on_change=self._choose, args=(name,),
            wrap=True,
        )  # fmt: skip

    def _choose(self, name: str) -> None:
        chosen = st.session_state[self.key(name)]
        if chosen:
            self.set(**self.presets[chosen])

    def _downloads(self, frame: pl.DataFrame, of: str) -> None:
        with st.container(horizontal=True):
            for ending, (name, write) in {"csv": ("CSV", _csv), "parquet": ("Parquet", _parquet)}.items():
                st.download_button(
                    name, partial(write, frame), file_name=f"{self.slug}.{ending}", on_click="ignore",
                    key=f"{self.slug}-{ending}", icon=":material/download:",
                )  # fmt: skip
        rows = f"the first {SHOWN_ROWS} of {frame.height} rows" if frame.height > SHOWN_ROWS else f"{frame.height} rows"
        st.caption(f"The data behind {of}, tidy: {rows}, {frame.width} columns.")
        st.dataframe(frame.head(SHOWN_ROWS), hide_index=True, height=320, key=f"{self.slug}-rows")


def guarded(run: Callable[[], None]) -> None:
    """Runs a page; an error that no door has put into words is shown in words as well, and stands in the log."""
    try:
        run()
    except Exception as error:
        st.error(in_words(error))


def _csv(frame: pl.DataFrame) -> bytes:
    return frame.write_csv().encode()


def _parquet(frame: pl.DataFrame) -> bytes:
    target = io.BytesIO()
    frame.write_parquet(target)
    return target.getvalue()
