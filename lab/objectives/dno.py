"""DNO: log-ratios regressed on win rates over the pairs of a group, towards the Nash policy of a preference game."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from lab.advantages.statistics import RESOLUTION
from lab.objectives.tokens import Array
from lab.registry import register


def _sigmoid(x: Array) -> Array:
    return np.exp(-np.logaddexp(0, -x))


def _pairs(new: Array, advantage: Array, logp: Array, mask: Array | None, eta: float) -> tuple[Array, Array]:
    """Target r_g - r_j and prediction eta (rho_g - rho_j) of every pair, both [..., P, G, G]."""
    a = advantage if advantage.ndim == new.ndim - 1 else advantage[..., 0]
    difference = new - logp
    rho = eta * (difference if mask is None else np.where(mask != 0, difference, 0.0)).sum(axis=-1)
    return a[..., :, None] - a[..., None, :], rho[..., :, None] - rho[..., None, :]


def _number(like: Array) -> int:
    """Pairs in the batch of one run."""
    return max(like.shape[-3] * like.shape[-2] * (like.shape[-2] - 1) // 2, 1)


def _loss(new: Array, advantage: Array, o: SimpleNamespace) -> Array:
    target, margin = _pairs(new, advantage, o.logp, o.mask, o.eta)
    z = _sigmoid(target)
    values = z * np.logaddexp(0, -margin) + (1 - z) * np.logaddexp(0, margin)
    above = np.triu(np.ones(values.shape[-2:]), 1)
    return np.asarray((values * above).sum(axis=(-3, -2, -1)) / _number(new))


@register(
    "objective",
    paper="dno",
    equation="w = (η/pairs) Σ_j [σ(r − r_j) − σ(η(ρ − ρ_j))],  ρ = Σ_t log π_new/π_old",
    loss=_loss,
)
def dno(logp_new: Array, advantage: Array, *, logp: Array, mask: Array | None = None, eta: float = 1.0) -> Array:
    """DNO's regression over all pairs of a group: cross-entropy of sigmoid(eta (rho_g - rho_j)) to sigmoid(r_g - r_j).

    It is zero at pi_new = pi_old exp(r/eta)/Z, one step of soft policy iteration, and bounded by eta on the way.

    Args:
        logp_new: Log-probabilities under the updated policy [..., P, G, T].
        advantage: Win rates r up to a constant [..., P, G]; of values per token the first counts.
        logp: Log-probabilities under the sampling policy [..., P, G, T].
        mask: Valid tokens [..., P, G, T]; None for all.
        eta: Strength of the regularisation towards the sampling policy.

    Returns:
        Weights [..., P, G, T], the same for every valid token of a rollout; they sum to 0 over a group.

    Source: arXiv 2404.03715, algorithm 1 with all pairs of a group.
    """
    target, margin = _pairs(logp_new, advantage, logp, mask, eta)
    w = eta / _number(logp_new) * (_sigmoid(target) - _sigmoid(margin)).sum(axis=-1)
    spread = np.broadcast_to(w[..., None], logp_new.shape)
    return spread.copy() if mask is None else spread * (mask != 0)


def _clear(target: Array, margin: float) -> tuple[Array, Array, Array]:
    """1 for the better of a pair and which pairs are far enough apart [..., P, G, G]; how many [..., 1, 1, 1]."""
    kept = (target != 0) & (np.abs(target) > margin - RESOLUTION)
    return 1.0 * (target > 0), kept, np.maximum(kept.sum(axis=(-3, -2, -1), keepdims=True) / 2, 1)


def _loss_of_clear_pairs(new: Array, advantage: Array, o: SimpleNamespace) -> Array:
    target, margin = _pairs(new, advantage, o.logp, o.mask, o.eta)
    better, kept, number = _clear(target, o.margin)
    return np.asarray((kept * better * np.logaddexp(0, -margin) / number).sum(axis=(-3, -2, -1)))


@register(
    "objective",
    "dno-prct",
    paper="dno",
    equation="w = (η/pairs) Σ_j [1[r > r_j] − σ(η(ρ − ρ_j))] over pairs with |r − r_j| ≥ margin",
    loss=_loss_of_clear_pairs,
)
def dno_prct(
    logp_new: Array, advantage: Array, *, logp: Array, mask: Array | None = None, eta: float = 1.0, margin: float = 0.2
) -> Array:
    """DNO-Prct: DPO against the sampling policy on the pairs of a group whose win rates are far apart.

    The better response of a pair counts as certainly better (z = 1 in `dno`), so a pair never stops pulling and the
    fitting eta is larger than there.

    Args:
        logp_new: Log-probabilities under the updated policy [..., P, G, T].
        advantage: Win rates up to a constant [..., P, G]; of values per token the first counts.
        logp: Log-probabilities under the sampling policy [..., P, G, T].
        mask: Valid tokens [..., P, G, T]; None for all.
        eta: Strength of the regularisation towards the sampling policy.
        margin: Least difference of the win rates of a pair; equal ones are never a pair.

    Returns:
        Weights [..., P, G, T], the same for every valid token of a rollout, averaged over the pairs of the batch; they
        sum to 0 over a group.

    Source: arXiv 2404.03715, algorithm 2.
    """
    target, apart = _pairs(logp_new, advantage, logp, mask, eta)
    better, kept, number = _clear(target, margin)
    w = eta * (kept * (better - _sigmoid(apart)) / number).sum(axis=-1)
    spread = np.broadcast_to(w[..., None], logp_new.shape)
    return spread.copy() if mask is None else spread * (mask != 0)
