"""`lab.explore`: any explorer in a notebook, with the controls, sentence and pictures that the dashboard has."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode

import plotly.graph_objects as go
import polars as pl

from lab import explorers
from lab.errors import LabError
from lab.explorers.contract import AnyPanel, Live, Panel, Picture, Table, Words
from lab.explorers.kept import watched_by
from lab.explorers.words import in_words

try:
    import ipywidgets
    from IPython import display
    from markdown_it import MarkdownIt

    from lab.notebook.live import live_widget
    from lab.notebook.widgets import control
except ImportError as error:
    raise LabError(
        f"lab.explore needs {error.name}: pip install 'advantage-lab[notebooks]', then start the kernel again"
    ) from error

__all__ = ["Explored", "explore"]

_STYLE = """<style>
.advlab { max-width: 1200px; }
.advlab h2 { font-size: 1.35rem; margin: 0.2rem 0; }
.advlab-controls { border-right: 1px solid rgba(128, 128, 128, 0.35); padding-right: 12px; }
.jp-OutputArea-child:has(.advlab) ~ .jp-OutputArea-child { display: none; } /* the still picture, for no kernel */
</style>"""
_BADGE = re.compile(r":(?:\w+-badge|small)\[([^\]]*)\]?")
_ROWS = 12  # of a table


def explore(name: str = "start", *, theme: str = "light", **state: Any) -> Explored:
    """Opens an explorer in a notebook, live.

    >>> lab.explore("collapse", sizes=[4, 8])          # doctest: +SKIP

    Args:
        name: Name of the explorer, see `lab.explorers.names()`.
        theme: "light" or "dark".
        **state: Values that differ from the defaults.

    Returns:
        What is shown at the end of a cell; `state`, `frame`, `picture` and `link()` tell what it shows.

    Raises:
        UnknownNameError: No such explorer, or no such property of it. InputError: A value is not one of the property's.
        LabError: ipywidgets or anywidget is not installed.
    """
    return Explored(name, state, theme)


class Explored:
    """An explorer that is open in a notebook.

    Attributes:
        state: The whole state.
        picture: What is shown: sentence, panels, code and frame; None where the state is refused.
    """

    def __init__(self, name: str, changes: Mapping[str, Any], theme: str = "light") -> None:
        self._explorer, self._theme = explorers.explorer(name), theme
        self.state: dict[str, Any] = self._explorer.state(**changes)
        self.picture: Picture | None = None
        self._shown = self._still = None
        self._sentence, self._notices, self._code = (ipywidgets.HTML() for _ in range(3))
        self._progress = ipywidgets.IntProgress(layout={"width": "60%", "visibility": "hidden"})
        self._controls, self._first, self._rest = (ipywidgets.VBox() for _ in range(3))
        self._controls.add_class("advlab-controls")
        self._live: dict[str, Any] = {}
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
        self._explorer.state(**changes)
        suits: dict[str, Any] = {}
        for name in changes.keys() & self._explorer.scenes.keys():
            scene = self._explorer.scenes[name]
            touched = {each for values in scene.values() for each in values}
            suits |= {each: known[each].default for each in touched} | dict(scene.get(changes[name], {}))
        self.state = {**self.state, **suits, **changes}
        self._draw()

    def link(self, dashboard: str = "http://127.0.0.1:8501") -> str:
        """Address of the same state in the dashboard, which `advlab app` serves."""
        query = urlencode(self._explorer.written(self.state), safe="@~_,")
        return f"{dashboard}/{self._explorer.path}?{query}"

    def _framed(self) -> Any:
        """Title, sentence and questions above the controls and the picture."""
        words = [("Questions in detail …", ""), *((each, each) for each in self._explorer.questions)]
        questions = ipywidgets.Dropdown(options=words, layout={"width": "auto", "max_width": "640px"})
        questions.observe(lambda change: self._ask(change["new"]), names="value")
        title = ipywidgets.HTML(f"{_STYLE}<h2>{html.escape(self._explorer.title)}</h2>")
        more = ipywidgets.Accordion([self._code], titles=("Code and link",))
        main = ipywidgets.VBox([self._first, self._rest], layout={"width": "100%", "min_width": "0"})
        self._controls.layout = ipywidgets.Layout(width="260px", flex="0 0 auto")
        below = ipywidgets.HBox([self._controls, main], layout={"width": "100%"})
        box = ipywidgets.VBox([title, self._sentence, questions, self._progress, self._notices, below, more])
        box.add_class("advlab")
        return box

    def _ask(self, question: str) -> None:
        if not question:
            return
        self.state = self._explorer.question(question)
        self._draw()

    def _draw(self) -> None:
        """The picture of the state; where it is refused, the words of the lab, and the last picture stays."""
        self.state = dict(self._explorer.settle(self.state))
        self._arrange()
        try:
            with watched_by(self._tell, lambda: False):
                self.picture = self._explorer.picture(self.state)
        except (Exception, KeyboardInterrupt) as error:
            self.picture = None
            said = in_words(error) if isinstance(error, Exception) else "Stopped; the picture is the one before."
            self._notices.value = f'<div role="alert">⚠ {_html(said)}</div>'
        finally:
            self._progress.layout.visibility = "hidden"
        if self.picture is not None:
            self._fill(self.picture)

    def _fill(self, picture: Picture) -> None:
        self._sentence.value = f'<div aria-live="polite">{_html(picture.sentence)}</div>'
        left = [f"⚠ **{each.name}** is left out. {each.why}" for each in picture.left_out]
        self._notices.value = _html("\n\n".join([*left, *picture.notes]))
        self._first.children = [self._panel(panel) for panel in picture.panels[:1]]
        self._rest.children = [self._panel(panel) for panel in picture.panels[1:]] + [
            self._action(each.label, each.changes) for each in picture.actions
        ]
        link = html.escape(self.link())
        self._code.value = (
            f"<pre>{html.escape(picture.code.strip())}</pre>"
            f'<p>The same in the dashboard (<code>advlab app</code>): <a href="{link}" target="_blank">{link}</a></p>'
        )
        if self._still is not None:
            self._still.update(self._standing())

    def _arrange(self) -> None:
        """The controls of what matters in this state."""
        offer = self._explorer.offer(self.state)
        shown = [each for each in self._explorer.properties if each.drawn and each.matters(self.state)]
        first = list(self._explorer.first)
        shown.sort(key=lambda each: first.index(each.name) if each.name in first else len(first))
        made = []
        for each in shown:
            options = offer.options.get(each.name)
            made.append(control(each, self.state[each.name], partial(self._take, each.name), options))
        self._controls.children = [*made, ipywidgets.HTML(f"<small>{html.escape(offer.about)}</small>")]

    def _take(self, name: str, value: Any) -> None:
        self.set(**{name: value})

    def _panel(self, panel: AnyPanel) -> Any:
        parts = [ipywidgets.HTML(f"<b>{html.escape(panel.heading)}</b>")] * bool(panel.heading)
        if isinstance(panel, Words):
            return ipywidgets.VBox([*parts, ipywidgets.HTML(_html(panel.text)), _small(panel.guide)])
        if isinstance(panel, Table):
            rows = panel.frame.head(_ROWS)._repr_html_()
            return ipywidgets.Accordion([ipywidgets.HTML(rows)], titles=(panel.heading,))
        drawn = self._mounted(panel) if isinstance(panel, Live) else go.FigureWidget(panel.draw(self._theme))
        return ipywidgets.VBox([*parts, drawn, _small(panel.reading)])

    def _mounted(self, panel: Live) -> Any:
        """The widget of a live panel: made once, then it is sent what is new."""
        if panel.module not in self._live:
            widget = self._live[panel.module] = live_widget(panel.module, panel.data(self._theme))
            widget.observe(lambda change: self._heard(panel.module, change["new"]), names="change")
        widget = self._live[panel.module]
        widget.data = panel.data(self._theme)
        return widget

    def _heard(self, module: str, change: Mapping[str, Any]) -> None:
        for panel in () if self.picture is None else self.picture.panels:
            if isinstance(panel, Live) and panel.module == module:
                told = {name: value for name, value in change.items() if name != "at"}
                self.state = {**self.state, **panel.heard(self.state, told)}
                self._draw()
                return

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
        return {"application/vnd.plotly.v1+json": json.loads(self.figure.to_json()), "text/plain": "a figure"}


def _small(text: str) -> Any:
    return ipywidgets.HTML(f"<small>{html.escape(text)}</small>")


def _html(text: str) -> str:
    """Markdown as HTML; what it holds of HTML is shown letter by letter."""
    rendered: str = MarkdownIt("commonmark", {"html": False}).enable("table").render(_BADGE.sub(r"\1", text))
    return rendered
