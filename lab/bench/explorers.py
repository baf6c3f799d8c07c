"""From a moved control to the new picture, explorer by explorer; and one frame of a drag in the microscope's strip."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from statistics import median
from typing import Any

from lab.bench.harness import Row, benchmark
from lab.errors import LabError
from lab.explorers import explorer, live, names
from lab.explorers.contract import Explorer, Live, Panel, Picture
from lab.explorers.properties import Choice, Choices, Flag, Number, Property, Whole

#: Milliseconds in which a reader takes an answer for immediate, and those of a frame at 60 frames a second.
AT_ONCE, FRAME = 300.0, 16.0
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MOVES = 200


@benchmark("explorers", "control moved → new picture, each control of each explorer moved once; a drag in the strip")
def explorers() -> list[Row]:
    """States that were not seen before, with all figures written out; what goes on in a browser is not in it."""
    rows = []
    for name in names():
        seconds = answers(explorer(name))
        rows.append(_beside(f"{name}, {len(seconds)} controls", 1000 * median(seconds), AT_ONCE, len(seconds)))
    frames = drag()
    return rows + ([_beside("strip, one frame of a drag", median(frames), FRAME, len(frames))] if frames else [])


def _beside(name: str, milliseconds: float, limit: float, runs: int) -> Row:
    return Row(name, milliseconds, "ms", f"{limit:g} ms", limit / milliseconds, runs)


def answers(asked: Explorer) -> list[float]:
    """Seconds until the new picture is there, for each control moved once from the defaults."""
    state = asked.state()
    drawn(asked, state)
    seconds = []
    for changes in moved(asked, state):
        start = time.perf_counter()
        with suppress(LabError):  # what is refused in words is an answer, too
            drawn(asked, {**state, **changes})
        seconds.append(time.perf_counter() - start)
    return seconds


def drawn(asked: Explorer, state: Mapping[str, Any]) -> Picture:
    """The picture of a state, every panel written out as it is sent to a browser."""
    settled = asked.settle(state)
    asked.offer(settled)
    picture = asked.picture(settled)
    for panel in picture.panels:
        if isinstance(panel, Panel):
            panel.draw().to_json()
        elif isinstance(panel, Live):
            panel.data("light")
    return picture


def moved(asked: Explorer, state: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What each control that is shown would change first; a choice that brings its scene is in it."""
    offer = asked.offer(state)
    for each in asked.properties:
        if each.drawn and each.matters(state):
            value = another(each, state[each.name], offer.options.get(each.name))
            if value is not None:
                scene = asked.scenes.get(each.name, {})
                yield {**dict(scene.get(value, {}) if isinstance(each, Choice) else {}), each.name: value}


def another(each: Property, value: Any, options: Any = None) -> Any:
    """The value beside this one; None for what is edited in the picture or written."""
    if isinstance(each, Whole | Number):
        nearby = value + each.step if value + each.step <= each.high else value - each.step
        return round(nearby, 12)  # 0.7 + 0.1 is 0.8, as the control writes it
    if isinstance(each, Flag):
        return not value
    if isinstance(each, Choice):
        known = list(options or each.options)
        return known[(known.index(value) + 1) % len(known)]
    if isinstance(each, Choices):
        more = [option for option in options or each.options if option not in value]
        return [*value, more[0]] if more and len(value) < each.most else value[:-1]
    return None


_DRAGGED = """
const host = document.querySelector(".strip"), view = new View(host);
const moved = (kind, y) => new PointerEvent(kind, { clientY: y, pointerId: 1, bubbles: true });
function drag(data, moves) {
  view.receive(data, () => {});
  const knob = host.querySelector("[data-handle] .knob"), { x, y } = knob.getBoundingClientRect();
  view.svg.setPointerCapture = () => {};
  knob.dispatchEvent(moved("pointerdown", y));
  return [...Array(moves).keys()].map((k) => {
    const start = performance.now();
    view.svg.dispatchEvent(moved("pointermove", y + 60 * Math.sin(k)));
    view.svg.getBoundingClientRect();
    return performance.now() - start;
  });
}
"""


def drag() -> list[float]:
    """Milliseconds of each move of a drag: the lookup, the drawing and the layout; nothing without a browser."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return []
    if path is None:
        return []
    asked = explorer("microscope")
    data = next(each for each in asked.picture(asked.state()).panels if isinstance(each, Live)).data("light")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_content(f"<style>{live.style('strip')}</style><div class='strip'></div>")
        page.add_script_tag(content=live.script("strip", _DRAGGED))
        taken: list[float] = page.evaluate("([data, moves]) => drag(data, moves)", [data, MOVES])
        browser.close()
    return taken
