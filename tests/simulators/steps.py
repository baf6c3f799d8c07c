"""What the fast lane and exact gradients are held against: the separate calls in NumPy, and finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators import Policy, Rollouts
from simulators.records import Floats
from simulators.stride import MEASURES

LR, FLOOR = 3.0, 1e-12


def centred(rollouts: Rollouts) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """Rewards minus their mean; all but the worst kept; the weights of the mean objective on the valid tokens."""
    total = rollouts.rewards.sum(axis=-1)
    advantage = total - total.mean(axis=-1, keepdims=True)
    keep = advantage != advantage.min()
    valid = np.ones(rollouts.actions.shape) if rollouts.mask is None else rollouts.mask
    return advantage, keep, (advantage * keep)[..., None] * valid / keep.size


def measured(world: Any, policy: Policy, rollouts: Rollouts) -> dict[str, Floats]:
    """What a row of the stride holds, from the separate calls and NumPy."""
    advantage, keep, weights = centred(rollouts)
    truth = world.truth(policy, rollouts, gradient=False)
    alive = keep & (np.abs(advantage) > FLOOR)
    signed = alive & (np.abs(truth.advantage) > FLOOR)
    flips = (signed & (np.sign(advantage) != np.sign(truth.advantage))).sum(axis=(1, 2))
    count = signed.sum(axis=(1, 2))
    gradient = world.gradient(policy, rollouts, weights)
    return {
        "reward": rollouts.rewards.sum(axis=-1).mean(axis=(1, 2)),
        "value": truth.value.mean(axis=1),
        "sign_flip": np.where(count > 0, flips / np.maximum(count, 1), np.nan),
        "no_signal": 1 - alive.any(axis=-1).mean(axis=-1),
        "grad_norm": np.sqrt((gradient.reshape(len(gradient), -1) ** 2).sum(axis=1)),
        "advantage_max": np.where(alive, np.abs(advantage), 0).max(axis=(1, 2)),
        "entropy": world.entropy(policy),
    }


def walk_both_ways(world: Any, steps: int, fields: tuple[str, ...]) -> None:
    """Asserts that the stride draws, measures and moves as the separate calls do."""
    fast, slow = world.init([4, 5, 6]), world.init([4, 5, 6])
    stride, row = world.stride(fast, 4, 0), np.empty((len(MEASURES), 3))
    for step in range(steps):
        rollouts = world.rollout(slow, 4, step)
        for field in fields:
            assert np.array_equal(getattr(stride.rollouts, field), getattr(rollouts, field)), field
        advantage, keep, weights = centred(rollouts)
        expected = measured(world, slow, rollouts)
        slow.parameters[...] += LR * world.gradient(slow, rollouts, weights)
        assert stride.advance(advantage, keep, weights, LR, np.inf, row, (FLOOR, FLOOR))
        for name, got in zip(MEASURES, row, strict=True):
            assert np.allclose(got, expected[name], rtol=1e-12, atol=1e-12, equal_nan=True), name
    stride.finish()
    assert np.array_equal(fast.parameters, slow.parameters)


def differences(function: Callable[[], np.ndarray], policy: Policy, size: float = 1e-5) -> np.ndarray:
    """Central differences of function [S] with respect to every parameter of its run [S, ...]."""
    out = np.zeros(policy.parameters.shape)
    for place in np.ndindex(out.shape[1:]):
        each: list[np.ndarray] = []
        for sign in (1, -1):
            policy.parameters[(slice(None), *place)] += sign * size
            each.append(np.array(function()))
            policy.parameters[(slice(None), *place)] -= sign * size
        out[(slice(None), *place)] = (each[0] - each[1]) / (2 * size)
    return out
