"""Sampling: against plain Python, against the policy's own probabilities, and in any block of seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from simulators import Bandit, Policy, World, reward_laws
from tests.simulators import reference

SHAPE = (3, 2, 5)  # P, H, A
LAWS = [law.name for law in reward_laws.named()]


def bandit(law: str = "bernoulli", shape: tuple[int, int, int] = SHAPE, seed: int = 0) -> Bandit:
    draws = np.random.default_rng(seed)
    return Bandit(means=draws.random(shape), law=law, logits=draws.normal(0, 2, shape))


def moved(world: Bandit, seeds: list[int]) -> Policy:
    """A policy whose runs have gone different ways."""
    policy = world.init(seeds)
    for run, seed in enumerate(seeds):
        policy.parameters[run] += np.random.default_rng(seed).normal(size=world.means.shape)
    return policy


def test_the_bandit_is_a_world() -> None:
    assert isinstance(bandit(), World)


@pytest.mark.parametrize("law", LAWS)
def test_a_step_against_plain_python(law: str) -> None:
    """Arms and Bernoulli rewards exactly; the rest to 1e-12, since two libraries' logarithms differ by an ulp."""
    world, seeds, step, attempt = bandit(law), [0, 2**64 - 1], 7, 2
    policy = moved(world, seeds)
    got = world.rollout(policy, 4, step, attempt=attempt)
    for s, p, g, h in np.ndindex(2, 3, 4, 2):
        uniforms = [reference.uniform(seeds[s], step, attempt, p, g, 4 * h + d) for d in range(4)]
        one = world.laws[h]
        name, numbers = ("bernoulli", ()) if law == "bernoulli" else (one.name, one.parameters)
        rows = world.means[p, h].tolist(), policy.parameters[s, p, h].tolist()
        arm, reward, logp = reference.head(*rows, name, numbers, one.centre, uniforms)
        assert got.actions[s, p, g, h] == arm
        assert got.rewards[s, p, g, h] == (
            reward if law == "bernoulli" else pytest.approx(reward, abs=1e-12, rel=1e-12)
        )
        assert got.logp[s, p, g, h] == pytest.approx(logp, abs=1e-13)


@pytest.mark.parametrize("law", LAWS)
def test_greedy_rewards_against_plain_python(law: str) -> None:
    world, step = bandit(law), 3
    policy = moved(world, [5])
    rewards = world.rollout(policy, 2, step, fields=("greedy_rewards",)).greedy_rewards
    assert rewards is not None
    for p, h in np.ndindex(3, 2):
        uniforms = [reference.uniform(5, step, 0, p, reference.GREEDY, 4 * h + d) for d in (1, 2, 3)]
        one, mean = world.laws[h], world.means[p, h, policy.parameters[0, p, h].argmax()]
        assert rewards[0, p, h] == pytest.approx(
            reference.reward(mean, one.name, one.parameters, one.centre, uniforms), abs=1e-12, rel=1e-12
        )


def test_greedy_rewards_average_to_the_best_arm_and_cost_no_other_draw() -> None:
    world = Bandit([[0.2, 0.7]], logits=[0.0, 1.0])
    policy = world.init(range(4000))
    plain, more = world.rollout(policy, 2, 0), world.rollout(policy, 5, 0, fields=("greedy_rewards",))
    assert more.greedy_rewards is not None
    assert plain.greedy_rewards is None
    assert abs(more.greedy_rewards.mean() - 0.7) < 5 * math.sqrt(0.21 / 4000)
    assert np.array_equal(plain.rewards, more.rewards[:, :, :2])


def test_arms_come_as_often_as_the_policy_says() -> None:
    world = bandit(shape=(2, 1, 9))
    policy = world.init([3])
    actions = world.rollout(policy, 50_000, 0).actions
    logits = policy.parameters[0, :, 0]
    chances = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    for p in range(2):
        counts = np.bincount(actions[0, p, :, 0], minlength=9)
        assert stats.chisquare(counts, chances[p] * 50_000).pvalue > 1e-4


@pytest.mark.parametrize("law", LAWS)
def test_an_arm_pays_its_mean(law: str) -> None:
    world = Bandit(means=[[0.2, 0.9]], law=law)
    got = world.rollout(world.init([1]), 100_000, 0)
    rewards, arms = got.rewards.ravel(), got.actions.ravel()
    for arm, mean in enumerate([0.2, 0.9]):
        drawn = rewards[arms == arm]
        if math.isfinite(world.laws[0].variance):
            assert abs(drawn.mean() - mean) < 5 * drawn.std() / math.sqrt(drawn.size)
        else:
            assert abs(np.median(drawn) - mean) < 0.03


def test_arm_and_reward_are_separate_draws() -> None:
    world = Bandit([[0.5, 0.5]])
    got = world.rollout(world.init([0]), 40_000, 0)
    table = np.histogram2d(got.actions.ravel(), got.rewards.ravel(), bins=2)[0]
    assert stats.chi2_contingency(table).pvalue > 1e-4


