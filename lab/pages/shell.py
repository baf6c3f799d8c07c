"""What every page has: a title, a sentence read off the data, presets, and Link, Code and Data in one place.

How to write a page (`lab/pages/name.py`, listed in `app.py`):

    from lab.pages.shell import Page
    from lab.pages.state import Choices, Whole, seed

    page = Page(
        "collapse",
        "When does a group teach nothing?",
        [Choices(name="sizes", label="Group sizes", options=[2, 4, 8, 16], default=[4, 8]), seed()],
        {"What if groups are tiny?": {"sizes": [2]}},
    )
    state = page.open()                      # reads the address, draws everything above the picture
    with page.controls():
        page.control("sizes")
    frame = page.ask(study, state["sizes"], seed=state["seed"])   # an error of a door is shown with its text
    page.say("Groups of 2 teach nothing half of the time.")
    page.show(signal_share, frame)           # a figure function of lab.figures, with its guide
    page.finish("...", frame)                # lines that make these pictures; the data, `of=` says behind which

The list of properties is the page's whole state: it is written into the address on every run, and a preset, a link and
the reset are values for it. `state` is a plain dictionary. A page computes nothing: it asks doors and shows what they
say. Text from outside (a file, a log) goes through `plain` before it stands in a sentence.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import polars as pl
import streamlit as st

from lab.errors import LabError
from lab.figures.figure import Figure
from lab.pages import daylight
from lab.pages.state import Property, Scenes, parse, written
from lab.text import printable

STYLE = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
SHOWN_ROWS = 200
_AT_ONCE, _IN_ALL = 9, 12  # questions in sight, the others one click away, where a page has more than this in all
WAY_OUT = "Change a setting, or choose *Back to the defaults* under *Link*."
CHIP = {"light": "#0067b5", "dark": "#2b6fd0"}  # behind the white words of what is chosen in a list
FIGURE_ALONE = re.compile(r"^(lab\.figures\.\w+|picture)\(", re.MULTILINE)  # a picture that no name is given to
IN_A_SCRIPT = """

# A notebook shows the last picture of a cell; in a script, and for the others, end its call with
# .show() or .write_html("picture.html")."""
PLOT_CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["lasso2d", "select2d", "autoScale2d"]}


#: Places within `https://`, `www.` and `name@host` where something may stand that keeps them from becoming links.
_ADDRESS = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)|(?<=@)", re.IGNORECASE)


