"""The claims on reward hacking: all are there, they hold, and a world that spreads nothing fails them."""

import pytest

from lab import papers
from lab.papers import school_of_reward_hacks as paper
from simulators.reward_hacks import world as reward_hacks

SLUG = "school-of-reward-hacks"
PARTS = ("1", "2", "3", "4", "5", "check-control", "check-parting", "check-graders", "check-metrics", "check-starc",
         "limit-metrics")  # fmt: skip


@pytest.mark.parametrize("part", [pytest.param(p, marks=[pytest.mark.slow] if p == "4" else []) for p in PARTS])
def test_claim_holds(part: str) -> None:
    found, measured = papers.measured(f"{SLUG}.{part}")
    assert found.holds, found
    assert measured.frame.height > 0


def test_every_claim_is_there() -> None:
    assert [c.id for c in papers.paper(SLUG).claims] == [f"{SLUG}.{part}" for part in PARTS]


def test_without_a_shared_feature_the_spread_is_gone_and_its_claim_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    real = reward_hacks.RewardHacks
    monkeypatch.setattr(reward_hacks, "RewardHacks", lambda **given: real(**(given | {"shared": False})))
    paper._imitated.cache_clear()
    try:
        assert not papers.run_claim(f"{SLUG}.1").holds
        assert not papers.run_claim(f"{SLUG}.3").holds
    finally:
        paper._imitated.cache_clear()
