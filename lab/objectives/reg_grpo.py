"""Reg-GRPO: the log-ratios of a group, standardised, are regressed onto its advantages; nothing is clipped."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from lab.objectives.tokens import Array
from lab.registry import register


def _predicted(new: Array, logp: Array, mask: Array | None, eps: float) -> tuple[Array, Array]:
    """Standardised log-ratio Z of each rollout [..., P, G] and its scale s = sqrt(var + eps^2) [..., P, 1]."""
    difference = new - logp
    rho = (difference if mask is None else np.where(mask != 0, difference, 0.0)).sum(axis=-1)
    centred = rho - rho.mean(axis=-1, keepdims=True)
    s = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + eps**2)
    return centred / np.where(s > 0, s, 1.0), s


def _per_rollout(advantage: Array, like: Array) -> Array:
    return advantage if advantage.ndim == like.ndim - 1 else advantage[..., 0]


def _loss(new: Array, advantage: Array, o: SimpleNamespace) -> Array:
    z, _ = _predicted(new, o.logp, o.mask, o.eps)
    return np.asarray(((_per_rollout(advantage, new) - z) ** 2).mean(axis=(-2, -1)))


@register(
    "objective",
    "reg-grpo",
    paper="reg-grpo",
    equation="w = 2/(P·G·s) · (e − mean(e) − Z·mean(e·Z)),  e = A − Z,  Z = (ρ − mean)/s,  s = √(var ρ + ε²)",
    loss=_loss,
)
def reg_grpo(logp_new: Array, advantage: Array, *, logp: Array, mask: Array | None = None, eps: float = 1e-4) -> Array:
    """Regressive GRPO: loss (1/G) sum (A - Z)^2 per prompt, Z the group's standardised sequence log-ratios.

    The loss sees only the correlation of A and rho (it is 2(1 - c) for eps = 0), so nothing limits the size of a step:
    weights grow as 1/s, and gradient-norm clipping belongs to the method. On policy w is 2/(G eps) times GRPO's.

    Args:
        logp_new: Log-probabilities under the updated policy [..., P, G, T].
        advantage: Standardised rewards [..., P, G] (population deviation); of values per token the first counts.
        logp: Log-probabilities under the sampling policy [..., P, G, T].
        mask: Valid tokens [..., P, G, T]; None for all.
        eps: Floor of the log-ratios' deviation, nats.

    Returns:
        Weights [..., P, G, T], the same for every valid token of a rollout; they sum to 0 over a group. A group of two
        has none off policy (Z is then ±1 whatever the ratios), a group of one never.

    Source: arXiv 2506.07464, sections 3.1-3.2; deviation and eps are the lab's choice.
    """
    a, (z, s) = _per_rollout(advantage, logp_new), _predicted(logp_new, logp, mask, eps)
    e = a - z
    inner = e - e.mean(axis=-1, keepdims=True) - z * (e * z).mean(axis=-1, keepdims=True)
    w = np.where(s > 0, 2 * inner / np.where(s > 0, s, 1.0), 0.0) / (a.shape[-1] * a.shape[-2])
    spread = np.broadcast_to(w[..., None], logp_new.shape)
    return spread.copy() if mask is None else spread * (mask != 0)