class Page:
    """One page of the dashboard.

    Args:
        slug: short name; prefix of the page's keys in the session and name of its downloads.
        title: the page's question.
        properties: the whole state of the page.
        presets: questions, each with the values that differ from the defaults.
        scenes: values that suit a value of another property; they stand in for the defaults in a preset or an address,
            and are set when a reader chooses that value.
    """

    def __init__(
        self,
        slug: str,
        title: str,
        properties: Sequence[Property],
        presets: Mapping[str, Mapping[str, Any]] | None = None,
        scenes: Scenes | None = None,
    ) -> None:
        self.slug, self.title, self.properties = slug, title, list(properties)
        self.defaults = {each.name: each.default for each in properties}
        self.scenes = scenes or {}
        self.presets = {name: self._whole(changes) for name, changes in (presets or {}).items()}
        for each in self.presets.values():
            _, notes = parse(self.properties, written(self.properties, each))
            assert not notes, f"{title}: a preset is no state of the page: {'; '.join(notes)}"
        self.state: dict[str, Any] = {}

    def _whole(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """A state from what differs from the defaults."""
        values = dict(self.defaults)
        for name, scene in self.scenes.items():
            values |= scene.get(changes.get(name, values[name]), {})
        return {**values, **changes}

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
        """Reads the state, draws title, sentence place, tools and presets; returns the state."""
        st.html(f"<style>:root {{ --chip: {CHIP[self.theme]}; }}\n{STYLE}</style>")
        daylight.watch(self.theme)
        notes = self._read()
        self._head()
        if notes:
            st.warning(
                "This link could not be read in full; the defaults stand in for: " + "; ".join(map(plain, notes))
            )
        if self.presets:
            self._presets()
        return self.state

    def set(self, **values: Any) -> None:
        """Changes the state from a callback, before the next run of the page."""
        for name, value in values.items():
            st.session_state[self.key(name)] = value

    def controls(self) -> Any:
        """A row for the widgets; they wrap where the window is narrow."""
        return st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="controls")

    def panels(self) -> Any:
        """Pictures side by side where the window is wide enough; each goes into an `st.container` of its own."""
        return st.container(key="panels")

    def control(self, name: str, **more: Any) -> Any:
        """Draws the widget of a property and returns its value; `more` is for the widget."""
        each = next(each for each in self.properties if each.name == name)
        if name in self.scenes:
            more = {"on_change": self.enter, "args": (name,)} | more
        return each.widget(self.key(name), **more)

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
        self, figure: Figure, frame: pl.DataFrame, *, key: str | None = None, guide: bool | str = True, **options: Any
    ) -> None:
        """Draws a figure function's picture in the reader's theme, and below it its reading guide, or another text."""
        drawn = self.ask(figure, frame, theme=self.theme, **options)
        name = key or getattr(figure, "__name__", "figure")
        st.plotly_chart(drawn, theme=None, config=PLOT_CONFIG, key=f"{self.slug}-{name}")
        if guide:
            st.caption(figure.guide if guide is True else guide)

    def finish(self, code: str, frame: pl.DataFrame, of: str = "this picture") -> None:
        """Fills the places of Code and Data; `of` says which of the page's pictures the frame is drawn in."""
        with self._code:
            st.caption("These lines make the pictures of this page, in a notebook or a script.")
            st.code(code.strip() + IN_A_SCRIPT * bool(FIGURE_ALONE.search(code)), language="python")
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

    def _presets(self) -> None:
        here = written(self.properties, self.state)
        lit = next((name for name, state in self.presets.items() if written(self.properties, state) == here), None)
        questions = list(self.presets)
        seen = _AT_ONCE if len(questions) > _IN_ALL else _IN_ALL
        rest = questions[seen:]
        self._questions("Questions", "preset", questions[:seen], lit)
        if rest:
            with st.popover(lit if lit in rest else f"{len(rest)} more questions", type="tertiary"):
                self._questions("More questions", "further", rest, lit)

    def _questions(self, label: str, name: str, questions: list[str], lit: str | None) -> None:
        st.session_state[self.key(name)] = lit if lit in questions else None
        st.pills(
            label, questions, key=self.key(name), label_visibility="collapsed", on_change=self._choose, args=(name,)
        )

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


def in_words(error: Exception) -> str:
    """What an error says to the reader of a page, and a way out, as Markdown; an error of Python goes into the log."""
    if isinstance(error, LabError):
        return f"{plain(str(error).rstrip('.'))}."
    logging.getLogger(__name__).error("an error on a page", exc_info=error)
    if isinstance(error, MemoryError):
        said = "This needs more memory than this computer has; choose fewer seeds, prompts or rollouts"
    else:
        name = "" if isinstance(error, ValueError | TypeError | OSError) else f"{type(error).__name__}: "
        said = f"This could not be computed: {name}{error}"
    return f"{plain(said.rstrip('.'))}. {WAY_OUT}"


def plain(text: object) -> str:
    """Text from outside as Markdown that shows it letter by letter, in one line and without a link.

    Addresses become links after the escapes are read, so a word joiner, which is not seen, stands within them.
    """
    shown = _ADDRESS.sub("\u2060", printable(text))
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>()#+-.!|~$:&" else letter for letter in shown)


def _csv(frame: pl.DataFrame) -> bytes:
    return frame.write_csv().encode()


def _parquet(frame: pl.DataFrame) -> bytes:
    target = io.BytesIO()
    frame.write_parquet(target)
    return target.getvalue()
