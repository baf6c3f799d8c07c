"""The fast lane walks bit for bit the path of the separate calls, and measures what they measure."""

from __future__ import annotations

import numpy as np
import pytest

import lab
from simulators import Bandit
from simulators.stride import MEASURES, measure_runs
from tests.simulators.steps import FLOOR, LR, centred, walk_both_ways


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("law", ["bernoulli", "student_t"])
def test_same_path_and_same_measurements(heads: int, law: str) -> None:
    world = Bandit(means=np.random.default_rng(0).random((3, heads, 5)), law=law)
    walk_both_ways(world, 20, ("rewards", "actions", "logp"))


def test_clipping_scales_the_gradient_to_the_limit() -> None:
    """To rounding: the norm is a sum in another order than NumPy's."""
    world = Bandit(np.random.default_rng(0).random((3, 5)), law="normal")
    policy = world.init([0, 1])
    rollouts = world.rollout(policy, 4, 0)
    advantage, _, weights = centred(rollouts)
    gradient = world.gradient(policy, rollouts, weights)
    norm = np.sqrt((gradient**2).sum(axis=(1, 2, 3)))
    limit = float(norm.mean())  # one run above, one below
    stride = world.stride(policy, 4, 0)
    stride.advance(advantage, None, weights, LR, limit, np.empty((0, 0)), (FLOOR, FLOOR))
    stride.finish()
    scale = np.minimum(1, limit / norm)[:, None, None, None]
    assert sorted(scale.ravel() == 1) == [False, True]
    assert np.allclose(policy.parameters, LR * scale * gradient, rtol=1e-14)


@pytest.mark.parametrize("weight", [np.nan, 1e200])  # the square of the second is infinite
def test_a_run_whose_gradient_has_no_finite_norm_stays_where_it_is(weight: float) -> None:
    world = Bandit([[0.2, 0.8]])
    policy = world.init([0, 1])
    stride = world.stride(policy, 2, 0)
    actions = stride.rollouts.actions[1, 0, :, 0]
    weights = np.ones((2, 1, 2, 1))
    weights[0, 0, 0] = weight
    assert not stride.advance(np.ones((2, 1, 2)), None, weights, LR, np.inf, np.empty((0, 0)), (FLOOR, FLOOR))
    moved = LR * (np.bincount(actions, minlength=2) - 1.0)
    stride.finish()
    assert (policy.parameters[0] == 0).all()
    assert policy.parameters[1, 0, 0].tolist() == moved.tolist()


def test_floors_are_one_for_the_advantage_and_one_for_the_truth() -> None:
    """Group 0 has advantages up to the floor, group 1 above it; of its true advantages one is up to the other floor."""
    low, high = 1e-9, 1e-6
    advantage = np.array([[[low, -low, 0.0], [2 * low, -2 * low, -0.5]]])
    truth = np.array([[[1.0, 1.0, 1.0], [high, 2 * high, -1.0]]])
    rewards, every = np.arange(12.0).reshape(1, 2, 3, 2), np.empty((0, 0, 0), np.bool_)
    for keep, flips, largest in ((every, 0.5, 0.5), (np.array([[[True] * 3, [True, True, False]]]), 1.0, 2 * low)):
        row = np.full((len(MEASURES), 1), -7.0)
        measure_runs(rewards, truth, advantage, keep, (low, high), row)
        found = dict(zip(MEASURES, row[:, 0].tolist(), strict=True))
        assert found == {
            "reward": 11.0, "value": -7.0, "sign_flip": flips, "no_signal": 0.5, "grad_norm": -7.0,
            "advantage_max": largest, "entropy": -7.0,
        }  # fmt: skip
    measure_runs(rewards, truth, advantage, every, (1.0, high), row)
    assert np.isnan(row[2, 0]) and row[[3, 5], 0].tolist() == [1.0, 0.0]


def test_a_row_has_the_bits_of_the_separate_measurements() -> None:
    world = Bandit(means=np.random.default_rng(0).random((3, 2, 5)), law="student_t")
    given = {"steps": 6, "seeds": 3, "group_size": 5, "lr": 2.0}
    fast, slow = (
        lab.train(world, "grpo", measure=m, **given).frame for m in ("basic", [*lab.metrics()["name"][:7], "cosine"])
    )
    for name in ("reward", "no_signal", "advantage_max"):
        assert fast[name].to_list() == slow[name].to_list(), name
