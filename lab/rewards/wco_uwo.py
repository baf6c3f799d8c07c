"""Ensembles of reward models: the mean of their scores, the worst of them, or the mean less what they disagree by."""

from __future__ import annotations

from lab.advantages.statistics import Array
from lab.composites import method
from lab.errors import InputError
from lab.registry import register

__all__ = ["ensemble_mean", "uwo", "wco"]

_PAPER = "rm-ensembles-wco-uwo"


@register("reward", "ensemble-mean", paper=_PAPER, equation="R = mean_k s_k")
def ensemble_mean(rewards: Array) -> Array:
    """Mean of the members' scores [..., P, G, K] -> [..., P, G, 1].

    Source: arXiv 2310.02743; golden file rm-ensembles-wco-uwo.json.
    """
    return rewards.mean(axis=-1, keepdims=True)


@register("reward", "ensemble-wco", paper=_PAPER, equation="R = min_k s_k")
def wco(rewards: Array) -> Array:
    """Worst-case optimisation: the lowest of the members' scores [..., P, G, K] -> [..., P, G, 1].

    Source: arXiv 2310.02743; llm_optimization, src/bon/ensemble_rm.py; golden file rm-ensembles-wco-uwo.json.
    """
    return rewards.min(axis=-1, keepdims=True)


@register("reward", "ensemble-uwo", paper=_PAPER, equation="R = mean_k s_k − λ var_k s_k")
def uwo(rewards: Array, *, penalty: float = 0.5, ddof: int = 0) -> Array:
    """Uncertainty-weighted optimisation: the mean less λ times the variance of the members' scores.

    Args:
        rewards: Scores of the members [..., P, G, K], which should share a unit.
        penalty: λ of at least 0, per unit of score; the paper takes 0.5 for best of n and 0.1 for training.
        ddof: 0 as in the authors' best of n, or 1 as in their training. One member alone has no variance.

    Returns:
        Rewards [..., P, G, 1].

    Raises:
        InputError: λ below 0 or not finite, or another ddof.

    Source: arXiv 2310.02743; llm_optimization, src/bon/ensemble_rm.py and src/reward_modeling/scoring; golden file
        rm-ensembles-wco-uwo.json.
    """
    if not 0 <= penalty < float("inf") or ddof not in (0, 1):
        raise InputError(f"ensemble-uwo: penalty={penalty}, ddof={ddof}; penalty must be at least 0, ddof 0 or 1")
    spread = rewards.var(axis=-1, keepdims=True, ddof=min(ddof, rewards.shape[-1] - 1))
    return rewards.mean(axis=-1, keepdims=True) - penalty * spread


method("ensemble-mean", reward="ensemble-mean", paper=_PAPER, note="mean of the scores of several reward models")
method("ensemble-wco", reward="ensemble-wco", paper=_PAPER, note="the lowest score of several reward models")
method("ensemble-uwo", reward=("ensemble-uwo", {"penalty": 0.1, "ddof": 1}), paper=_PAPER,
       note="their mean less a tenth of their variance")  # fmt: skip
