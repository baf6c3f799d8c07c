"""GCPO: traces of a preferred and of a rejected item, each rewarded by how many of the other's it is right about."""

from __future__ import annotations

import numpy as np

from lab.advantages.statistics import RESOLUTION, Array, mean_std
from lab.composites import method
from lab.registry import register


def win_ratios(rewards: Array) -> Array:
    """Share of the other item's traces that each trace is on the right side of, ties on neither.

    Args:
        rewards: Scores [..., P, G]; prompts 0, 2, ... are preferred, 1, 3, ... rejected items of the same pair;
            unscored traces (NaN) are left out.

    Returns:
        Ratios [..., P, G]; 0 for the last prompt of an odd number, NaN where a score is.

    Source: arXiv 2604.27505, win and loss ratios.
    """
    end = rewards.shape[-2] // 2 * 2
    won, lost = rewards[..., 0:end:2, :], rewards[..., 1:end:2, :]
    first, second = won[..., :, None], lost[..., None, :]
    right = first - second > RESOLUTION * np.maximum(np.abs(first), np.abs(second))
    count = np.maximum((~np.isnan(rewards)).sum(axis=-1, keepdims=True), 1).astype(rewards.dtype)
    out = np.zeros_like(rewards)
    out[..., 0:end:2, :] = right.sum(axis=-1) / count[..., 1:end:2, :]
    out[..., 1:end:2, :] = right.sum(axis=-2) / count[..., 0:end:2, :]
    return np.where(np.isnan(rewards), rewards, out)


def length_tendency(advantage: Array, lengths: Array) -> Array:
    """Mean of A over length in each group: below 0 where the traces that judge rightly are the longer ones.

    Args:
        advantage: [..., P, G].
        lengths: Length of each trace, above 0 [..., P, G].

    Returns:
        [..., P], in units of advantage per token.

    Source: arXiv 2604.27505, weighted advantage.
    """
    return np.asarray((advantage / lengths).mean(axis=-1))


@register(
    "advantage",
    paper="gcpo",
    equation="A = r − mean,  r = share of the other item's scores that this score is on the right side of",
    properties={"shift", "scale", "permutation", "zero_sum", "silent", "bounded"},
    bound=lambda shape: 1.0,
)
def gcpo(rewards: Array) -> Array:
    """GCPO: A = r - mean r within each item, r the trace's win (or loss) ratio; no division by a deviation.

    Both items of a pair have the same mean ratio, the Mann-Whitney estimate of P(score preferred > score rejected). A
    pair that is perfectly separated, rightly or wrongly, gives nothing.

    Args:
        rewards: Scores that the traces gave [..., P, G]; prompts 2i and 2i + 1 are the preferred and the rejected item.

    Returns:
        Advantages [..., P, G], within (-1, 1); 0 for a group of one and for a prompt without a partner.

    Source: arXiv 2604.27505, group contrastive advantage.
    """
    ratio = win_ratios(rewards)
    return ratio - mean_std(ratio)[0]


method("gcpo", advantage="gcpo", objective=("ppo_clip", {"aggregation": "seq-mean-token-mean"}), paper="gcpo",
       note="prompts 2i and 2i+1 are a preferred and a rejected item; win ratios against each other")  # fmt: skip
