"""An explorer in a notebook, with the controls, sentence and pictures that the dashboard has."""

from __future__ import annotations

import copy
import html
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode

import ipywidgets
import plotly.graph_objects as go
import polars as pl
from IPython import display

from lab import explorers
from lab.explorers.contract import AnyPanel, Live, Panel, Picture
from lab.explorers.kept import watched_by
from lab.explorers.properties import Property
from lab.explorers.words import in_words
from lab.figures.theme import palette
from lab.notebook.live import live_widget
from lab.notebook.panels import html_of, shown
from lab.notebook.plot import Plot, plain
from lab.notebook.widgets import control
from lab.text import plain as marked

__all__ = ["Explored"]

_STYLE = """<style>
.advlab { max-width: 1200px; }
.advlab h2 { font-size: 1.35rem; margin: 0.2rem 0; }
.advlab-controls { border-right: 1px solid rgba(128, 128, 128, 0.35); padding-right: 12px; }
.jp-OutputArea-child:has(.advlab) + .jp-OutputArea-child { display: none; } /* the still picture, for no kernel */
</style>"""


class Explored:
    """An explorer that is open in a notebook.

    Attributes:
        state: The whole state.
        picture: What is shown: sentence, panels, code and frame; None where the state is refused.
    """

    def __init__(self, name: str, changes: Mapping[str, Any], theme: str = "light") -> None:
        palette(theme)  # refuses another name
        self._explorer, self._theme = explorers.explorer(name), theme
        self.state, notes = self._explorer.asked(changes)
        said = "This call could not be read in full; the defaults stand in for: " + "; ".join(map(marked, notes))
        self._wrong = [said] if notes else []
        self.picture: Picture | None = None
        self._shown = self._still = None
        self._sentence, self._notices, self._code = (ipywidgets.HTML() for _ in range(3))
        self._progress = ipywidgets.IntProgress(layout={"width": "60%", "visibility": "hidden"})
        self._about = ipywidgets.HTML()
        self._controls, self._first, self._rest = (ipywidgets.VBox() for _ in range(3))
        self._controls.add_class("advlab-controls")
        self._made: dict[str, tuple[Any, Any]] = {}
        self._drawn: dict[str, Any] = {}
        self._box = self._framed()
        self._draw()

    @property
    def frame(self) -> pl.DataFrame:
        """The tidy data behind the picture; no rows where there is none."""
        return pl.DataFrame() if self.picture is None else self.picture.frame

    def set(self, **changes: Any) -> None:
        """Changes the state, as a control does.

        Raises:
            UnknownNameError: No such property. InputError: A value is not one of the property's.
        """
        known = {each.name: each for each in self._explorer.properties}
        checked = self._explorer.state(**changes)
        changes = {name: checked[name] for name in changes}
        suits: dict[str, Any] = {}
        for name in changes.keys() & self._explorer.scenes.keys():
            scene = self._explorer.scenes[name]
            touched = {each for values in scene.values() for each in values}
            suits |= {each: known[each].default for each in touched} | dict(scene.get(changes[name], {}))
        self.state = {**self.state, **suits, **changes}
        self._questions.value, self._wrong = "", []
        self._draw()

    def link(self, dashboard: str = "http://127.0.0.1:8501") -> str:
        """Address of the same state in the dashboard, which `advlab app` serves."""
        query = urlencode(self._explorer.written(self.state), safe="@~_,")
        return f"{dashboard}/{self._explorer.path}?{query}"

    def _framed(self) -> Any:
        """Title, sentence and questions above the controls and the picture."""
        words = [("Questions in detail …", ""), *((each, each) for each in self._explorer.questions)]
        self._questions = ipywidgets.Dropdown(options=words, layout={"width": "auto", "max_width": "640px"})
        self._questions.observe(lambda change: self._ask(change["new"]), names="value")
        title = ipywidgets.HTML(f"{_STYLE}<h2>{html.escape(self._explorer.title)}</h2>")
        more = ipywidgets.Accordion([self._code], titles=("Code and link",))
        main = ipywidgets.VBox([self._first, self._rest], layout={"width": "100%", "min_width": "0"})
        self._controls.layout = ipywidgets.Layout(width="260px", flex="0 0 auto")
        below = ipywidgets.HBox([self._controls, main], layout={"width": "100%"})
        box = ipywidgets.VBox([title, self._sentence, self._questions, self._progress, self._notices, below, more])
        box.add_class("advlab")
        return box

    def _ask(self, question: str) -> None:
        if not question:
            return
        self.state, self._wrong = self._explorer.question(question), []
        self._draw()

    def _draw(self) -> None:
        """The picture of the state; where it is refused, the words of the lab, and the last picture stays."""
        try:
            self.state = dict(self._explorer.settle(self.state))
            self._arrange()
            with watched_by(self._tell, lambda: False):
                picture = self._explorer.picture(self.state)
            self._fill(picture)
            self.picture = picture
        except (Exception, KeyboardInterrupt) as error:
            self.picture = None
            said = in_words(error) if isinstance(error, Exception) else "Stopped; the picture is the one before."
            self._notices.value = f'<div role="alert">⚠ {html_of(said)}</div>'
        finally:
            self._progress.layout.visibility = "hidden"
        if self._still is not None:
            self._still.update(self._standing())

    def _fill(self, picture: Picture) -> None:
        self._sentence.value = f'<div aria-live="polite">{html_of(picture.sentence)}</div>'
        left = [f"⚠ **{each.name}** is left out. {each.why}" for each in picture.left_out]
        self._notices.value = html_of("\n\n".join([*self._wrong, *left, *picture.notes]))
        beside = [] if picture.beside is None else [picture.beside]
        self._first.children = [self._panel(panel) for panel in [*picture.panels[:1], *beside]]
        self._rest.children = [self._panel(panel) for panel in picture.panels[1:]] + [
            self._action(each.label, each.changes) for each in picture.actions
        ]
        link = html.escape(self.link())
        self._code.value = (
            f"<pre>{html.escape(picture.code.strip())}</pre>"
            f'<p>The same in the dashboard (<code>advlab app</code>): <a href="{link}" target="_blank">{link}</a></p>'
        )

    def _arrange(self) -> None:
        """The controls of what matters in this state."""
        offer = self._explorer.offer(self.state)
        shown = [each for each in self._explorer.properties if each.drawn and each.matters(self.state)]
        first = list(self._explorer.first)
        shown.sort(key=lambda each: first.index(each.name) if each.name in first else len(first))
        controls = [self._control(each, offer.options.get(each.name)) for each in shown]
        self._controls.children = [*controls, self._about]
        self._about.value = f"<small>{html.escape(offer.about)}</small>"

    def _control(self, each: Property, options: Any) -> Any:
        """The control of a property: the one there is, with the reader's focus, as long as it shows this value."""
        now = copy.deepcopy((self.state[each.name], options))
        if each.name not in self._made or self._made[each.name][0] != now:
            self._made[each.name] = now, control(each, now[0], partial(self._take, each.name), options)
        return self._made[each.name][1]

    def _take(self, name: str, value: Any) -> None:
        """What a control tells: it already shows the value, so it stays."""
        (_, options), widget = self._made[name]
        self._made[name] = (value, options), widget
        self.set(**{name: value})

    def _panel(self, panel: AnyPanel) -> Any:
        """A panel below its heading; a picture that is there already is sent what is new."""
        if not isinstance(panel, Panel | Live):
            return shown(panel, lambda changes: self.set(**changes))
        key = f"{type(panel).__name__} {panel.name}"
        if key not in self._drawn:
            self._drawn[key] = ipywidgets.VBox([_words(), self._mounted(panel), _words()])
        elif isinstance(panel, Live):
            self._drawn[key].children[1].data.value = panel.data(self._theme)
        else:
            self._drawn[key].children[1].draw(panel.draw(self._theme))
        return _named(self._drawn[key], panel, panel.reading)

    def _mounted(self, panel: Panel | Live) -> Any:
        """The widget of a panel that stays from picture to picture."""
        if isinstance(panel, Panel):
            return Plot(panel.draw(self._theme))
        widget = live_widget(panel.module, panel.data(self._theme))
        widget.observe(lambda change: self._heard(panel.module, change["new"]), names="change")
        return widget

    def _heard(self, module: str, change: Mapping[str, Any]) -> None:
        """What was let go or chosen in a live panel."""
        panels = () if self.picture is None else self.picture.panels
        for panel in panels:
            if isinstance(panel, Live) and panel.module == module:
                told = {name: value for name, value in change.items() if name != "at"}
                self.state = {**self.state, **panel.heard(self.state, told)}
                self._draw()

    def _action(self, label: str, changes: Mapping[str, Any]) -> Any:
        button = ipywidgets.Button(description=label, layout={"width": "auto"})
        button.on_click(lambda _: self.set(**changes))
        return button

    def _tell(self, done: int, total: int) -> None:
        self._progress.max, self._progress.value = max(total, 1), done
        self._progress.layout.visibility = "visible"

    def _standing(self) -> Any:
        """The first picture as a figure that needs no kernel."""
        panels = () if self.picture is None else self.picture.panels
        first = next((each.still if isinstance(each, Live) else each for each in panels
                      if isinstance(each, Live | Panel)), None)  # fmt: skip
        return display.HTML("") if first is None else _Still(first.draw(self._theme))

    def _ipython_display_(self) -> None:
        display.display(self._box)
        self._still = display.display(self._standing(), display_id=True)


class _Still:
    """A figure that a saved notebook keeps."""

    def __init__(self, figure: go.Figure) -> None:
        self.figure = figure

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {"application/vnd.plotly.v1+json": plain(self.figure), "text/plain": "a figure"}


def _words() -> Any:
    return ipywidgets.HTML()


def _named(box: Any, panel: AnyPanel, guide: str) -> Any:
    """A box of three with the heading of its panel above and the reading guide below."""
    above, _, below = box.children
    above.value, below.value = f"<b>{html.escape(panel.heading)}</b>", f"<small>{html.escape(guide)}</small>"
    above.layout.display, below.layout.display = (None if words else "none" for words in (panel.heading, guide))
    return box
