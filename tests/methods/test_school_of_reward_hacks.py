"""The claims on reward hacking: all are there, they hold, and a world that spreads nothing fails them."""

import numpy as np
import pytest

from lab import papers
from lab.studies.reward_hacking import hacking_study

SLUG = "school-of-reward-hacks"
PARTS = ("1", "2", "3", "4", "5", "check-control", "check-parting", "check-graders", "check-metrics", "check-starc",
         "limit-metrics")  # fmt: skip


def test_every_claim_is_there() -> None:
    assert [c.id for c in papers.paper(SLUG).claims] == [f"{SLUG}.{part}" for part in ("headline", *PARTS)]


def test_without_a_shared_feature_the_spread_is_gone_and_its_claim_fails() -> None:
    found = papers.run_claim(f"{SLUG}.1", counter=True)
    assert found.verdict == "holds" and found.value > 0.8
    assert found.without == pytest.approx(0.0, abs=0.01)


def test_several_metrics_are_gamed_without_gain_elsewhere() -> None:
    few = {"demonstrations": 100, "steps": 100, "every": 100, "seeds": 4, "tasks": 200}
    one, three = (hacking_study([6], [1.0], metrics=m, **few).filter(step=100) for m in (1, 3))
    assert np.all(one["value"].to_numpy() > 0.9)
    assert np.all(np.abs(three["value"].to_numpy() - 0.57) < 0.06)
    assert np.all(three["hack"].to_numpy() > 0.5)
