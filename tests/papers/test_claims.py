"""Every claim measured: finite numbers, a verdict that follows from them, exact ones exactly."""

from zlib import crc32

import numpy as np
import pytest

from lab import papers
from lab.papers import recorded
from lab.papers.measure import OnePolicy, interval, runs
from simulators import Bandit

EXACT = {
    "baselines.check-rloo", "baselines.check-offset", "gdpo.1", "gdpo.limit-cancel", "gdpo.limit-single-prompt",
    "gdpo.limit-token-offset", "mc-grpo.check-bound", "ngrpo.1", "ngrpo.4", "ngrpo.check-mean", "bnpo.2", "bnpo.3",
    "bnpo.check-concentrated",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(EXACT))
def test_exact_claims_hold_and_fail_without_what_they_are_about(name: str) -> None:
    result, measurement = papers.measured(name)
    assert result.verdict == "holds" and measurement.frame.height > 0 and result.seconds > 0
    assert result.interval == (result.value, result.value) and np.isfinite(result.value)
    if papers.find_claim(name).without is not None:
        assert papers.run_claim(name, counter=True).verdict == "holds"


@pytest.mark.slow
@pytest.mark.parametrize("name", [c.id for c in papers.select()])
def test_every_claim_measured_again_says_what_the_record_says(name: str) -> None:
    kept = recorded.read()[name].runs
    of_one = kept[crc32(name.encode()) % len(kept)]
    found = papers.run_claim(name, of_one.seed, counter=True)
    assert found.verdict == of_one.verdict
    if isinstance(found, papers.Unmeasured):
        return
    low, high = found.interval
    assert np.isfinite([found.value, low, high]).all() and low <= found.value <= high
    assert (found.without is None) == (of_one.without is None)
    if name in EXACT:
        assert found.value == pytest.approx(of_one.value, rel=1e-6, abs=1e-9)


def test_the_same_seed_gives_the_same_number() -> None:
    first, second = papers.run_claim("gdpo.2", 3), papers.run_claim("gdpo.2", 3)
    assert (first.value, first.interval) == (second.value, second.interval)
    assert papers.run_claim("gdpo.2", 4).value != first.value


@pytest.mark.parametrize(
    ("rule", "broken", "name"),
    [("ngrpo", "grpo", "ngrpo.1"), ("gdpo@no-batch-norm", "dr_grpo", "gdpo.limit-cancel"), ("bnpo", "grpo", "bnpo.3"),
     ("rloo", "dr_grpo", "baselines.check-rloo"), ("mc-grpo", "grpo", "mc-grpo.check-bound")],
)  # fmt: skip
def test_a_wrong_rule_fails_its_claim(monkeypatch: pytest.MonkeyPatch, rule: str, broken: str, name: str) -> None:
    from lab import advantages

    real = advantages.compute

    def compute(wanted: str, *args: object, **options: object) -> object:
        options.pop("weights", None)
        return real(broken if wanted == rule else wanted, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(advantages, "compute", compute)
    assert papers.run_claim(name).verdict == "fails"


def test_runs_of_two_seeds_share_none() -> None:
    assert not set(runs(0, 64)) & set(runs(1, 64))


def test_interval_is_students() -> None:
    mean, (low, high) = interval(np.array([1.0, 2.0, 3.0]))
    assert mean == 2.0
    assert (high - low) / 2 == pytest.approx(4.302653 / np.sqrt(3), rel=1e-6)


def test_one_policy_learns_from_all_groups() -> None:
    bandit = Bandit(means=[[[0.0, 1.0], [0.5, 0.2]]])
    world = OnePolicy(bandit, 3)
    policy = world.init([4, 5])
    rollouts = world.rollout(policy, 4, 0)
    assert rollouts.rewards.shape == rollouts.logp.shape == (2, 3, 4, 2)
    flat = bandit.rollout(policy, 12, 0)
    assert np.array_equal(flat.rewards.reshape(2, 3, 4, 2), rollouts.rewards)
    weights = np.random.default_rng(0).random(rollouts.logp.shape)
    whole = bandit.gradient(policy, flat, weights.reshape(flat.logp.shape))
    assert world.gradient(policy, rollouts, weights) == pytest.approx(whole)
    assert np.array_equal(world.log_prob(policy, rollouts), rollouts.logp)
    assert world.truth(policy, rollouts).value.shape == (2, 3)
    assert world.entropy(policy) == pytest.approx(bandit.entropy(policy))
    assert world.kl(policy, policy) == pytest.approx([0, 0])
