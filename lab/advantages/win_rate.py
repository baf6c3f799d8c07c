"""Win rates: how many of the other rollouts of its group a rollout beats."""

from __future__ import annotations

import numpy as np

from lab.advantages.grpo import CENTRED
from lab.advantages.statistics import RESOLUTION, Array
from lab.registry import register


@register(
    "advantage",
    "win-rate",
    paper="dno",
    equation="A = r − ½,  r = share of the other rollouts that this one beats, ties counting half",
    properties=CENTRED | {"scale", "bounded"},
    bound=lambda shape: 0.5,
)
def win_rate(rewards: Array) -> Array:
    """DNO's win rate against the current policy, estimated from the group: r = (1/(G-1)) sum_j P(y beats y_j).

    Args:
        rewards: Total rewards [..., P, G]; the higher one wins, equal ones tie. Unscored rollouts are left out.

    Returns:
        Win rates minus one half [..., P, G]; 0 for a group of one.

    Source: arXiv 2404.03715, algorithm 1, with r_t estimated from on-policy samples.
    """
    mine, other = rewards[..., :, None], rewards[..., None, :]
    gap = mine - other
    far = np.abs(gap) > RESOLUTION * np.maximum(np.abs(mine), np.abs(other))
    half = (np.sign(np.where(far, gap, 0.0)) / 2).sum(axis=-1)
    others = np.maximum((~np.isnan(rewards)).sum(axis=-1, keepdims=True) - 1, 1)
    found = (half / others).astype(rewards.dtype)
    return np.where(np.isnan(rewards), rewards, found)
