"""Every page of the dashboard, at every preset and at broken addresses, without an exception."""

import ast
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from lab.explorers import explorer, names
from lab.notebook.home import Explored
from lab.pages.shell import Page
from tests.pages.looking import SECONDS, app, look, settled, untold

ROOT = Path(__file__).resolve().parent.parent.parent


def own() -> list[str]:
    """The pages of their own kind that `lab/pages/app.py` lists, in its order."""
    tree = ast.parse((ROOT / "lab/pages/app.py").read_text(encoding="utf-8"))
    texts = [str(node.value) for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return [Path(text).stem for text in texts if text.endswith(".py")]


PAGES = [*(name.replace("-", "_") for name in names()), *own()]


def opened(page: str, **address: str) -> AppTest:
    test = app(page)
    for name, text in address.items():
        test.query_params[name] = text
    return settled(test.run())


def problems(test: AppTest) -> list[str]:
    return [str(each.value) for each in [*test.exception, *test.error]]


def questions(test: AppTest) -> dict[str, int]:
    """Each preset, and which of the page's pills it is among."""
    return {name: i for i, each in enumerate(test.pills) if each.label == "All questions" for name in each.options}


def sentence(test: AppTest) -> str:
    return str(test.markdown[0].value)


def frames(monkeypatch: pytest.MonkeyPatch) -> list[pl.DataFrame]:
    """The data that pages give, run by run."""
    given, finish = [], Page.finish

    def noted(self: Page, code: str, frame: pl.DataFrame, *more: Any, **named: Any) -> None:
        given.append(frame)
        finish(self, code, frame, *more, **named)

    monkeypatch.setattr(Page, "finish", noted)
    return given


def in_a_notebook(page: str, monkeypatch: pytest.MonkeyPatch) -> Explored | None:
    """The same explorer in a notebook, its pictures left undrawn; None where the page is none."""
    monkeypatch.setattr(Explored, "_fill", lambda self, picture: None)
    name = page.replace("_", "-")
    return Explored(name, {}) if name in names() else None


@pytest.fixture(scope="module", params=PAGES)
def page(request):
    return request.param


def test_the_app_lists_its_pages():
    assert {"start", "microscope", "train", "papers", "my_run"} <= set(PAGES) and len(PAGES) == len(set(PAGES))
    assert problems(AppTest.from_file(str(ROOT / "lab/pages/app.py"), default_timeout=SECONDS).run()) == []


def test_the_first_screen_is_finished(page):
    test = opened(page)
    assert problems(test) == []
    assert test.title[0].value.endswith("?")
    assert len(sentence(test)) > 20 and sentence(test).endswith(".")
    assert [each.proto.popover.label for each in test.get("popover")][:3] == ["Link", "Code", "Data"]


@pytest.mark.slow
def test_every_preset_is_a_question_with_an_answer_and_its_data_are_those_of_a_notebook(page, monkeypatch):
    given, there = frames(monkeypatch), in_a_notebook(page, monkeypatch)
    test = opened(page)
    assert there is None or given[-1].equals(there.frame)
    for question, place in questions(test).items():
        assert question.endswith("?")
        settled(test.pills[place].set_value(question).run())
        assert problems(test) == [], question
        lit, row = test.pills[:2]
        assert question in (lit.value, row.value), "the chosen question stays lit"
        assert row.options[0] == question, "it stands first, so that no window hides it"
        assert len(sentence(test)) > 20
        if there is not None:
            there._questions.value = question
            assert given[-1].equals(there.frame), question


def test_the_whole_state_is_in_the_address(page):
    test = opened(page)
    address = {name: v if isinstance(v, str) else v[-1] for name, v in test.query_params.items()}
    assert address
    again = opened(page, **address)
    assert problems(again) == [] and not again.warning
    assert sentence(again) == sentence(test)


def test_the_lines_under_code_repeat_every_picture_and_the_data(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    seen = look(page, {"paper": "ngrpo"} if page == "papers" else {})
    assert seen.problems == []
    shown = next(each.value for each in seen.test.code if each.language == "python")
    alone = any(line.startswith(("lab.figures.", "picture(")) for line in seen.code.splitlines())
    assert shown.startswith(seen.code.strip()) and (".write_html(" in shown) == alone
    captions = [each.value for each in seen.test.caption]
    of = next(text for text in captions if text.startswith("The data behind"))
    assert "this picture" not in of or len(seen.pictures) < 2, "of several pictures it is said which"
    assert untold(seen) == []


def test_the_lines_of_all_papers_repeat_what_is_chosen(monkeypatch):
    monkeypatch.chdir(ROOT)
    seen = look("papers", {"kind": "limit"})
    assert [name for name, _, _ in seen.pictures] == ["claim_map"] and untold(seen) == []


def test_a_broken_link_is_said_and_survived(page):
    test = opened(page, seed="seven", nonsense="<b>x</b>")
    assert problems(test) == []
    assert "could not be read in full" in test.warning[0].value
    assert "<b>" not in test.warning[0].value, "text from outside is shown as text"
    if (name := page.replace("_", "-")) in names():
        address = {name: v if isinstance(v, str) else v[-1] for name, v in test.query_params.items()}
        assert address == explorer(name).written(explorer(name).state()), "the defaults are shown"
