"""Several rewards in the flow world: what each pays, that one alone is what it was, bad input."""

import numpy as np
import pytest

import lab
from lab.errors import InputError
from simulators import Flow
from simulators.flow.rewards import REWARDS

SMALL = {"denoising": 3, "width": 4, "pretraining": 0}


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("ADVLAB_CACHE", str(tmp_path))


def test_each_reward_pays_what_its_name_says():
    world = Flow(4, rewards=list(REWARDS), **SMALL)
    assert world.components == ("near", "right", "ring", "up", "typical")
    on_modes = world.rewarded(world.wanted[:, None])[:, 0]
    far = [1 / (1 + np.exp(-4)), 0.5, 1 / (1 + np.exp(4)), 0.5]
    off_the_ring = np.exp(-(0.8**2) / 0.1)
    assert on_modes[:, :2] == pytest.approx(np.stack([np.ones(4), far], axis=1))
    assert on_modes[:, 2] == pytest.approx([0, 0, 0, off_the_ring]), "the last prompt alone is asked onto the ring"
    assert on_modes[:, 3] == pytest.approx(np.roll(far, 1)) and on_modes[:, 4] == pytest.approx(np.ones(4))
    away = world.rewarded(np.full((4, 1, 2), [0.0, -1.2]))[:, 0]
    assert away[:, 2].tolist() == [0, 0, 0, 1] and away[:, 4] == pytest.approx(np.exp(-((0.8 / 0.45) ** 2) / 2))


def test_one_reward_by_default_is_the_first_of_several_to_the_bit():
    one, several = (Flow(2, rewards=given, **SMALL) for given in ("near", "near+up+ring"))
    a, b = (world.rollout(world.init([3]), 5, 1, fields=("instant_rewards",)) for world in (one, several))
    assert np.array_equal(a.rewards, b.rewards[..., :1]) and b.rewards.shape == (1, 2, 5, 3)
    ends = a.extra["reached"][:, :, :, -1]
    distance = ((ends - one.wanted[:, None]) ** 2).sum(-1)
    assert np.array_equal(a.rewards[..., 0], np.exp(-distance / 2)) and np.array_equal(
        one.reward(ends), a.rewards[..., 0]
    )
    assert b.extra["instant_rewards"][..., -1] == pytest.approx(b.rewards.sum(-1))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e200])
def test_a_sample_far_out_earns_a_number(value):
    earned = Flow(2, rewards=list(REWARDS), **SMALL).rewarded(np.full((2, 1, 2), value))
    if np.isfinite(value):
        assert earned[..., [0, 2, 4]].max() == 0 and (earned[..., [1, 3]] == 1).all()
    else:
        assert (earned == 0).all()


@pytest.mark.parametrize(
    ("given", "words"),
    [("left", "unknown reward of the flow world 'left'"), ("near+nearr", "nearest: 'near'"), ("", "known: near"),
     ([], "at least one"), (3, "at least one"), ("near+near", "named once"), ([3], "reward of the flow world 3")],
)  # fmt: skip
def test_rewards_that_do_not_exist_are_named(given, words):
    with pytest.raises(ValueError, match=words):
        Flow(rewards=given, **SMALL)
    with pytest.raises((InputError, ValueError)):
        lab.world("flow", rewards=given, **SMALL)


def test_methods_of_one_gradient_add_them_and_several_gradients_have_one_for_each():
    world = lab.world("flow", prompts=2, rewards="near+right", **SMALL)
    trace = lab.train(world, ["flow-grpo", "mgda"], steps=2, group_size=4, seeds=1, measure=["reward_1", "reward_2"])
    assert trace.frame["reward_1"].is_between(0, 1).all() and trace.frame["reward_2"].is_between(0, 1).all()
    with pytest.raises(InputError, match="nothing to combine"):
        lab.train(lab.world("flow", prompts=2, **SMALL), "mgda", steps=1, group_size=4)
