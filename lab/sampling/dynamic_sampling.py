"""Filters that drop prompts whose rollouts all agree: DAPO's dynamic sampling and NGRPO's one-sided form."""

from __future__ import annotations

import numpy as np

from lab.advantages.statistics import RESOLUTION, Array
from lab.registry import register

__all__ = ["all_correct", "all_incorrect", "expected_prompts", "uniform"]


@register("filter", paper="baselines", equation="keep prompts with max R > min R")
def uniform(rewards: Array) -> Array:
    """DAPO's dynamic sampling: drop prompts whose rewards all agree (right or wrong).

    Args:
        rewards: Total rewards [..., P, G].

    Returns:
        True where the prompt stays [..., P].

    Source: DAPO, part (c) (arXiv 2503.14476); golden file ngrpo.json (`keep_group.all`).
    """
    low, high = rewards.min(axis=-1), rewards.max(axis=-1)
    return np.asarray(high - low > RESOLUTION * np.maximum(np.abs(low), np.abs(high)))


@register("filter", paper="ngrpo", equation="drop prompts with min R ≥ r_max")
def all_correct(rewards: Array, *, r_max: float = 1.0) -> Array:
    """NGRPO's filter: drop prompts whose rollouts are ALL correct; all-wrong prompts stay.

    Args:
        rewards: Total rewards [..., P, G].
        r_max: Reward of a correct rollout.

    Returns:
        True where the prompt stays [..., P].

    Source: NGRPO, arXiv 2509.18851, group filter; golden file ngrpo.json (`keep_group.all_correct`).
    """
    return np.asarray(rewards.min(axis=-1) < r_max)


@register("filter", paper="ngrpo", equation="drop prompts with max R ≤ 0")
def all_incorrect(rewards: Array, *, r_min: float = 0.0) -> Array:
    """The mirror image of `all_correct`: drop prompts whose rollouts are all wrong (reward at most r_min).

    Args:
        rewards: Total rewards [..., P, G].
        r_min: Reward of a wrong rollout.

    Returns:
        True where the prompt stays [..., P].

    Source: NGRPO, arXiv 2509.18851; golden file ngrpo.json (`keep_group.all_incorrect`).
    """
    return np.asarray(rewards.max(axis=-1) > r_min)


def expected_prompts(success: float, group_size: int) -> float:
    """Prompts to sample on average for one with a learning signal: 1 / (1 - p^G - (1-p)^G), inf for p of 0 or 1.

    Args:
        success: Probability p of a correct rollout.
        group_size: Rollouts per prompt G.

    Source: closed form.
    """
    share = 1 - success**group_size - (1 - success) ** group_size
    return 1 / share if share > 0 else float("inf")
