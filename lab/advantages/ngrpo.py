"""NGRPO: a virtual success in the statistics turns a homogeneous failure into a negative signal."""

from __future__ import annotations

import math

import numpy as np

from lab.advantages.statistics import Array, mean_std
from lab.composites import method
from lab.errors import InputError
from lab.registry import register


@register(
    "advantage",
    paper="ngrpo",
    equation="μ* = (Σ R + m·r_max)/(G + m);  A = (R − μ*)/(σ* + ε),  σ* over the G + m values",
    properties={"permutation", "groupwise", "bounded"},
    bound=lambda shape: shape.group_size / math.sqrt(shape.group_size + 1),
    worked="({r} − {virtual_mean}) / ({virtual_std} + {eps})",
)
def ngrpo(rewards: Array, *, r_max: float = 1.0, n_virtual: int = 1, eps: float = 1e-6) -> Array:
    """NGRPO: m virtual rewards of value r_max enter the mean and the deviation, not the update.

    All wrong: A = -1/sqrt(G+1) for every rollout (m = 1, r_max = 1). All right: 0.

    Args:
        rewards: Total rewards [..., P, G]. A group of one is not calibrated: it keeps its raw reward.
        r_max: Reward of a virtual rollout.
        n_virtual: Number m of virtual rollouts.
        eps: Floor of the sample deviation.

    Returns:
        Advantages [..., P, G].

    Source: NGRPO, arXiv 2509.18851, advantage calibration; golden file ngrpo.json.
    """
    if n_virtual < 0:
        raise InputError(f"ngrpo: n_virtual={n_virtual}; it must be at least 0")
    if rewards.shape[-1] == 1:
        return rewards / (1 + eps)
    virtual = np.full((*rewards.shape[:-1], n_virtual), r_max, rewards.dtype)
    mean, std = mean_std(np.concatenate([rewards, virtual], axis=-1))
    return (rewards - mean) / (std + eps)


@register(
    "advantage",
    paper="ngrpo",
    equation="A = R",
    properties={"permutation", "groupwise"},
    worked="{r}",
)
def psr(rewards: Array) -> Array:
    """Positive sample reinforcement, for binary rewards: A = R [..., P, G].

    Source: NGRPO, arXiv 2509.18851, comparators; golden file ngrpo.json (`psr_nsr_positive`).
    """
    return rewards.copy()


@register(
    "advantage",
    paper="ngrpo",
    equation="A = R − 1",
    properties={"permutation", "groupwise"},
    worked="{r} − 1",
)
def nsr(rewards: Array) -> Array:
    """Negative sample reinforcement, for binary rewards: A = R - 1 [..., P, G].

    Source: NGRPO, arXiv 2509.18851, comparators; golden file ngrpo.json (`psr_nsr_negative`).
    """
    return rewards - 1


@register(
    "advantage",
    "w-reinforce",
    paper="ngrpo",
    equation="A = λ·R if correct, −1 if wrong",
    properties={"permutation", "groupwise"},
    worked="{positive_weight} · {r} if correct, −1 if wrong",
)
def w_reinforce(rewards: Array, *, positive_weight: float = 0.1) -> Array:
    """Weighted REINFORCE, for binary rewards: A = 0.1 R where correct (R > 0), -1 where wrong [..., P, G].

    Args:
        rewards: Binary rewards [..., P, G].
        positive_weight: Factor on the correct ones.

    Source: NGRPO, arXiv 2509.18851, comparators; golden file ngrpo.json (`psr_nsr_weighted`).
    """
    return np.where(rewards > 0, positive_weight * rewards, 0 * rewards - 1)


method("ngrpo", advantage="ngrpo", objective="ppo_clip@ngrpo", filter="all_correct", paper="ngrpo",
       note="virtual success, clip 0.16 / 0.24, all-correct prompts dropped")  # fmt: skip
