"""Rewards that look at the length of a response, and rewards that wait for another one."""

from __future__ import annotations

import numpy as np

from lab.advantages.statistics import Array
from lab.errors import InputError
from lab.registry import register

__all__ = ["conditioned", "overlong", "overlong_penalty"]


def overlong_penalty(lengths: Array, max_length: int, buffer: int, factor: float = 1.0) -> Array:
    """DAPO's soft punishment min(0, -(len - (L_max - L_buf))/L_buf * factor).

    Args:
        lengths: Valid tokens of each rollout [..., P, G].
        max_length: L_max in tokens (20480 published).
        buffer: L_buf in tokens (4096 published), at most L_max and above 0.
        factor: Penalty at L_max.

    Returns:
        Penalties [..., P, G], at most 0.

    Source: DAPO, part (d) (arXiv 2503.14476).
    """
    if not 0 < buffer <= max_length:
        raise InputError(f"overlong: buffer={buffer} tokens; it must be above 0 and at most max_length={max_length}")
    return np.minimum(0.0, -(lengths - (max_length - buffer)) / buffer * factor)


@register("reward", paper="baselines", equation="R + min(0, −(len − (L_max − L_buf)) / L_buf · factor)")
def overlong(
    rewards: Array, *, mask: Array, max_length: int | None = None, buffer: int | None = None, factor: float = 1.0
) -> Array:
    """DAPO's overlong reward, added to the first component.

    Args:
        rewards: Reward components [..., P, G, K].
        mask: Valid tokens [..., P, G, T].
        max_length: L_max; T by default.
        buffer: L_buf; a fifth of L_max by default (as published: 4096 of 20480).
        factor: Penalty at L_max.

    Returns:
        Rewards [..., P, G, K].

    Source: DAPO, part (d) (arXiv 2503.14476).
    """
    valid = np.asarray(mask)
    if valid.shape[:-1] != rewards.shape[:-1]:
        raise InputError(f"overlong: mask has shape {valid.shape}; it must be {rewards.shape[:-1]} and tokens")
    lengths, longest = valid.sum(axis=-1), max_length or valid.shape[-1]
    out = rewards.copy()
    out[..., 0] += overlong_penalty(lengths, longest, buffer or max(longest // 5, 1), factor)
    return out


@register("reward", paper="gdpo", equation="r_k := r_k if r_l ≥ t else 0")
def conditioned(rewards: Array, *, component: int = 1, on: int = 0, threshold: float = 1.0) -> Array:
    """GDPO's conditioned reward: one component counts only where another one reaches a threshold.

    Args:
        rewards: Reward components [..., P, G, K].
        component: Index k of the reward that waits.
        on: Index l of the reward that it waits for.
        threshold: t.

    Returns:
        Rewards [..., P, G, K].

    Source: GDPO, arXiv 2601.05242, priorities (b).
    """
    size = rewards.shape[-1]
    if not (-size <= component < size and -size <= on < size):
        raise InputError(f"conditioned: component={component}, on={on}; there are {size} components")
    out = rewards.copy()
    out[..., component] = np.where(rewards[..., on] >= threshold, rewards[..., component], 0.0)
    return out
