"""Truth, gradients, entropy and KL against enumeration of every action and against finite differences."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from simulators import Bandit, Policy, Rollouts
from tests.simulators.steps import differences

SHAPE = (2, 2, 3)  # P, H, A
ARMS = list(itertools.product(range(3), repeat=2))  # every response of a prompt: an arm of each head


def world_and_policy(seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> tuple[Bandit, Policy]:
    draws = np.random.default_rng(seed)
    world = Bandit(means=draws.normal(size=shape), law="normal", logits=draws.normal(size=shape))
    policy = world.init([0, 1])
    policy.parameters[...] += draws.normal(size=policy.parameters.shape)
    return world, policy


def listed(responses: Any, prompt: Any = None, prompts: int = 2) -> Rollouts:
    """The same responses [G, H] for both runs and every slot."""
    actions = np.tile(np.array(responses), (2, prompts, 1, 1))
    none = np.zeros(actions.shape)
    return Rollouts(none, actions, none, prompt=None if prompt is None else np.array(prompt))


def chances(policy: Policy) -> np.ndarray:
    return np.asarray(special.softmax(policy.parameters, axis=-1))


def probability(policy: Policy, rollouts: Rollouts) -> np.ndarray:
    """Of every listed response [S, P, G], by the policy's own softmax."""
    rows = np.take_along_axis(chances(policy), rollouts.actions.swapaxes(2, 3), axis=-1)
    return np.asarray(rows.prod(axis=2))


def test_value_and_advantage_by_enumeration() -> None:
    world, policy = world_and_policy()
    rollouts = listed(ARMS)
    reward = np.array([[sum(world.means[p, h, a] for h, a in enumerate(arms)) for arms in ARMS] for p in range(2)])
    value = (probability(policy, rollouts) * reward).sum(axis=-1)
    truth = world.truth(policy, rollouts)
    assert np.allclose(truth.value, value, atol=1e-13)
    assert np.allclose(truth.advantage, reward - value[..., None], atol=1e-13)
    assert np.allclose((probability(policy, rollouts) * truth.advantage).sum(-1), 0, atol=1e-13)


@pytest.mark.parametrize("weights", [None, [2.0, -0.5]])
def test_exact_gradient_by_finite_differences(weights: list[float] | None) -> None:
    world, policy = world_and_policy()
    rollouts = listed(ARMS)
    exact = world.truth(policy, rollouts, weights=weights).gradient

    def objective() -> np.ndarray:
        return world.truth(policy, rollouts, gradient=False, weights=weights).value.mean(axis=1)

    assert np.allclose(exact, differences(objective, policy), atol=1e-9)


def test_component_weights_scale_values_and_advantages() -> None:
    world, policy = world_and_policy()
    first, second, both = (world.truth(policy, listed(ARMS), weights=w) for w in ([1, 0], [0, 1], [3, -2]))
    assert np.allclose(both.value, 3 * first.value - 2 * second.value, atol=1e-13)
    assert np.allclose(both.advantage, 3 * first.advantage - 2 * second.advantage, atol=1e-13)
    assert np.allclose(both.gradient, 3 * first.gradient - 2 * second.gradient, atol=1e-13)


def test_reinforce_expects_the_exact_gradient() -> None:
    """E[r grad log pi] over every response, weighted by its probability, is the gradient of the value."""
    world, policy = world_and_policy()
    rollouts = listed(ARMS)
    truth = world.truth(policy, rollouts)
    reward = truth.advantage + truth.value[..., None] + 7.0  # any baseline
    weights = np.repeat((probability(policy, rollouts) * reward / 2)[..., None], 2, axis=-1)
    assert np.allclose(world.gradient(policy, rollouts, weights), truth.gradient, atol=1e-13)


def test_leave_one_out_expects_the_exact_gradient() -> None:
    """Every pair of responses of a group of two, with the other one's reward as baseline."""
    world, policy = world_and_policy()
    pairs = list(itertools.product(ARMS, repeat=2))
    first, second = (listed([pair[i] for pair in pairs]) for i in (0, 1))
    chance = probability(policy, first) * probability(policy, second)
    total = np.zeros(policy.parameters.shape)
    for one, other in ((first, second), (second, first)):
        advantage = world.truth(policy, one).advantage - world.truth(policy, other).advantage
        weights = np.repeat((chance * advantage / (2 * 2))[..., None], 2, axis=-1)
        total += world.gradient(policy, one, weights)
    assert np.allclose(total, world.truth(policy, first).gradient, atol=1e-13)


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 5), st.integers(1, 4), st.integers(0, 99))
@settings(max_examples=20)
def test_gradient_of_weighted_log_probability(prompts: int, heads: int, arms: int, groups: int, seed: int) -> None:
    world, policy = world_and_policy(seed, (prompts, heads, arms))
    rollouts = world.rollout(policy, groups, 0)
    weights = np.random.default_rng(seed).normal(size=rollouts.actions.shape)

    def score() -> np.ndarray:
        return (weights * world.log_prob(policy, rollouts)).sum(axis=(1, 2, 3))

    assert np.allclose(world.gradient(policy, rollouts, weights), differences(score, policy), atol=1e-8)


