"""VGPO: each denoising step by what follows from it, weighed by when it counts, with a part that is absolute."""

from __future__ import annotations

import numpy as np

import simulators.flow.fields  # noqa: F401  (declares instant_rewards)
from lab.advantages.statistics import Array, difference, mean_std, over
from lab.composites import method
from lab.errors import UnknownNameError
from lab.registry import preset, register

__all__ = ["WEIGHTS", "vgpo"]

#: Whose values decide how much a step counts: the group's at that step, each rollout's own, or all steps alike.
WEIGHTS = ("group", "sample", "none")


@register(
    "advantage",
    "vgpo",
    paper="vgpo",
    equation="A = clamp(ω (z_step(Q) + k Q), ±5),  Q_i = Σ_{j≥i} γ^(j−i) R_j,  ω = mean_g Q_i / mean Q",
    properties={"shift", "scale", "permutation", "groupwise", "bounded"},
    bound=lambda shape: 5.0,
)
def vgpo(
    rewards: Array, *, instant_rewards: Array, omega: str = "group", gamma: float = 0.99, k: float = 0.1,
    absolute: float = 0.5, eps: float = 1e-4, limit: float = 5.0,
) -> Array:  # fmt: skip
    """Values of denoising steps against the group's at the same step, plus k times the value in the early steps.

    Args:
        rewards: Outcomes [..., P, G]; only whether there is one counts.
        instant_rewards: Reward of the sample that a straight step from each step's end would give
            [..., P, G, T]; where a value is negative, ω takes it for 0.
        omega: A member of `WEIGHTS`.
        gamma: Discount of later instant rewards.
        k: Weight of the absolute part; it is what is left where a group's values are all equal.
        absolute: Share of the steps, from the first on, that have that part.
        eps: Added to the population deviation, in units of reward.
        limit: Largest magnitude of an advantage.

    Returns:
        Advantages [..., P, G, T].

    Raises:
        UnknownNameError: No such ω.

    Source: arXiv 2512.12387; γ, k and ω of the group are the lab's choice where the paper could not be read.
    """
    if omega not in WEIGHTS:
        raise UnknownNameError("omega of vgpo", omega, WEIGHTS)
    values = _to_go(
        np.where(np.isnan(rewards)[..., None], rewards.dtype.type(np.nan), instant_rewards.astype(rewards.dtype)), gamma
    )
    by_step = np.swapaxes(values, -1, -2)
    mean, deviation = mean_std(by_step, 0, "zero")
    relative = np.swapaxes(over(difference(by_step, mean), deviation + eps), -1, -2)
    steps = values.shape[-1]
    early = (np.arange(steps) < absolute * steps).astype(values.dtype)
    weighed = _weights(values, omega) * (relative + k * early * values)
    return np.clip(np.where(np.isnan(values), 0.0, weighed), -limit, limit)


def _to_go(rewards: Array, gamma: float) -> Array:
    """Σ_{j≥i} γ^(j−i) R_j over the last axis."""
    total = rewards.copy()
    for i in range(rewards.shape[-1] - 2, -1, -1):
        total[..., i] += gamma * total[..., i + 1]
    return total


def _weights(values: Array, omega: str) -> Array:
    """Share of the value at each step, 1 on average over the steps; values [..., P, G, T]."""
    if omega == "none":
        return np.ones_like(values)
    known = ~np.isnan(values)
    summed = np.where(known, np.maximum(values, 0.0), 0.0)
    if omega == "group":
        summed = summed.sum(-2, keepdims=True) / np.maximum(known.sum(-2, keepdims=True, dtype=values.dtype), 1)
    return summed / (summed.mean(-1, keepdims=True) + 1e-8)


preset("advantage", "vgpo@sample", "vgpo", "each rollout's own share of the value", {"shift", "scale",
       "permutation", "groupwise", "bounded"}, equation="A = clamp(ω (z_step(Q) + k Q), ±5),  ω = Q_i / mean_i Q",
       omega="sample")  # fmt: skip
method("vgpo", advantage="vgpo", objective="ppo_clip", max_grad_norm=1.0, paper="vgpo",
       note="denoising steps by their value, in place of one advantage for all of them")  # fmt: skip
