"""Follow-up likelihoods: how much likelier an answer makes what pleased users say than what others say."""

from __future__ import annotations

import numpy as np

from lab.advantages.statistics import Array
from lab.composites import method
from lab.errors import InputError, UnknownNameError
from lab.registry import register

__all__ = ["SIDES", "flr"]

#: Which of the two lists of follow-ups counts -> the signs of their likelihoods.
SIDES = {"difference": (1.0, -1.0), "positive": (1.0, 0.0), "negative": (0.0, -1.0)}


@register("reward", "flr", paper="flr", equation="R = mean_q (l(F_q⁺) − l(F_q⁻))")
def flr(rewards: Array, *, side: str = "difference") -> Array:
    """Likelihood of positive follow-ups less that of negative ones, averaged over the categories of helpfulness.

    Args:
        rewards: Mean log-likelihoods of each category's positive follow-ups, then of its negative ones [..., P, G, 2Q]:
            l(F_1⁺), l(F_1⁻), l(F_2⁺), ... A single component is a score already and stays.
        side: One of `SIDES`; "positive" and "negative" leave the other list out.

    Returns:
        Rewards [..., P, G, 1], nats per token; 0 where both lists are equally likely.

    Raises:
        InputError: A category without one of its lists. UnknownNameError: No such side.

    Source: arXiv 2409.13948; the mean over categories is the lab's reading, the released lists are kept apart.
    """
    if side not in SIDES:
        raise UnknownNameError("side of flr", side, SIDES)
    count = rewards.shape[-1]
    if count == 1:
        return rewards
    if count % 2:
        raise InputError(f"flr: {count} components; each category has two, its positive and its negative follow-ups")
    return np.asarray((rewards * np.tile(SIDES[side], count // 2)).sum(-1, keepdims=True) / (count // 2))


method("flr", advantage="grpo", reward="flr", paper="flr", note="likelihood of follow-ups, pleased less displeased")