def test_log_prob_of_the_sampling_policy_is_logp() -> None:
    world, policy = world_and_policy()
    rollouts = world.rollout(policy, 5, 0)
    assert np.array_equal(world.log_prob(policy, rollouts), rollouts.logp)
    expected = np.log(probability(policy, rollouts))
    assert np.allclose(rollouts.logp.sum(axis=-1), expected, atol=1e-13)


def test_entropy_and_kl_by_enumeration() -> None:
    world, policy = world_and_policy()
    _, other = world_and_policy(5)
    p, q = (probability(x, listed(ARMS)) for x in (policy, other))
    assert np.allclose(world.entropy(policy), -(p * np.log(p)).sum(-1).mean(-1), atol=1e-13)
    assert np.allclose(world.kl(policy, other), (p * np.log(p / q)).sum(-1).mean(-1), atol=1e-13)
    assert np.allclose(world.kl(other, policy), (q * np.log(q / p)).sum(-1).mean(-1), atol=1e-13)


@given(st.integers(0, 999))
def test_kl_is_zero_to_itself_and_nowhere_negative(seed: int) -> None:
    world, policy = world_and_policy(seed)
    near = Policy(
        policy.parameters + np.random.default_rng(seed).normal(0, 1e-9, policy.parameters.shape), policy.seeds
    )
    assert (world.kl(policy, policy) == 0).all()
    assert (world.kl(policy, near) >= 0).all()
    assert (world.entropy(policy) <= 2 * np.log(3) + 1e-12).all()


@pytest.mark.parametrize("prompt", [[1, 1, 0], [[1, 1, 0], [0, 1, 1]]])
def test_slots_stand_for_the_prompts_that_they_name(prompt: Any) -> None:
    world, policy = world_and_policy()
    slots = listed(ARMS, prompt, prompts=3)
    plain = listed(ARMS)
    which = np.broadcast_to(prompt, (2, 3))
    runs = np.arange(2)[:, None]
    expected, got = world.truth(policy, plain), world.truth(policy, slots)
    assert np.array_equal(got.value, expected.value[runs, which])
    assert np.array_equal(got.advantage, expected.advantage[runs, which])
    assert np.array_equal(got.gradient, expected.gradient)
    assert np.array_equal(world.log_prob(policy, slots), world.log_prob(policy, plain)[runs, which])
    weights = np.random.default_rng(0).normal(size=slots.actions.shape)
    moved = np.zeros(plain.actions.shape)
    np.add.at(moved, (runs, which), weights)
    assert np.allclose(world.gradient(policy, slots, weights), world.gradient(policy, plain, moved), atol=1e-13)


WORLD, POLICY = world_and_policy()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: WORLD.log_prob(POLICY, listed([(0, 3)])), "actions must lie in 0..2"),
        (lambda: WORLD.log_prob(POLICY, listed([(-1, 0)])), "actions must lie in 0..2"),
        (lambda: WORLD.truth(POLICY, listed([(-1, 0)])), "actions must lie in 0..2"),
        (lambda: WORLD.truth(POLICY, listed([(0, 3)])), "actions must lie in 0..2"),
        (lambda: WORLD.gradient(POLICY, listed([(-1, 0)]), np.zeros((2, 2, 1, 2))), "actions must lie in 0..2"),
        (lambda: WORLD.gradient(POLICY, listed([(0, 3)]), np.zeros((2, 2, 1, 2))), "actions must lie in 0..2"),
        (lambda: WORLD.gradient(POLICY, listed(ARMS), np.zeros((2, 2, 9))), "weights must have the actions' shape"),
        (lambda: WORLD.log_prob(POLICY, listed([(0,)])), "actions must have shape"),
        (lambda: WORLD.truth(POLICY, listed(ARMS, prompts=3)), "3 slots of actions"),
        (lambda: WORLD.truth(POLICY, listed(ARMS, [0, 2])), "rollouts.prompt must lie in 0..1"),
        (lambda: WORLD.truth(POLICY, listed(ARMS), weights=[1.0]), "weights must be 2 finite numbers"),
        (lambda: WORLD.kl(POLICY, WORLD.init([0])), "the same number of seeds"),
    ],
)
def test_what_does_not_fit_is_refused(call: object, message: str) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match=message):
        call()
