"""Length-conditional masking and the world of captions."""

import numpy as np
import pytest

import lab
from lab.errors import InputError, MissingFieldError
from lab.rewards.balcaprl import balance, balcaprl, length_penalty
from simulators.captions.world import LONGEST, Captions, expected, scores


def test_the_mask_counts_both_ends_and_leaves_the_other_components():
    rewards = np.full((1, 5, 3), 0.5)
    out = balcaprl(rewards, lengths=np.array([[5.9, 6, 12, 24, 24.1]]), reference=12)
    assert (out[..., :2] == 0.5).all() and out[0, :, 2].tolist() == [0, 0.5, 0.5, 0.5, 0]
    assert (rewards == 0.5).all(), "the input is left alone"
    mask = np.arange(30) < np.array([0, 6, 30])[:, None]
    assert balcaprl(np.ones((1, 3, 2)), mask=mask[None], reference=12)[0, :, 1].tolist() == [0, 1, 0]


def test_the_penalty_is_one_sided_and_shared():
    out = length_penalty(np.zeros((1, 3, 2)), lengths=np.array([[6.0, 12.0, 24.0]]), reference=12)
    assert out[0, :, 0].tolist() == out[0, :, 1].tolist() == [0, 0, -0.25]


def test_bad_input_is_refused():
    with pytest.raises(MissingFieldError, match="lengths or mask"):
        balcaprl(np.ones((1, 2, 3)))
    with pytest.raises(InputError, match="above 0"):
        balcaprl(np.ones((1, 2, 3)), lengths=np.ones((1, 2)), reference=0)
    with pytest.raises(InputError, match="shape"):
        balcaprl(np.ones((1, 2, 3)), lengths=np.ones((1, 3)))


def test_balance():
    assert balance(np.array([1.0, 0.5]), np.array([1.0, 0.0]), np.array([0.25, 1.0])).tolist() == [0.5, 0.0]


def test_captions_have_the_means_that_are_stated():
    units = np.repeat(np.arange(1, LONGEST + 1)[:, None], 4000, axis=1)
    drawn = scores(units, seed=1, prompt=np.arange(LONGEST)[:, None], rollout=np.arange(4000))
    error = drawn.std(axis=1) / np.sqrt(4000) + 1e-12
    assert (np.abs(drawn.mean(axis=1) - expected(units[:, 0])) < 5 * error).all()


def test_the_world_knows_its_values():
    world = Captions(2)
    policy = world.init([0, 4])
    policy.parameters[...] = np.random.default_rng(0).normal(size=policy.parameters.shape)
    rollouts = world.rollout(policy, 3, 1, fields=("lengths",))
    p = np.exp(policy.parameters[:, :, 0]) / np.exp(policy.parameters[:, :, 0]).sum(-1, keepdims=True)
    mean = expected(np.arange(1, LONGEST + 1)) @ np.array([1.0, 0.0, 2.0])
    truth = world.truth(policy, rollouts, weights=np.array([1.0, 0.0, 2.0]))
    assert truth.value == pytest.approx(p @ mean)
    assert truth.advantage == pytest.approx(mean[rollouts.actions[..., 0]] - truth.value[..., None])
    assert np.array_equal(rollouts.lengths, rollouts.actions[..., 0] + 1.0)
    step = 1e-6
    policy.parameters[:, 0, 0, 3] += step
    moved = world.truth(policy, rollouts, weights=np.array([1.0, 0.0, 2.0])).value.mean(-1)
    assert (moved - truth.value.mean(-1)) / step == pytest.approx(truth.gradient[:, 0, 0, 3], rel=1e-4)


def test_the_variant_trains_by_name():
    trace = lab.train(lab.world("captions"), ["balcaprl", "gdpo", "grpo"], steps=5, seeds=2, measure="full")
    assert trace.frame.height == 30 and trace.frame["value"].is_finite().all()
