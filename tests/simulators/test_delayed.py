"""The world of which only the return is seen, against enumeration of every episode."""

from itertools import product

import numpy as np
import pytest

import lab
from lab.world_registry import world as named
from simulators.delayed import world as delayed
from simulators.delayed.world import Delayed

SMALL = Delayed(2, steps=3, choices=2, seed=5)


def policy_of(world, seed=0):
    policy = world.init([seed, seed + 1])
    policy.parameters[...] = np.random.default_rng(seed).normal(size=policy.parameters.shape)
    return policy


def test_reward_by_hand():
    x = np.zeros((3, 24))
    x[1, :4] = 2.0, 1.0, -2.0, 0.6
    x[2, 5:] = 9.0
    assert delayed.reward(x).tolist() == pytest.approx([0.0, 2.0 - 0.3 * 5 + 0.8, 0.0])
    assert delayed.ENCODERS["factors"](x)[1].tolist() == [2.0, -5.0, 1.0]
    assert delayed.ENCODERS["factors and distractors"](x).shape == (3, 11)
    assert delayed.ENCODERS["one factor missing"](x)[1].tolist() == [2.0, 1.0]


@pytest.mark.parametrize("decoder", [None, lambda x: x[..., 0]])
def test_value_gradient_and_gold_are_those_of_every_episode(decoder):
    world = Delayed(2, steps=3, choices=2, seed=5, decoder=decoder)
    policy = policy_of(world)
    drawn = world.rollout(policy, 4, 0, fields=("token_rewards",))
    assert drawn.rewards.shape == (2, 2, 4, 1) and drawn.rewards[..., 0] == pytest.approx(drawn.token_rewards.sum(-1))
    truth = world.truth(policy, drawn)
    pi = np.exp(policy.parameters) / np.exp(policy.parameters).sum(-1, keepdims=True)
    expected, slope, gold = np.zeros((2, 2)), np.zeros(pi.shape), np.zeros(2)
    for s, p, episode in product(range(2), range(2), product(range(2), repeat=3)):
        place = np.arange(3), list(episode)
        chance, believed = pi[s, p][place].prod(), world.believed[p][place].sum()
        expected[s, p] += chance * believed
        gold[s] += chance * delayed.reward(world.vectors[p])[place].sum() / 2
        slope[s, p] += chance * believed * (np.eye(2)[list(episode)] - pi[s, p]) / 2
    assert truth.value == pytest.approx(expected) and truth.gradient == pytest.approx(slope)
    assert world.gold(policy) == pytest.approx(gold)
    assert truth.advantage == pytest.approx(drawn.rewards[..., 0] - expected[..., None])


def test_what_was_chosen_is_read_off():
    policy = policy_of(SMALL)
    drawn = SMALL.rollout(policy, 3, 1)
    assert drawn.token_rewards is None
    x = SMALL.at(SMALL.vectors, drawn)
    assert x.shape == (2, 2, 3, 3, 24)
    assert x[1, 0, 2, 1].tolist() == SMALL.vectors[0, 1, drawn.actions[1, 0, 2, 1]].tolist()
    assert delayed.reward(x).sum(-1) == pytest.approx(drawn.rewards[..., 0])


def test_it_trains_by_name():
    trace = lab.train(
        named("delayed", prompts=2), ["grpo", "lare"], steps=40, seeds=2, lr=20.0, measure=("value", "gold")
    )
    first, last = trace.frame.filter(step=0), trace.frame.filter(step=39)
    assert (last["value"].to_numpy() > first["value"].to_numpy() + 3).all()
    assert trace.frame["gold"].to_numpy() == pytest.approx(trace.frame["value"].to_numpy())


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="prompts"):
        Delayed(0)
    with pytest.raises(ValueError, match=r"decoder gives shape \(\)"):
        Delayed(decoder=lambda x: 0.0)
    with pytest.raises(ValueError, match="field"):
        SMALL.rollout(policy_of(SMALL), 2, 0, fields=("turn",))
