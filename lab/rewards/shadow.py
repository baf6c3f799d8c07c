"""Shadow rewards: maximum-likelihood inverse reinforcement learning of a reward from demonstrations."""

from __future__ import annotations

import numpy as np

from lab.advantages.statistics import Array

__all__ = ["shadow_policy", "shadow_reward"]


def shadow_policy(reward: Array, reference: Array, beta: float = 1.0) -> Array:
    """The policy that maximises E r - beta KL(pi || reference): softmax(log reference + r/beta), all [..., A].

    Source: arXiv 2503.18991, shadow reward, tabular form.
    """
    logits = np.log(reference) + reward / beta
    weight = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(weight / weight.sum(axis=-1, keepdims=True))


def shadow_reward(
    frequencies: Array, reference: Array, *, beta: float = 1.0, steps: int = 2000, lr: float = 0.5
) -> Array:
    """The reward whose optimal policy makes the demonstrations most likely, by gradient ascent from 0.

    A step adds lr (frequency - pi), so pi equals the frequencies at the fixed point; a constant is left undetermined.

    Args:
        frequencies: Share of the demonstrations that chose each answer [..., A].
        reference: Reference policy [..., A], above 0 everywhere.
        beta: Strength of the KL term.
        steps: Steps of gradient ascent.
        lr: Their size.

    Returns:
        Rewards [..., A].

    Source: arXiv 2503.18991, shadow reward.
    """
    reward = np.zeros(np.broadcast_shapes(frequencies.shape, reference.shape))
    for _ in range(steps):
        reward += lr * (frequencies - shadow_policy(reward, reference, beta))
    return reward
