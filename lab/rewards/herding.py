"""More ways to read an ensemble of reward models: the median of their scores, or the mean less their deviation."""

from __future__ import annotations

import numpy as np

from lab.advantages.statistics import Array
from lab.composites import method
from lab.registry import register

__all__ = ["ensemble_median", "mean_minus_std"]

_PAPER = "rm-ensembles-herding"


@register("reward", "ensemble-median", paper=_PAPER, equation="R = median_k s_k")
def ensemble_median(rewards: Array) -> Array:
    """Median of the members' scores [..., P, G, K] -> [..., P, G, 1].

    Source: arXiv 2312.09244.
    """
    return np.asarray(np.median(rewards, axis=-1, keepdims=True))


@register("reward", "ensemble-mean-std", paper=_PAPER, equation="R = mean_k s_k − std_k s_k")
def mean_minus_std(rewards: Array) -> Array:
    """Mean of the members' scores less their deviation [..., P, G, K] -> [..., P, G, 1].

    Source: arXiv 2312.09244; the deviation's ddof is not published, the lab takes 0.
    """
    return rewards.mean(axis=-1, keepdims=True) - rewards.std(axis=-1, keepdims=True)


method("ensemble-median", reward="ensemble-median", paper=_PAPER, note="median of the scores of several reward models")
method("ensemble-mean-std", reward="ensemble-mean-std", paper=_PAPER, note="their mean less their deviation")
