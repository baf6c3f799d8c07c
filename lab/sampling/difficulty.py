"""Difficulty-aware augmentation: how much harder a prompt is than what was met of late."""

from __future__ import annotations

import numpy as np

from lab.advantages.statistics import Array

__all__ = ["recent", "relative_difficulty"]


def relative_difficulty(rewards: Array, reference: Array | float) -> Array:
    """Reference reward minus the group's mean: above 0 for hard prompts, below for easy ones.

    Args:
        rewards: Total rewards [..., P, G].
        reference: Mean reward of the recent samples, broadcast to [..., P]; 0.5 for an absolute measure.

    Returns:
        Differences [..., P], in units of reward.

    Source: arXiv 2506.07464, section 3.3.
    """
    return np.asarray(reference - rewards.mean(axis=-1))


def recent(buffer: Array, rewards: Array, size: int = 100) -> Array:
    """The most recent `size` rewards of each run: buffer [..., n] and rewards [..., P, G] -> [..., at most size].

    Source: arXiv 2506.07464, section 3.3 (replay buffer, W = 100).
    """
    flat = rewards.reshape(*rewards.shape[:-2], -1)
    return np.concatenate([buffer, flat], axis=-1)[..., -size:]
