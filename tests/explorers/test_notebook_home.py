"""Explorers in a notebook, without a browser: the same data as everywhere, words for what is wrong, a link back."""

import html
import subprocess
import sys
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import ipywidgets
import pytest
from polars.testing import assert_frame_equal

import lab
from lab import explorers
from lab.errors import InputError, UnknownNameError
from lab.explorers.contract import Panel
from lab.explorers.properties import Choice
from lab.notebook.home import Explored
from lab.notebook.plot import Plot

START = {"right": 2, "rule": "grpo"}
SIZES = ("seeds", "steps", "groups", "samples", "prompts")


def small(name):
    """The state that differs from the defaults by the smallest sizes on offer, two seeds at least."""
    sizes = [each for each in explorers.explorer(name).properties if each.name in SIZES]
    return {each.name: min(each.options) if isinstance(each, Choice) else max(each.low, 2) for each in sizes}


def widgets(explored, kind):
    """All widgets of a kind that are shown."""

    def inside(widget):
        yield widget
        for child in getattr(widget, "children", ()):
            yield from inside(child)

    return [each for each in inside(explored._box) if isinstance(each, kind)]


def said(explored):
    return explored._sentence.value, explored._notices.value


@pytest.mark.parametrize("name", explorers.names())
def test_a_notebook_shows_the_data_of_the_dashboard(name):
    known, shown = explorers.explorer(name), lab.explore(name, **small(name))
    there = known.picture(known.state(**small(name)))
    assert_frame_equal(shown.frame, there.frame)
    assert shown.frame.height > 0
    assert shown.picture.sentence == there.sentence
    drawn = sum(isinstance(panel, Panel) for panel in there.panels)
    plots = widgets(shown, Plot)
    assert len(plots) == drawn
    assert all(plot.figure.value["data"] for plot in plots)


def test_a_control_changes_state_sentence_and_picture():
    shown = lab.explore("start")
    (plot,), (slider,) = widgets(shown, Plot), widgets(shown, ipywidgets.IntSlider)
    slider.value = 3
    assert shown.state == {"right": 3, "rule": "grpo"}
    assert "right 3 times" in said(shown)[0]
    assert shown.frame.filter(rollout=1)["advantage"].round(2).to_list() == [1.21]
    assert widgets(shown, Plot) == [plot], "the same widget draws the new picture"
    assert widgets(shown, ipywidgets.IntSlider) == [slider], "and the control keeps the focus"
    shown.set(right=5)
    assert [each.value for each in widgets(shown, ipywidgets.IntSlider)] == [5]


def test_a_question_sets_the_state():
    shown = lab.explore("start", right=3)
    shown._questions.value = "And without dividing by the spread?"
    assert shown.state == {"right": 2, "rule": "dr_grpo"}
    shown.set(right=4)
    assert not shown._questions.value


def test_a_dragged_reward_is_the_new_state():
    shown = lab.explore("microscope", rules=["dr_grpo"])
    (strip,) = (box.children[1] for key, box in shown._drawn.items() if key.startswith("Live"))
    strip.change = {"rewards": [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0], "selected": 3, "at": 1}
    assert shown.state["rewards"] == [[[r] for r in [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]]]
    assert shown.state["rollout"] == 4
    assert shown.frame.filter(rollout=4)["advantage"].to_list() == [0.875]
    assert strip.data.value["rewards"] == [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"right": 9}, "right=9: a whole number from 0 to 8 was expected"),
        ({"right": "two"}, "right=two: a whole number from 0 to 8 was expected"),
        ({"right": [1]}, "right=[1]: a whole number from 0 to 8 was expected"),
        ({"rule": None}, "rule=None: one of grpo, dr_grpo, rloo was expected"),
        ({"wrong": 1}, "unknown setting of start 'wrong'"),
        ({"<b>x</b>": 1}, "unknown setting of start '<b>x</b>'"),
    ],
)
def test_what_cannot_be_read_is_said_and_the_defaults_are_shown(given, words):
    shown = lab.explore("start", **{"right": 3, "rule": "rloo"} | given)
    assert shown.state == {"right": 3, "rule": "rloo"} | {name: START[name] for name in given if name in START}
    assert shown.frame.height == 8
    notice = html.unescape(said(shown)[1])
    assert "This call could not be read in full; the defaults stand in for: " in notice and words in notice
    assert "<b>" not in said(shown)[1]
    shown.set(right=4)
    assert said(shown)[1] == "" and shown.state["right"] == 4


def test_an_unknown_theme_is_refused():
    with pytest.raises(UnknownNameError, match="unknown theme 'grey'"):
        lab.explore("start", theme="grey")


def test_an_unknown_explorer_is_refused():
    with pytest.raises(UnknownNameError, match=r"unknown explorer 'colapse'.*'collapse'"):
        lab.explore("colapse")


def test_a_refused_change_leaves_the_state():
    shown = lab.explore("start")
    with pytest.raises(InputError, match="right"):
        shown.set(right=-1)
    assert shown.state == {"right": 2, "rule": "grpo"}


def test_a_picture_that_fails_says_so_and_the_next_one_is_shown(monkeypatch):
    start = explorers.explorer("start")

    def picture(state):
        if state["right"] == 3:
            raise InputError("three is <b>too many</b>")
        return start.draw(state)

    monkeypatch.setattr(explorers, "explorer", lambda name: replace(start, draw=picture))
    shown = Explored("start", {})
    shown.set(right=3)
    assert shown.picture is None and shown.frame.is_empty()
    assert "three is" in said(shown)[1] and "<b>" not in said(shown)[1]
    shown.set(right=4)
    assert said(shown)[1] == ""
    assert "right 4 times" in said(shown)[0]


def test_a_figure_that_fails_says_so(monkeypatch):
    shown = lab.explore("start")
    monkeypatch.setattr(Panel, "draw", lambda *_: (_ for _ in ()).throw(InputError("no ink")))
    shown.set(right=3)
    assert "no ink" in said(shown)[1]


@pytest.mark.parametrize("name", explorers.names())
def test_the_link_tells_the_state(name, monkeypatch):
    monkeypatch.setattr(Explored, "_draw", lambda self: None)
    known, shown = explorers.explorer(name), Explored(name, small(name))
    link = urlsplit(shown.link("http://127.0.0.1:9"))
    assert (link.netloc, link.path) == ("127.0.0.1:9", f"/{known.path}")
    again, notes = known.read(dict(parse_qsl(link.query)))
    telling = [each.name for each in known.properties if each.matters(shown.state)]
    assert notes == []
    assert {name: again[name] for name in telling} == {name: shown.state[name] for name in telling}


def test_the_still_picture_is_a_plain_figure_in_the_theme():
    light, dark = (lab.explore("start", theme=theme)._standing()._repr_mimebundle_() for theme in ("light", "dark"))
    figures = [each["application/vnd.plotly.v1+json"] for each in (light, dark)]
    paper = [figure["layout"]["template"]["layout"]["paper_bgcolor"] for figure in figures]
    assert paper[0] != paper[1]
    assert [trace["type"] for trace in figures[0]["data"]] == [trace["type"] for trace in figures[1]["data"]]


def test_without_widgets_the_lab_says_what_to_install():
    code = (
        "import sys; sys.modules['ipywidgets'] = None\n"
        "import lab, lab.errors\n"
        "try:\n    lab.explore()\n"
        "except lab.errors.LabError as error:\n    print(error)\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert answer == "lab.explore needs ipywidgets, which is not installed: pip install 'advantage-lab[notebooks]'\n"
