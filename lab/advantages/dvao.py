"""DVAO: rewards mixed in proportion to their weighted spread in the group, so conflicting rewards damp each other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from lab.advantages.grpo import CENTRED
from lab.advantages.statistics import Array, mean_std, over
from lab.errors import InputError
from lab.registry import register


def _weights(weights: Array | None, rewards: Array) -> Array:
    """Weights [K] of the rewards' type; ones by default."""
    array = np.ones(rewards.shape[-1]) if weights is None else np.asarray(weights)
    if (array < 0).any():
        raise InputError(
            f"dvao: weights are {array.tolist()}; they must be at least 0, a reward is turned by its own sign"
        )
    return array.astype(rewards.dtype)


def _worked(rewards: Array, prompt: int, rollout: int, options: Mapping[str, Any]) -> str:
    """One rollout's numbers: weighted distances over weighted deviations."""
    mean, std = mean_std(np.moveaxis(rewards, -1, 0), options["ddof"])
    w = _weights(options["weights"], rewards)
    parts = zip(w, rewards[prompt, rollout], mean[:, prompt, 0], strict=True)
    above = " + ".join(f"{k:.4g}·({r:.4g} − {m:.4g})" for k, r, m in parts)
    below = " + ".join(f"{k:.4g}·{s:.4g}" for k, s in zip(w, std[:, prompt, 0], strict=True))
    return f"({above}) / ({below} + {options['eps']:.4g})"


@register(
    "advantage",
    paper="dvao",
    equation="A = Σₖ wₖ (rₖ − meanₖ) / (Σₖ wₖ stdₖ + ε)",
    properties=CENTRED | {"scale", "bounded"},
    bound=lambda shape: math.sqrt(shape.group_size - 1),
    worked=_worked,
    components=True,
)
def dvao(rewards: Array, *, weights: Array | None = None, ddof: int = 0, eps: float = 1e-6) -> Array:
    """DVAO: A = sum_k v_k A_k, v_k = w_k std_k / sum_l w_l std_l; so A = sum_k w_k (r_k - mean_k) / sum_k w_k std_k.

    Within a prompt it is GRPO on the weighted sum times sigma_sum / sum_k w_k std_k, a factor in [0, 1]: 1 where the
    rewards agree, small where they conflict. The order of the rollouts is that of the summed rewards.

    Args:
        rewards: Reward components [..., P, G, K].
        weights: Weight of each component [K], at least 0; ones by default. Only their proportions matter.
        ddof: Degrees of freedom of the deviations; with 0 the mean square of each normalised reward is 1.
        eps: Floor of the weighted sum of deviations, in units of reward.

    Returns:
        Advantages [..., P, G]; a component without spread contributes 0.

    Raises:
        InputError: A weight is negative.

    Source: arXiv 2605.25604, definition of the adaptive weights; ddof and eps are the lab's choice.
    """
    parts = np.moveaxis(rewards, -1, 0)
    mean, std = mean_std(parts, ddof)
    w = _weights(weights, rewards).reshape(-1, *[1] * (parts.ndim - 1))
    spread = (w * std).sum(axis=0)
    summed = np.nansum(w * np.where(std > 0, parts - mean, 0), axis=0)
    return over(summed, np.where(spread > 0, spread + rewards.dtype.type(eps), spread))
