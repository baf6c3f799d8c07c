"""The world of lengths: sampling, gradients against differences, truth by enumeration, a shared and an own policy."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import lab
from simulators import Lengths, Policy, Rollouts, World


def moved(world: Lengths, seeds: list[int]) -> Policy:
    policy = world.init(seeds)
    policy.parameters[:] += np.random.default_rng(0).normal(size=policy.parameters.shape)
    return policy


@pytest.mark.parametrize("shared", [True, False])
def test_it_is_a_world_and_draws_the_same_again(shared: bool) -> None:
    world = Lengths(5, longest=7, shared=shared)
    policy = moved(world, [3, 8])
    drawn = world.rollout(policy, 6, 2, fields=("lengths",))
    assert isinstance(world, World)
    assert drawn.rewards.shape == (2, 5, 6, 2) and drawn.actions.shape == drawn.logp.shape == (2, 5, 6, 1)
    assert np.array_equal(drawn.lengths, drawn.actions[..., 0] + 1.0)
    assert np.array_equal(drawn.rewards[..., 1], drawn.rewards[..., 0] * drawn.lengths / 7)
    assert np.array_equal(world.log_prob(policy, drawn), drawn.logp)
    alone = Policy(policy.parameters[1:], policy.seeds[1:])
    assert np.array_equal(world.rollout(alone, 6, 2).actions[0], drawn.actions[1])
    assert np.array_equal(world.rollout(policy, 3, 2).actions, drawn.actions[:, :, :3])
    assert not np.array_equal(world.rollout(policy, 6, 2, attempt=1).actions, drawn.actions)


def test_every_prompt_starts_with_the_same_policy_longer_than_needed() -> None:
    for world in (Lengths(), Lengths(shared=False)):
        accuracy, length = world.outcome(world.init([0]))
        assert np.ptp(length) == 0 and 11.5 < length[0, 0] < 12
        assert accuracy[0, 0] == pytest.approx(0.85, abs=1e-3) and (np.diff(accuracy[0]) < 0).all()


@pytest.mark.parametrize("shared", [True, False])
def test_gradients_against_differences(shared: bool) -> None:
    world = Lengths(4, longest=5, shared=shared)
    policy = moved(world, [1, 2])
    drawn = world.rollout(policy, 3, 0)
    rng = np.random.default_rng(1)
    weights, step = rng.normal(size=drawn.logp.shape), 1e-6 * rng.normal(size=policy.parameters.shape)
    exact = world.truth(policy, drawn, weights=(1, -0.4)).gradient
    ends = []
    for sign in (1, -1):
        near = Policy(policy.parameters + sign * step, policy.seeds)
        value = world.truth(near, drawn, gradient=False, weights=(1, -0.4)).value
        ends.append(((weights * world.log_prob(near, drawn)).sum(axis=(1, 2, 3)), value.mean(axis=1)))
    for found, up, down in zip((world.gradient(policy, drawn, weights), exact), *ends, strict=True):
        assert (up - down) / 2 == pytest.approx((found * step).sum(axis=(1, 2)), rel=1e-5)


def test_truth_by_enumeration() -> None:
    world = Lengths(3, longest=4, slip=0.1)
    policy = moved(world, [5])
    actions = np.tile(np.arange(4)[:, None], (1, 3, 1, 1))
    logp = world.log_prob(policy, Rollouts(np.zeros((1, 3, 4, 2)), actions, np.zeros(actions.shape)))
    need = np.linspace(1, 9, 3)
    worth = np.zeros((3, 4))
    for p, a in product(range(3), range(4)):
        worth[p, a] = 0.9 / (1 + np.exp(-1.5 * (a + 1 - need[p]))) * (1 - 0.3 * (a + 1) / 4)
    value = (np.exp(logp[0, ..., 0]) * worth).sum(-1)
    truth = world.truth(policy, Rollouts(np.zeros((1, 3, 4, 2)), actions, logp), weights=(1, -0.3))
    assert truth.value[0] == pytest.approx(value)
    assert truth.advantage[0] == pytest.approx(worth - value[:, None])


def test_slots_may_hold_any_prompt() -> None:
    world = Lengths(3, longest=4)
    policy = moved(world, [5])
    drawn = world.rollout(policy, 2, 0)
    again = Rollouts(drawn.rewards[:, [2, 0]], drawn.actions[:, [2, 0]], drawn.logp[:, [2, 0]], prompt=np.array([2, 0]))
    assert np.array_equal(world.log_prob(policy, again), again.logp)
    weights = np.ones(again.logp.shape)
    others = world.gradient(policy, again, weights) + world.gradient(
        policy,
        Rollouts(drawn.rewards[:, [1]], drawn.actions[:, [1]], drawn.logp[:, [1]], prompt=np.array([1])),
        weights[:, :1],
    )
    assert others == pytest.approx(world.gradient(policy, drawn, np.ones(drawn.logp.shape)))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: Lengths(1), "prompts"),
        (lambda: Lengths(slip=1.5), "slip=1.5"),
        (lambda: Lengths().rollout(Lengths().init([0]), 2, fields=("turn",)), "unknown field of the lengths world"),
    ],
)
def test_what_is_refused(call, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=said):
        call()


def test_drpo_shortens_by_name_and_grpo_on_right_answers_alone_does_not() -> None:
    world = Lengths()
    trace = lab.train(world, [lab.variant("drpo", temperature=0.1, longest=16), "grpo"], steps=100, seeds=4, lr=0.4,
                      reward_weights=(1, 0), measure=None)  # fmt: skip
    lengths = {}
    for name in ("drpo", "grpo"):
        policy = Policy(trace.parameters(name), np.arange(4, dtype=np.uint64))
        lengths[name] = world.outcome(policy)[1].mean()
    assert lengths["drpo"] < 10.5 < lengths["grpo"]
