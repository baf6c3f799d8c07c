"""Rewards for how long a response thinks: inside a range, below a limit, or a ramp down to -1."""

from __future__ import annotations

import numpy as np

from lab.advantages.statistics import Array
from lab.errors import InputError
from lab.registry import register

__all__ = ["soft_overlong", "think_length", "think_punishment"]


def think_length(length: Array, low: int = 10, high: int = 20) -> Array:
    """1 where low <= length <= high, else 0; NaN (no thinking found) gives 0.

    Args:
        length: Length of the thinking of each rollout [..., P, G], characters or tokens.
        low: Shortest length that is rewarded.
        high: Longest.

    Source: arXiv 2601.06993, reward functions; golden file refine-rft.json (`think_length`).
    """
    return ((length >= low) & (length <= high)).astype(float)


def think_punishment(length: Array, limit: int = 10) -> Array:
    """1 where the thinking is SHORTER than `limit`, else 0; NaN (no thinking found) gives 0.

    Args:
        length: Length of the thinking of each rollout [..., P, G], characters or tokens.
        limit: First length that is not rewarded.

    Source: arXiv 2601.06993, reward functions; golden file refine-rft.json (`think_punishment`).
    """
    return (length < limit).astype(float)


def soft_overlong(length: Array, max_length: int = 50, cache: int = 15) -> Array:
    """0 up to max_length - cache, then a line down to -1 at max_length, -1 beyond.

    Args:
        length: Length of each rollout [..., P, G], tokens.
        max_length: L_max.
        cache: Width of the ramp, above 0.

    Source: arXiv 2601.06993, reward functions; golden file refine-rft.json (`soft_overlong`).
    """
    if not 0 < cache <= max_length:
        raise InputError(f"soft_overlong: cache={cache} tokens; it must be above 0 and at most max_length={max_length}")
    return np.clip((max_length - cache - length) / cache, -1.0, 0.0)


@register("reward", "short-thinking", paper="refine-rft", equation="K + 1 rewards, the last 1[thinking < limit]")
def short_thinking(rewards: Array, *, mask: Array, limit: int = 10, answer: int = 1) -> Array:
    """ReFine-RFT's reward for brief thinking, as a further component.

    Args:
        rewards: Reward components [..., P, G, K].
        mask: Valid tokens [..., P, G, T].
        limit: First number of thinking tokens that is not rewarded.
        answer: Tokens at the end of a response that are its answer and do not count as thinking.

    Returns:
        Rewards [..., P, G, K + 1].

    Source: arXiv 2601.06993, reward functions (`think_punishment`, which rewards brevity in spite of its name).
    """
    thinking = np.asarray(mask).sum(axis=-1) - answer
    return np.concatenate([rewards, think_punishment(thinking, limit)[..., None]], axis=-1)
