"""What a finding is, and that checks are found by being there."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import lab
from lab.errors import InputError
from lab.logs import Finding, bundled
from lab.logs.findings import contract
from lab.logs.findings.trends import thirds
from tests.logs.logs import Write


@pytest.fixture
def own_check() -> Iterator[None]:
    """Takes away what a test registers."""
    before = contract.checks()
    yield
    contract._CHECKS.clear()
    contract._CHECKS.update(before)


def test_checks_say_what_they_look_for() -> None:
    for kind, check in contract.checks().items():
        assert check.kind == kind and check.family == kind.partition(".")[0]
        assert check.definition and check.threshold and check.source, kind
        assert "{" not in check.threshold
        assert check.run.__doc__ and check.run.__module__.startswith(f"lab.logs.findings.{check.family}")


def test_a_check_of_ones_own(write: Write, own_check: None) -> None:
    @lab.logs.check("mine.many", definition="many steps", threshold="from {most} on", advice="fewer")
    def many(run: lab.logs.Facts, *, most: int = 2) -> Finding | None:
        steps = run.steps.filter(pl.col("step") >= most).select("step")
        return Finding("alarm", "Many\nsteps.", steps, 0.5) if steps.height else None

    found = lab.diagnose(lab.load(write()), ["grpo"]).findings[0]
    assert (str(found), found.kind, found.severity, found.first_step) == ("Many steps.", "mine.many", "alarm", 2)
    assert found.check is not None and found.check.thresholds == {"most": 2}
    assert found.facts() == {
        "kind": "mine.many", "severity": "alarm", "sentence": "Many steps.", "share": 0.5, "first_step": 2, "rows": 1,
        "definition": "many steps", "threshold": "from 2 on", "advice": "fewer", "source": "",
    }  # fmt: skip
    with pytest.raises(InputError, match=r"check 'mine.many' exists already"):
        lab.logs.check("mine.many", definition="")(lambda run: None)
    with pytest.raises(InputError, match="a family and a name"):
        lab.logs.check("many", definition="")
    with pytest.raises(InputError, match="one of alarm, warning, note"):
        Finding("bad", "x")


def test_a_path_is_diagnosed_as_it_is() -> None:
    found = lab.diagnose(bundled()["two_rewards"])
    assert [finding.kind for finding in found.findings] == ["log.healthy", "advantages.rule"]
    assert found.findings[0].first_step is None


def test_the_worst_comes_first(write: Write) -> None:
    found = lab.diagnose(write(np.zeros((2, 4, 4, 1)), prompts="abcd")).findings
    assert [finding.severity for finding in found] == sorted((f.severity for f in found), key=contract.SEVERITIES.index)
    assert (found[0].kind, found[0].share, found[0].rows.height) == ("signal.silent", 1.0, 8)


@pytest.mark.parametrize(("silent", "severity"), [(5, "note"), (6, "warning"), (7, "warning"), (8, "alarm")])
def test_silent_groups_at_the_edge(write: Write, silent: int, severity: str) -> None:
    rewards = np.zeros((1, 8, 4, 1))
    rewards[0, silent:, 0] = 1.0
    finding = next(f for f in lab.diagnose(write(rewards, prompts="abcdefgh")).findings if f.kind == "signal.silent")
    assert (finding.severity, finding.share) == (severity, silent / 8)
    few = next(f for f in lab.diagnose(write(rewards[:, 1:], prompts="abcdefgh")).findings if f.kind == "signal.silent")
    assert few.severity == "note", "of seven groups too little is known"


def test_findings_are_drawn_by_their_evidence(root: Path) -> None:
    found = lab.diagnose(bundled()["equal_rewards"]).findings
    drawn = [f.evidence for f in found if f.evidence]
    assert {evidence.figure for evidence in drawn} >= {"group_map", "agreement"}
    for evidence in drawn:
        assert getattr(lab.figures, evidence.figure)(evidence.frame, **evidence.options).data


def test_a_healthy_run_gets_one_calm_sentence(write: Write) -> None:
    state = {"log_history": [{"step": s, "loss": 0.0, "grad_norm": 0.1} for s in (1, 2)]}
    found = lab.diagnose(write(state=state)).findings
    assert [f.severity for f in found] == ["note"] * len(found)
    assert str(found[0]) == (
        "Nothing in this log looks wrong: each of the 6 groups has different rewards, so there is something to learn. "
        "A loss of 0 is normal with one update per batch: the advantages of a group cancel in it."
    )


def test_thirds_of_the_steps() -> None:
    rows = pl.DataFrame({"step": [1, 1, 2, 5, 6, 6, 7, 8, 9]})
    first, last = thirds(rows)
    assert (first["step"].to_list(), last["step"].to_list()) == ([1, 1, 2], [8, 9])
    first, last = thirds(rows.head(2))
    assert (first["step"].to_list(), last["step"].to_list()) == ([], [1, 1])
    assert [part.height for part in thirds(rows.clear())] == [0, 0]
