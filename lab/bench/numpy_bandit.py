"""Reference loop: GRPO on a Bernoulli bandit in vectorised NumPy, without measurements."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["train"]


def train(success: NDArray[Any], *, seeds: int, steps: int, group_size: int, lr: float, seed: int = 0) -> NDArray[Any]:
    """Plain ascent on (1/(P·G)) Σ A ∇log π, A = (R - mean)/(std + 1e-4), ddof 1, all runs in one array.

    Args:
        success: Success probability of each arm [P, K].
        seeds: Number of runs S.
        steps: Number of updates.
        group_size: Rollouts per prompt G.
        lr: Learning rate.
        seed: Seed of NumPy's SFC64, its fastest generator.

    Returns:
        Final logits [S, P, K].
    """
    rng = np.random.Generator(np.random.SFC64(seed))
    prompts, arms = success.shape
    logits = np.zeros((seeds, prompts, arms))
    flat = success.reshape(-1)
    offset = (np.arange(prompts) * arms)[:, None]
    rows = (np.arange(seeds * prompts) * arms).reshape(seeds, prompts, 1)
    scale = lr / (prompts * group_size)
    for _ in range(steps):
        weight = np.exp(logits)
        cumulative = np.cumsum(weight, axis=-1)
        total = cumulative[..., -1:]
        u = rng.random((seeds, prompts, group_size)) * total
        action = (cumulative[:, :, None, :-1] < u[..., None]).sum(axis=-1)
        reward = (rng.random(u.shape) < flat[action + offset]).astype(np.float64)
        centred = reward - reward.mean(axis=-1, keepdims=True)
        std = np.sqrt((centred * centred).sum(axis=-1, keepdims=True) / (group_size - 1))
        advantage = centred / (std + 1e-4)
        picked = np.bincount((action + rows).ravel(), weights=advantage.ravel(), minlength=logits.size)
        logits += scale * (picked.reshape(logits.shape) - weight / total * advantage.sum(axis=-1, keepdims=True))
    return logits
