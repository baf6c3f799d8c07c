"""The fast lane walks bit for bit the path of the separate calls, and measures what they measure."""

from __future__ import annotations

import numpy as np
import pytest

from simulators import ToyLM
from tests.simulators.steps import FLOOR, centred, walk_both_ways


@pytest.mark.parametrize("tasks", ["length", ["brackets", "arithmetic", "reverse"]])
@pytest.mark.parametrize("vocabulary", [5, 8])
def test_same_path_and_same_measurements(tasks: str | list[str], vocabulary: int) -> None:
    world = ToyLM(tasks, prompts=4, vocabulary=vocabulary, length=5)
    walk_both_ways(world, 15, ("rewards", "actions", "logp", "mask"))


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
