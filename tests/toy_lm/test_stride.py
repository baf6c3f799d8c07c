"""The fast lane walks bit for bit the path of the separate calls, and measures what they measure."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from simulators import Policy, Rollouts, ToyLM
from simulators.records import Floats
from simulators.stride import MEASURES

LR, FLOOR, STEPS = 3.0, 1e-12, 15


def centred(rollouts: Rollouts) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """Rewards minus their mean; all but the worst kept; the weights of the mean objective on the valid tokens."""
    total = rollouts.rewards.sum(axis=-1)
    advantage = total - total.mean(axis=-1, keepdims=True)
    keep = advantage != advantage.min()
    return advantage, keep, (advantage * keep)[..., None] * rollouts.mask / keep.size


def measured(world: ToyLM, policy: Policy, rollouts: Rollouts) -> dict[str, Floats]:
    """What a row of the stride holds, from the separate calls and NumPy."""
    advantage, keep, weights = centred(rollouts)
    truth = world.truth(policy, rollouts, gradient=False)
    alive = keep & (np.abs(advantage) > FLOOR)
    signed = alive & (np.abs(truth.advantage) > FLOOR)
    flips = (signed & (np.sign(advantage) != np.sign(truth.advantage))).sum(axis=(1, 2))
    count = signed.sum(axis=(1, 2))
    return {
        "reward": rollouts.rewards.sum(axis=-1).mean(axis=(1, 2)),
        "value": truth.value.mean(axis=1),
        "sign_flip": np.where(count > 0, flips / np.maximum(count, 1), np.nan),
        "no_signal": 1 - alive.any(axis=-1).mean(axis=-1),
        "grad_norm": np.sqrt((world.gradient(policy, rollouts, weights) ** 2).sum(axis=(1, 2, 3, 4))),
        "advantage_max": np.where(alive, np.abs(advantage), 0).max(axis=(1, 2)),
        "entropy": world.entropy(policy),
    }


@pytest.mark.parametrize("tasks", ["length", ["brackets", "arithmetic", "reverse"]])
@pytest.mark.parametrize("vocabulary", [5, 8])
def test_same_path_and_same_measurements(tasks: str | list[str], vocabulary: int) -> None:
    world = ToyLM(tasks, prompts=4, vocabulary=vocabulary, length=5)
    fast, slow = world.init([4, 5, 6]), world.init([4, 5, 6])
    stride, row = world.stride(fast, 4, 0), np.empty((len(MEASURES), 3))
    for step in range(STEPS):
        rollouts = world.rollout(slow, 4, step)
        for field in ("rewards", "actions", "logp", "mask"):
            assert np.array_equal(getattr(stride.rollouts, field), getattr(rollouts, field))
        advantage, keep, weights = centred(rollouts)
        expected = measured(world, slow, rollouts)
        slow.parameters[...] += LR * world.gradient(slow, rollouts, weights)
        assert stride.advance(advantage, keep, weights, LR, np.inf, row, (FLOOR, FLOOR))
        for name, got in zip(MEASURES, row, strict=True):
            assert np.allclose(got, expected[name], rtol=1e-12, atol=1e-12, equal_nan=True), name
    stride.finish()
    assert np.array_equal(fast.parameters, slow.parameters)


def test_a_long_gradient_is_scaled_down() -> None:
    world = ToyLM("copy", prompts=2)
    fast, slow = world.init([0]), world.init([0])
    stride = world.stride(fast, 4, 0)
    advantage, _, weights = centred(stride.rollouts)
    gradient = world.gradient(slow, stride.rollouts, weights)
    limit = float(np.sqrt((gradient**2).sum()) / 5)
    assert stride.advance(advantage, None, weights, 2.0, limit, np.empty((0, 0)), (FLOOR, FLOOR))
    stride.finish()
    assert np.allclose(fast.parameters - slow.parameters, 2 * gradient / 5, atol=1e-15)


def test_a_run_whose_gradient_is_not_finite_stays_where_it_is() -> None:
    world = ToyLM("copy", prompts=2)
    fast = world.init([0, 1])
    stride = world.stride(fast, 4, 0)
    advantage, keep, weights = centred(stride.rollouts)
    weights[0, 0, 0, 0] = np.nan
    assert not stride.advance(advantage, keep, weights, 1.0, np.inf, np.empty((0, 0)), (FLOOR, FLOOR))
    stride.finish()
    assert np.array_equal(fast.parameters[0], world.logits)
    assert not np.array_equal(fast.parameters[1], world.logits)
    assert np.isfinite(fast.parameters).all()