def test_an_arm_of_no_probability_is_never_taken() -> None:
    world = Bandit(np.full((1, 4), 0.5), logits=[-1000.0, 0.0, -1000.0, -1000.0])
    got = world.rollout(world.init(range(50)), 200, 0)
    assert (got.actions == 1).all()
    assert (got.logp == 0).all()


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=7), st.integers(0, 10**6), st.integers(1, 9))
@settings(max_examples=25)
def test_any_block_of_seeds_gives_the_same_bits(seeds: list[int], step: int, group_size: int) -> None:
    world = bandit("student_t")
    together = moved(world, seeds)
    whole = world.rollout(together, group_size, step, fields=("greedy_rewards",))
    for run, seed in enumerate(seeds):
        alone = moved(world, [seed])
        part = world.rollout(alone, group_size, step, fields=("greedy_rewards",))
        for field in ("rewards", "actions", "logp", "greedy_rewards"):
            assert np.array_equal(getattr(part, field)[0], getattr(whole, field)[run])
        weights = whole.rewards
        truths = world.truth(alone, part), world.truth(together, whole)
        for field in ("value", "advantage", "gradient"):
            assert np.array_equal(getattr(truths[0], field)[0], getattr(truths[1], field)[run])
        gradients = world.gradient(alone, part, weights[run : run + 1]), world.gradient(together, whole, weights)
        assert np.array_equal(gradients[0][0], gradients[1][run])
        assert world.entropy(alone)[0] == world.entropy(together)[run]
        start = world.kl(alone, world.init([seed])), world.kl(together, world.init(seeds))
        assert start[0][0] == start[1][run]


def test_more_rollouts_prompts_or_heads_leave_the_others_as_they_were() -> None:
    small, large = bandit(shape=(2, 1, 4)), Bandit(np.zeros((3, 2, 4)))
    large.means[:2, :1], large.logits[:2, :1] = small.means, small.logits
    few, many = small.rollout(small.init([9]), 3, 1), large.rollout(large.init([9]), 8, 1)
    assert np.array_equal(few.actions, many.actions[:, :2, :3, :1])
    assert np.array_equal(few.rewards, many.rewards[:, :2, :3, :1])


def test_steps_and_attempts_are_different_draws() -> None:
    world = bandit("normal")
    policy = world.init([0])
    draws = [world.rollout(policy, 4, t, attempt=a).rewards for t, a in [(0, 0), (1, 0), (0, 1), (1, 1), (2, 0)]]
    assert len({d.tobytes() for d in draws}) == 5


def test_rollouts_that_are_kept_do_not_change() -> None:
    world = bandit("normal")
    policy = world.init([0])
    kept = world.rollout(policy, 4, 0)
    before = kept.rewards.copy(), kept.logp.copy(), policy.parameters.copy()
    policy.parameters[...] += 1.0 * np.arange(5)
    world.rollout(policy, 4, 1)
    assert np.array_equal(kept.rewards, before[0])
    assert np.array_equal(kept.logp, before[1])
    policy.parameters[...] = before[2]
    assert np.array_equal(world.rollout(policy, 4, 0).rewards, before[0])


def test_shapes_of_the_arms() -> None:
    sizes = [
        (w.prompts, w.heads, w.arms)
        for w in (Bandit([0.1, 0.9]), Bandit(np.zeros((3, 4))), Bandit(np.zeros((2, 3, 4))))
    ]
    assert sizes == [(1, 1, 2), (3, 1, 4), (2, 3, 4)]
    assert "prompts=2, heads=3, arms=4" in repr(Bandit(np.zeros((2, 3, 4))))


NAN = math.nan
WORLD, START = Bandit([[0.5, 0.5]]), Bandit([[0.5, 0.5]]).init([0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (Bandit, "needs success"),
        (lambda: Bandit([0.5], means=[0.5]), "and not both"),
        (lambda: Bandit([[0.5, 1.5]]), "success must be from 0 to 1, not 0.5 to 1.5"),
        (lambda: Bandit([[0.5, NAN]]), "must be finite"),
        (lambda: Bandit(means=[[0.5, math.inf]], law="normal"), "must be finite"),
        (lambda: Bandit(0.5), "shape \\[A\\], \\[P, A\\] or \\[P, H, A\\]"),
        (lambda: Bandit(np.zeros((1, 1, 1, 2))), "not \\(1, 1, 1, 2\\)"),
        (lambda: Bandit(np.zeros((0, 2))), "not \\(0, 2\\)"),
        (lambda: Bandit([0.5], law="bernouli"), "unknown reward law 'bernouli'; nearest: 'bernoulli'"),
        (lambda: Bandit([0.5], law=reward_laws.student_t(1.0)), "has no mean"),
        (lambda: Bandit([0.5, 0.5], logits=[1.0, 2.0, 3.0]), "do not broadcast"),
        (lambda: Bandit([0.5, 0.5], logits=NAN), "initial logits must be finite"),
        (lambda: WORLD.init([]), "one or more integers"),
        (lambda: WORLD.init([2**64]), "seed must be at most 18446744073709551615, not 18446744073709551616"),
        (lambda: WORLD.init([-1]), "seed must be at least 0, not -1"),
        (lambda: WORLD.rollout(START, 0, 0), "group_size must be at least 1, not 0"),
        (lambda: WORLD.rollout(START, 2, -1), "step must be at least 0, not -1"),
        (lambda: WORLD.rollout(START, 2, 0, attempt=-1), "attempt must be at least 0"),
        (lambda: WORLD.rollout(START, 2, 0, fields=("greedy",)), "'greedy'; nearest: 'greedy_rewards'"),
        (lambda: WORLD.rollout(Bandit([0.1, 0.2, 0.3]).init([0]), 2, 0), "has logits \\(1, 1, 1, 2\\), not"),
    ],
)
def test_what_cannot_be_meant_is_refused(call: object, message: str) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("call", [lambda: WORLD.init([0.5]), lambda: WORLD.rollout(START, 2.0, 0)])  # type: ignore[arg-type,list-item]
def test_counters_are_integers(call: object) -> None:
    assert callable(call)
    with pytest.raises(TypeError, match="must be an integer"):
        call()
