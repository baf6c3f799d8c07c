"""The dashboard's home of explorers: a picture that fails says so in its place, and the page stays usable."""

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from lab.errors import InputError
from lab.explorers import explorer
from lab.explorers.contract import Live, Panel
from lab.pages import home
from tests.pages.looking import app

START = explorer("start")


def refuse(state):
    """A picture, but for three right answers."""
    if state["right"] == 3:
        raise InputError("three is <b>too many</b>")
    return START.draw(state)


def without_ink(state):
    """The same, where it is a figure that fails."""
    picture = START.draw(state)
    return replace(picture, panels=[Panel(no_ink, picture.frame)]) if state["right"] == 3 else picture


def no_ink(frame, **options):
    """A figure that cannot be drawn."""
    raise InputError("three is <b>too many</b>")


no_ink.guide = ""


def without_data(state):
    """The same, where it is a live picture that fails."""
    picture = START.draw(state)
    live = Live("strip", lambda theme: no_ink(picture.frame), lambda state, change: {}, picture.panels[0])
    return replace(picture, panels=[live]) if state["right"] == 3 else picture


@pytest.fixture(params=[refuse, without_ink, without_data])
def failing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(home, "explorer", lambda name: replace(START, draw=request.param))
    home.started.clear()
    yield app("start")
    home.started.clear()


def test_a_picture_that_fails_says_so_and_the_next_one_is_shown(failing):
    failing.query_params["right"] = "3"
    failing.run()
    assert not failing.exception
    (error,) = failing.error
    assert "three is" in error.value and "<b>" not in error.value
    assert failing.title[0].value == START.title and failing.slider[0].value == 3
    failing.slider[0].set_value(4).run()
    assert not failing.exception and not failing.error
    assert "right 4 times" in failing.markdown[0].value
