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
def win_rate(rewards: Array, *, pair_scores: Array | None = None) -> Array:
    """DNO's win rate against the current policy, estimated from the group: r = (1/(G-1)) sum_j P(y beats y_j).

    Where a judge compares responses in pairs its verdicts decide, so that preferences may go round in circles; where
    none is there the higher reward wins.

    Args:
        rewards: Total rewards [..., P, G]; equal ones tie. Unscored rollouts are left out.
        pair_scores: What the judge gave rollout i when it was compared with rollout j [..., P, G, G].

    Returns:
        Win rates minus one half [..., P, G]; 0 for a group of one.

    Source: arXiv 2404.03715, algorithm 1, with r_t estimated from on-policy samples.
    """
    mine = rewards[..., :, None] if pair_scores is None else np.asarray(pair_scores)
    other = np.swapaxes(mine, -1, -2) if pair_scores is not None else rewards[..., None, :]
    known = ~np.isnan(rewards)
    gap = np.where(known[..., :, None] & known[..., None, :], mine - other, 0.0)
    far = np.abs(gap) > RESOLUTION * np.maximum(np.abs(mine), np.abs(other))
    half = (np.sign(np.where(far, gap, 0.0)) / 2).sum(axis=-1)
    others = np.maximum(known.sum(axis=-1, keepdims=True) - 1, 1)
    return np.where(known, (half / others).astype(rewards.dtype), rewards)
