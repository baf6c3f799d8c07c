"""Rewards, truth, gradients, entropy and KL against every response written out, and against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from simulators import Policy, Rollouts, ToyLM
from simulators.toy_lm.tasks import TASKS
from tests.simulators.steps import differences
from tests.toy_lm.reference import referee, responses

#: Task -> V, T.
SHAPES = {
    "arithmetic": (5, 4), "brackets": (4, 5), "copy": (3, 4), "reverse": (4, 4), "length": (3, 3), "targets": (4, 4),
    "tool-call": (4, 5),
}  # fmt: skip


def world_and_policy(task: str, prompts: int = 3, seed: int = 0, runs: int = 2) -> tuple[ToyLM, Policy]:
    vocabulary, length = SHAPES[task]
    draws = np.random.default_rng(seed)
    world = ToyLM(task, prompts=prompts, vocabulary=vocabulary, length=length, logits=draws.normal(size=vocabulary))
    policy = world.init(range(runs))
    policy.parameters[...] += draws.normal(size=policy.parameters.shape)
    return world, policy


def every(world: ToyLM, policy: Policy) -> Rollouts:
    """All responses of every prompt as one group."""
    listed = np.array(responses(world.vocabulary, world.length))
    actions = np.tile(listed, (policy.seeds.size, world.prompts, 1, 1))
    return Rollouts(np.zeros((*actions.shape[:3], 3)), actions, np.zeros(actions.shape))


def judged(world: ToyLM) -> np.ndarray:
    """Rewards of all responses [P, G, K], by the referee."""
    listed = responses(world.vocabulary, world.length)
    pairs = zip(world.questions, world.tokens, strict=True)
    return np.array([[referee(question, tokens, y) for y in listed] for question, tokens in pairs])


def probability(policy: Policy, rollouts: Rollouts) -> np.ndarray:
    """Of every response [S, P, G], by the policy's own softmax and the definition."""
    log_pi = special.log_softmax(policy.parameters, axis=-1)
    out = np.zeros(rollouts.actions.shape[:3])
    for s, p, g in np.ndindex(out.shape):
        before = 0
        for t, token in enumerate(rollouts.actions[s, p, g]):
            out[s, p, g] += log_pi[s, p, t, before, token]
            before = token
            if token == 0:
                break
    return np.exp(out)


def test_all_tasks_are_tried() -> None:
    assert set(SHAPES) == set(TASKS)


@pytest.mark.parametrize("task", TASKS)
def test_rewards_are_those_of_the_referee(task: str) -> None:
    world, policy = world_and_policy(task, prompts=6)
    assert np.allclose(world.pay(policy, every(world, policy))[0], judged(world), atol=1e-13)


@pytest.mark.parametrize("task", TASKS)
def test_probabilities_of_all_responses_sum_to_one(task: str) -> None:
    world, policy = world_and_policy(task)
    rollouts = every(world, policy)
    chance = np.exp(world.log_prob(policy, rollouts).sum(-1))
    assert np.allclose(chance.sum(-1), 1, atol=1e-12)
    assert np.allclose(chance, probability(policy, rollouts), atol=1e-13)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("weights", [None, [1.0, 0.0, 0.0], [0.5, -1.0, 2.0]])
def test_value_and_advantage_by_enumeration(task: str, weights: list[float] | None) -> None:
    world, policy = world_and_policy(task)
    rollouts = every(world, policy)
    reward = judged(world) @ (weights or [1.0, 1.0, 1.0])
    value = (probability(policy, rollouts) * reward).sum(-1)
    truth = world.truth(policy, rollouts, weights=weights)
    assert np.allclose(truth.value, value, atol=1e-12)
    assert np.allclose(truth.advantage, reward - value[..., None], atol=1e-12)


@pytest.mark.parametrize("task", TASKS)
def test_exact_gradient_by_finite_differences_and_by_enumeration(task: str) -> None:
    world, policy = world_and_policy(task, prompts=2)
    rollouts = every(world, policy)
    truth = world.truth(policy, rollouts)

    def objective() -> np.ndarray:
        return world.truth(policy, rollouts, gradient=False).value.mean(axis=1)

    assert np.allclose(truth.gradient, differences(objective, policy), atol=1e-9)
    advantage = truth.advantage + 3.0  # any baseline
    weights = np.repeat((probability(policy, rollouts) * advantage / world.prompts)[..., None], world.length, axis=-1)
    assert np.allclose(world.gradient(policy, rollouts, weights), truth.gradient, atol=1e-12)


@pytest.mark.parametrize("task", ["arithmetic", "length"])
def test_gradient_of_weighted_log_probability(task: str) -> None:
    world, policy = world_and_policy(task, prompts=2)
    rollouts = world.rollout(policy, 4, 0)
    weights = np.random.default_rng(1).normal(size=rollouts.actions.shape)

    def score() -> np.ndarray:
        return (weights * world.log_prob(policy, rollouts)).sum(axis=(1, 2, 3))

    assert np.allclose(world.gradient(policy, rollouts, weights), differences(score, policy), atol=1e-8)


def test_entropy_and_kl_by_enumeration() -> None:
    world, policy = world_and_policy("arithmetic")
    _, other = world_and_policy("arithmetic", seed=5)
    p, q = (probability(x, every(world, x)) for x in (policy, other))
    assert np.allclose(world.entropy(policy), -(p * np.log(p)).sum(-1).mean(-1), atol=1e-12)
    assert np.allclose(world.kl(policy, other), (p * np.log(p / q)).sum(-1).mean(-1), atol=1e-12)
    assert np.array_equal(world.kl(policy, policy), [0, 0])


def test_slots_may_stand_for_any_prompt() -> None:
    world, policy = world_and_policy("copy")
    rollouts = world.rollout(policy, 4, 0)
    order = np.array([2, 0, 0, 1])
    moved = Rollouts(rollouts.rewards[:, order], rollouts.actions[:, order], rollouts.logp[:, order], prompt=order)
    assert np.array_equal(world.log_prob(policy, moved), rollouts.logp[:, order])
    assert np.array_equal(world.truth(policy, moved).advantage, world.truth(policy, rollouts).advantage[:, order])
    weights = np.ones(moved.actions.shape)
    twice = np.array([2.0, 1.0, 1.0])[:, None, None, None]
    single = world.gradient(policy, rollouts, np.ones(rollouts.actions.shape))
    assert np.allclose(world.gradient(policy, moved, weights), single * twice, atol=1e-13)


def test_tasks_side_by_side_keep_their_own_truth() -> None:
    mixed = ToyLM(list(TASKS), prompts=2 * len(TASKS), vocabulary=4, length=5)
    policy = mixed.init([0])
    listed = every(mixed, policy)
    assert np.allclose(mixed.pay(policy, listed)[0], judged(mixed), atol=1e-13)
    for place, name in enumerate(TASKS):
        alone = ToyLM(name, prompts=2, vocabulary=4, length=5)
        start = alone.init([0])
        value = alone.truth(start, every(alone, start)).value[0]
        assert np.array_equal(mixed.truth(policy, listed).value[0, mixed.task == place], value)
