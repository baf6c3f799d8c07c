"""GRQO as an advantage rule: standardise, then mute the tail of the group."""

from __future__ import annotations

import numpy as np

from lab.advantages.grpo import largest
from lab.advantages.statistics import Array, mean_std, over
from lab.registry import register


@register(
    "advantage",
    paper="grqo",
    equation="A = (r − mean)/(std + ε), 0 for the last third of the group",
    properties={"shift", "scale", "silent", "groupwise", "bounded"},
    bound=largest,
)
def grqo(rewards: Array, *, muted: float = 1 / 3, eps: float = 2e-9) -> Array:
    """GRQO: A = (r - mean)/(std + eps) with ddof 1, then 0 for the last `muted` share of the group.

    The members of a group stand in descending order of objectness, so their order means something here. Used on
    log-probabilities this is a plain advantage; the authors differentiate A through the rewards instead, see
    `lab.rewards.grqo`.

    Args:
        rewards: [..., P, G], one per query.
        muted: Share of the group that is muted, rounded to whole members (300 of 900 as published).
        eps: Floor of the deviation.

    Returns:
        Advantages [..., P, G].

    Source: DINO-R1, arXiv 2505.24025; golden file grqo.json.
    """
    mean, std = mean_std(rewards)
    scored = ~np.isnan(rewards)
    size = scored.sum(axis=-1, keepdims=True)
    kept = scored.cumsum(axis=-1) <= size - np.round(size * muted)
    standard = over(np.where(std > 0, rewards - mean, 0), std + rewards.dtype.type(eps))
    return np.where(kept, standard, rewards.dtype.type(0))
