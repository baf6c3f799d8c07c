"""Every page of the dashboard, at every preset and at broken addresses, without an exception."""

import ast
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS = 90


def listed() -> list[str]:
    """The page files that app.py lists, in its order."""
    tree = ast.parse((ROOT / "app.py").read_text(encoding="utf-8"))
    return [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and str(n.value).startswith("lab/pages/")]


PAGES = listed()


def opened(page: str, **address: str) -> AppTest:
    test = AppTest.from_file(str(ROOT / page), default_timeout=SECONDS)
    for name, text in address.items():
        test.query_params[name] = text
    return settled(test.run())


def settled(test: AppTest) -> AppTest:
    """The page when nothing runs beside it any more: a busy machine shows a progress bar first."""
    end = time.monotonic() + SECONDS
    while test.get("progress") and time.monotonic() < end:
        time.sleep(0.2)
        test.run()
    return test


def problems(test: AppTest) -> list[str]:
    return [str(each.value) for each in [*test.exception, *test.error]]


def questions(test: AppTest) -> dict[str, int]:
    """Each preset, and which of the page's pills it is among."""
    labels = ("Questions", "More questions")
    return {name: i for i, each in enumerate(test.pills) if each.label in labels for name in each.options}


def sentence(test: AppTest) -> str:
    return str(test.markdown[0].value)


@pytest.fixture(scope="module", params=PAGES, ids=lambda page: Path(page).stem)
def page(request):
    return request.param


def test_the_app_lists_its_pages():
    assert PAGES[0] == "lab/pages/microscope.py"
    assert len(PAGES) == len(set(PAGES)) >= 3
    assert problems(AppTest.from_file(str(ROOT / "app.py"), default_timeout=SECONDS).run()) == []


def test_the_first_screen_is_finished(page):
    test = opened(page)
    assert problems(test) == []
    assert test.title[0].value.endswith("?")
    assert len(sentence(test)) > 20 and sentence(test).endswith(".")
    assert [each.proto.popover.label for each in test.get("popover")][:3] == ["Link", "Code", "Data"]


def test_every_preset_is_a_question_with_an_answer(page):
    test = opened(page)
    for question, place in questions(test).items():
        assert question.endswith("?")
        settled(test.pills[place].set_value(question).run())
        assert problems(test) == [], question
        assert [each.value for each in test.pills[:2] if each.value][:1] == [question], "the chosen question stays lit"
        assert len(sentence(test)) > 20


def test_the_whole_state_is_in_the_address(page):
    test = opened(page)
    address = {name: v if isinstance(v, str) else v[-1] for name, v in test.query_params.items()}
    assert address
    again = opened(page, **address)
    assert problems(again) == [] and not again.warning
    assert sentence(again) == sentence(test)


def test_the_lines_under_code_run(page, tmp_path, monkeypatch):
    test = opened(page, **({"paper": "ngrpo"} if page.endswith("papers.py") else {}))  # all papers take minutes
    lines = next(each.value for each in test.code if each.language == "python")
    monkeypatch.chdir(ROOT)
    exec(compile(lines, f"{page}: code", "exec"), {})


def test_a_broken_link_is_said_and_survived(page):
    test = opened(page, seed="seven", nonsense="<b>x</b>")
    assert problems(test) == []
    assert "could not be read in full" in test.warning[0].value
    assert "<b>" not in test.warning[0].value, "text from outside is shown as text"
