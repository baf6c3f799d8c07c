"""GRPO-S (DR-IRL): a prompt's advantages times how hard its data are and how the model responds to its category."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from lab.advantages.statistics import Array, mean_std, normalise, task_mean_std, weighted_total
from lab.errors import InputError
from lab.registry import register

_LARGEST = 1e6


def _log_sigmoid(x: Array) -> Array:
    return -np.logaddexp(0, -x)


def hardness(similarity: Array, task: Array | None = None) -> Array:
    """alpha_D = sigmoid(delta)/sigmoid(mean delta of the category), delta = 1 - similarity.

    With similarities in [0, 1] it lies within [0.684, 1.462], and its mean over a category is at most 1.

    Args:
        similarity: Mean likeness of each prompt's answers to its demonstration [..., P].
        task: Category of each prompt [..., P]; None: one category.

    Returns:
        Coefficients [..., P]; 1 for a category with one prompt.

    Source: arXiv 2503.18991, data hardness.
    """
    delta = 1 - similarity
    return np.exp(_log_sigmoid(delta) - _log_sigmoid(task_mean_std(delta, task)[0]))


def responsiveness(gap: Array, task: Array | None = None, tau: float | None = None) -> Array:
    """alpha_M = sigmoid(mean gap without outliers)/sigmoid(mean gap) of each prompt's category.

    Args:
        gap: Reward of the demonstration minus that of the answers [..., P].
        task: Category of each prompt [..., P]; None: one category.
        tau: A gap is an outlier if its squared distance from the mean is above tau; None: twice the variance.

    Returns:
        Coefficients [..., P], the same within a category, between 1e-6 and 1e6 (the source has no bound); 1 where every
        gap is an outlier.

    Source: arXiv 2503.18991, model responsiveness; tau is not published, its default is the lab's.
    """
    mean, std = task_mean_std(gap, task, ddof=0)
    with np.errstate(over="ignore"):
        inside = (gap - mean) ** 2 <= (2 * std**2 * (1 + 1e-9) if tau is None else tau)
    kept = task_mean_std(np.where(inside, gap, gap.dtype.type(np.nan)), task)[0]
    some = task_mean_std(inside.astype(gap.dtype), task)[0] > 0
    log_ratio = _log_sigmoid(np.where(some, kept, mean)) - _log_sigmoid(mean)
    limit = math.log(_LARGEST)
    return np.exp(np.clip(log_ratio, -limit, limit))


def _coefficient(rewards: Array, total: Array, task: Array | None, o: Mapping[str, Any]) -> Array:
    """alpha_D alpha_M of each prompt [..., P, 1]."""
    size = rewards.shape[-1]
    if not -size <= o["similarity"] < size:
        raise InputError(f"grpo-s: similarity={o['similarity']}; there are {size} reward components")
    likeness = mean_std(np.clip(rewards[..., o["similarity"]], 0, 1))[0][..., 0]
    gap = rewards.dtype.type(o["demonstration"]) - mean_std(total)[0][..., 0]
    return (hardness(likeness, task) * responsiveness(gap, task, o["tau"]))[..., None]


def _worked(rewards: Array, prompt: int, rollout: int, options: Mapping[str, Any]) -> str:
    """One rollout's numbers: the prompt's coefficient and its normalised reward."""
    total = weighted_total(rewards, options["weights"])
    mean, std = mean_std(total, ddof=0)
    alpha = _coefficient(rewards, total, options.get("task"), options)[prompt].item()
    here = f"({total[prompt, rollout]:.4g} − {mean[prompt, 0]:.4g}) / ({std[prompt, 0]:.4g} + {options['eps']:.4g})"
    return f"{alpha:.4g} · {here}"


@register(
    "advantage",
    "grpo-s",
    paper="grpo-s",
    equation="A = α_D α_M (R − mean) / (std + ε),  α_D = σ(δ)/σ(mean δ),  α_M = σ(mean gap, no outliers)/σ(mean gap)",
    properties={"permutation", "zero_sum", "silent"},
    worked=_worked,
    components=True,
)
def grpo_s(
    rewards: Array,
    *,
    weights: Array | None = None,
    task: Array | None = None,
    similarity: int = 0,
    demonstration: float = 1.0,
    tau: float | None = None,
    eps: float = 1e-8,
) -> Array:
    """GRPO-S: GRPO's advantage times the prompt's `hardness` and its category's `responsiveness`.

    The coefficient is one number per prompt, so that a group's advantages still sum to zero.

    Args:
        rewards: Reward components [..., P, G, K].
        weights: Weight of each component in the total reward R [K]; ones by default.
        task: Category of each prompt [..., P]; None: one category.
        similarity: The component that tells how much an answer resembles the demonstration, within [0, 1] (clipped).
        demonstration: Reward R of a demonstration.
        tau: See `responsiveness`.
        eps: Floor of the population deviation, in units of reward.

    Returns:
        Advantages [..., P, G].

    Source: arXiv 2503.18991, scaled advantage; population std, eps and tau are the lab's choice.
    """
    total = weighted_total(rewards, weights)
    chosen = {"similarity": similarity, "demonstration": demonstration, "tau": tau}
    return _coefficient(rewards, total, task, chosen) * normalise(total, 0, eps)
