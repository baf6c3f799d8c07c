"""VPL's scale of rewards: how likely a response beats others, which users of every temper have in common."""

from __future__ import annotations

import numpy as np

import lab.rewards.references  # noqa: F401  (declares reference_rewards)
from lab.advantages.statistics import Array
from lab.composites import method
from lab.registry import register

__all__ = ["vpl"]


@register("reward", "vpl-spo", paper="vpl", equation="r̃ = mean_j σ(r − r_j),  r_j of responses to compare with")
def vpl(rewards: Array, *, reference_rewards: Array) -> Array:
    """Chance to be preferred to other responses, mean over them: comparisons tell neither scale nor shift of a reward.

    Args:
        rewards: [..., P, G, K].
        reference_rewards: Rewards of M responses to compare with [..., P, M, K].

    Returns:
        Rewards [..., P, G, K], in [0, 1].

    Source: VPL-SPO, arXiv 2408.10075; the same form as PAR's, with responses of the initial policy.
    """
    apart = rewards[..., :, None, :] - np.asarray(reference_rewards)[..., None, :, :]
    return np.asarray(0.5 * (1 + np.tanh(0.5 * apart)).mean(-2))


method("vpl", advantage="grpo", reward="vpl-spo", paper="vpl", note="chance to be preferred to base responses")
