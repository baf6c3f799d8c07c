"""Opens pages as a reader does, and takes down what they draw, say, print under Code and give under Data."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from streamlit.testing.v1 import AppTest

from lab.explorers import names as explorers
from lab.explorers.properties import Property
from lab.figures.figure import Figure
from lab.pages.shell import Page

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS = 90
LOOKS = {"theme", "height", "row_height"}  # options that change how a picture looks and not what it says


@dataclass
class Seen:
    """What a page showed in its last run: its properties, pictures (name, frame, options), code and data."""

    test: AppTest
    properties: dict[str, Property] = field(default_factory=dict)
    pictures: list[tuple[str, pl.DataFrame, dict[str, Any]]] = field(default_factory=list)
    code: str = ""
    data: pl.DataFrame | None = None

    @property
    def problems(self) -> list[str]:
        return [str(each.value) for each in [*self.test.exception, *self.test.error]]

    @property
    def sentence(self) -> str:
        return str(self.test.markdown[0].value)


@contextmanager
def drawing() -> Iterator[list[tuple[str, pl.DataFrame, dict[str, Any]]]]:
    """Takes down every picture that is drawn inside the block."""
    found: list[tuple[str, pl.DataFrame, dict[str, Any]]] = []
    draw = Figure.__call__

    def noted(self: Figure, frame: pl.DataFrame, **options: Any) -> Any:
        found.append((self.__name__, frame, {k: v for k, v in options.items() if k not in LOOKS and v is not None}))
        return draw(self, frame, **options)

    Figure.__call__ = noted
    try:
        yield found
    finally:
        Figure.__call__ = draw


def app(page: str) -> AppTest:
    """A page by its name in addresses, not run yet."""
    if page.replace("_", "-") in explorers():
        script = f"from lab.pages.home import show\n\nshow({page!r})"
        return AppTest.from_string(script, default_timeout=SECONDS)
    return AppTest.from_file(str(ROOT / f"lab/pages/{page}.py"), default_timeout=SECONDS)


def settled(test: AppTest) -> AppTest:
    """The page when nothing runs beside it any more: a busy machine shows a progress bar first."""
    end = time.monotonic() + SECONDS
    while test.get("progress") and time.monotonic() < end:
        time.sleep(0.2)
        test.run()
    return test


def look(page: str, address: Mapping[str, str] | None = None) -> Seen:
    """Opens a page at an address and waits until nothing runs beside it any more."""
    seen = Seen(app(page))
    seen.test.query_params.update(address or {})
    opened, finish = Page.open, Page.finish

    def noted_open(self: Page) -> dict[str, Any]:
        seen.properties = {each.name: each for each in self.properties}
        return opened(self)

    def noted_finish(self: Page, code: str, frame: pl.DataFrame, *more: Any, **named: Any) -> None:
        seen.code, seen.data = code, frame
        finish(self, code, frame, *more, **named)

    Page.open, Page.finish = noted_open, noted_finish
    try:
        end = time.monotonic() + SECONDS
        while True:
            with drawing() as seen.pictures:
                seen.test.run()
            if not seen.test.get("progress") or time.monotonic() > end:
                return seen
            time.sleep(0.2)
    finally:
        Page.open, Page.finish = opened, finish


def untold(seen: Seen) -> list[str]:
    """What the printed Code does not repeat, run in a fresh namespace: pictures of the page, and its Data."""
    space: dict[str, Any] = {}
    with drawing() as drawn:
        exec(compile(seen.code, "code of the page", "exec"), space)
    lacking = [name for name, frame, options in seen.pictures if not _among(name, frame, options, drawn)]
    known = [frame for _, frame, _ in drawn] + [v for v in space.values() if isinstance(v, pl.DataFrame)]
    assert seen.data is not None
    return lacking + ["Data"] * (not any(seen.data.equals(frame) for frame in known))


def _among(name: str, frame: pl.DataFrame, options: dict[str, Any], drawn: Any) -> bool:
    """Whether that picture is among those that were drawn."""
    return any(name == other and _same(frame, its) and _same(options, given) for other, its, given in drawn)


def _same(one: Any, other: Any) -> bool:
    """Equal, frames by their rows and lists like tuples."""
    if isinstance(one, pl.DataFrame):
        return isinstance(other, pl.DataFrame) and one.equals(other)
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(_same(one[k], other[k]) for k in one)
    if isinstance(other, np.ndarray):
        return bool(np.array_equal(one, other))
    return list(one) == list(other) if isinstance(one, list | tuple) else bool(one == other)
