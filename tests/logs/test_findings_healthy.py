"""Runs with which nothing is wrong get no alarm, nor a warning."""

import pytest

import lab
from lab.logs import Finding, bundled
from tests.logs.simulated import HEALTHY, found

SICK = {"equal_rewards": {"signal.silent", "advantages.phantom"}}


def worse(findings: tuple[Finding, ...] | list[Finding]) -> set[str]:
    return {f.kind for f in findings if f.severity != "note"}


@pytest.mark.parametrize("name", sorted(bundled()))
def test_a_log_that_comes_with_the_lab(name: str) -> None:
    assert worse(lab.diagnose(bundled()[name], []).findings) == SICK.get(name, set())


def test_a_run_of_a_world() -> None:
    for seed, findings in found("bandit", 1, steps=20):
        assert (seed, worse(findings)) == (0, set())
        assert findings[0].kind == "log.healthy"


@pytest.mark.slow
@pytest.mark.parametrize("name", HEALTHY)
def test_runs_of_every_world(name: str) -> None:
    for seed, findings in found(name, 2):
        assert worse(findings) == set(), f"seed {seed}"
