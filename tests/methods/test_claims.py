"""Every claim of the further methods holds; their notes carry the spread over seeds 0 to 4."""

import pytest

from lab import papers

SLUGS = (
    "golongrl-tmn",
    "dvao",
    "refine-rft",
    "grpo-s",
    "hybrid-reward",
    "mixed-r1",
    "harmonic-rpo",
    "reg-grpo",
    "drpo",
    "gcpo",
    "dno",
    "mapo",
    "a2tgpo",
    "clip-delta",
    "thr",
    "toolrl",
    "t-reg",
    "arenarl",
    "balcaprl",
    "grqo",
    "mdp-substrate",
    "dr-mas",
    "graph-grpo",
    "semantic-reward",
    "barfi",
    "lare",
)

NAMES = [c.id for c in papers.select(*SLUGS) if c.kind != "headline"]
#: Those with a counter-experiment are measured beside it, in tests/papers.
ALONE = [name for name in NAMES if papers.find_claim(name).without is None]
#: They fit several networks, or train for many steps.
LONG = ("lare.1", "lare.2", "lare.check-losses", "lare.check-bottleneck", "grqo.limit-error", "drpo.1", "drpo.3")


@pytest.mark.slow
@pytest.mark.parametrize("name", ALONE)
def test_claim_holds(name: str) -> None:
    found = papers.run_claim(name)
    if isinstance(found, papers.Unmeasured):
        pytest.skip(found.reason)
    assert found.holds, found


@pytest.mark.slow
@pytest.mark.parametrize("name", [c.id for c in papers.select() if c.kind == "headline"])
def test_a_headline_is_the_same_with_another_seed(name: str) -> None:
    verdict = papers.run_claim(name).verdict
    assert verdict in (papers.SHOWN, papers.NOT_SHOWN, papers.REVERSED)
    assert papers.run_claim(name, seed=3).verdict == verdict


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name not in LONG])
def test_another_seed_gives_the_same_verdict(name: str) -> None:
    found = papers.run_claim(name, seed=3)
    if isinstance(found, papers.Unmeasured):
        pytest.skip(found.reason)
    assert found.holds, found
