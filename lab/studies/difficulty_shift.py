"""Prompts moved by their difficulty: how many groups keep a spread of rewards while an ability is learnt.

A toy whose path is the point: one number stands for the policy. Difficulty and advantages are the registered rules'.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["shift_study"]

Array = NDArray[Any]

_REFERENCES, _SIZE = {"absolute": 0.5, "too high": 0.9}, 8


def shift_study(seed: int, form: str) -> Array:
    """Share of groups without spread over 40 steps, per run [32].

    Success has probability σ(ability − d) for a prompt of difficulty d ~ N(0, 3²), of which there are 256; 32 are drawn
    per step. A group of 8 is sampled, its prompt shifted by κΔ with κ = 6, and the group sampled again.

    Args:
        seed: Of 32 runs; different seeds share no run.
        form: What a group's mean reward is compared with: "relative" (the recent mean), "absolute" (one half), "too
            high" (0.9); or "none" (no shift), "fixed" (0.3κ towards the middle), "away" (the relative one, turned).

    Source: Reg-GRPO's difficulty-aware augmentation; the task is the lab's own.
    """
    from lab.advantages import compute
    from lab.sampling.difficulty import recent, relative_difficulty

    rng = np.random.default_rng(seed * 32)
    hardness, ability = 3 * rng.standard_normal((32, 256)), np.zeros((32, 1))
    buffer, share = np.full((32, 1), 0.5), []
    for _ in range(40):
        d = np.take_along_axis(hardness, rng.integers(0, 256, (32, 32)), axis=-1)
        uniform = rng.random((2, 32, 32, _SIZE))
        rewards = (uniform[0] < (1 / (1 + np.exp(d - ability)))[..., None]).astype(float)
        reference = _REFERENCES.get(form, buffer.mean(axis=-1, keepdims=True))
        delta = relative_difficulty(rewards, reference)
        buffer = recent(buffer, rewards)
        d = d - 6 * {"none": 0 * delta, "fixed": 0.3 * np.sign(delta), "away": -delta}.get(form, delta)
        success = 1 / (1 + np.exp(d - ability))
        rewards = (uniform[1] < success[..., None]).astype(float)
        a = compute("grpo", rewards[..., None], ddof=0, eps=0.0)
        ability += 0.3 * (a * (rewards - success[..., None])).mean(axis=(1, 2))[:, None]
        share.append((np.ptp(rewards, axis=-1) == 0).mean(axis=-1))
    return np.mean(share, axis=0)
