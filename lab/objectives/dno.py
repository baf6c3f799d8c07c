"""DNO: log-ratios regressed on win rates over the pairs of a group, towards the Nash policy of a preference game."""

from __future__ import annotations

import numpy as np

from lab.advantages.statistics import RESOLUTION
from lab.composites import method
from lab.objectives.formula import Formula, Terms, formula
from lab.objectives.tokens import Array, sigmoid


def _pairs(t: Terms, eta: float) -> tuple[Array, Array]:
    """Target r_g - r_j and prediction eta (rho_g - rho_j) of every pair, both [..., P, G, G]."""
    a, rho = t.per_rollout, eta * t.log_ratios
    return a[..., :, None] - a[..., None, :], rho[..., :, None] - rho[..., None, :]


@formula(paper="dno", equation="w = (η/pairs) Σ_j [σ(r − r_j) − σ(η(ρ − ρ_j))],  ρ = Σ_t log π_new/π_old", coupled=True)
def dno(t: Terms, *, eta: float = 1.0) -> Formula:
    """DNO's regression over all pairs of a group: cross-entropy of sigmoid(eta (rho_g - rho_j)) to sigmoid(r_g - r_j).

    It is zero at pi_new = pi_old exp(r/eta)/Z, one step of soft policy iteration, and bounded by eta on the way.
    Advantages are win rates up to a constant.

    Args:
        t: Terms of the batch.
        eta: Strength of the regularisation towards the sampling policy.

    Returns:
        Weights [..., P, G, T], the same for every valid token of a rollout; they sum to 0 over a group.

    Source: arXiv 2404.03715, algorithm 1 with all pairs of a group.
    """
    (target, margin), size = _pairs(t, eta), t.new.shape[-2]
    z, pairs = sigmoid(target), max(t.new.shape[-3] * size * (size - 1) // 2, 1)

    def loss() -> Array:
        values = z * np.logaddexp(0, -margin) + (1 - z) * np.logaddexp(0, margin)
        return np.asarray((values * np.triu(np.ones((size, size)), 1)).sum(axis=(-3, -2, -1)) / pairs)

    return Formula(lambda: t.at_tokens(eta / pairs * (z - sigmoid(margin)).sum(axis=-1)), loss)


@formula(
    "dno-prct",
    paper="dno",
    equation="w = (η/pairs) Σ_j [1[r > r_j] − σ(η(ρ − ρ_j))] over pairs with |r − r_j| ≥ margin",
    coupled=True,
)
def dno_prct(t: Terms, *, eta: float = 1.0, margin: float = 0.2) -> Formula:
    """DNO-Prct: DPO against the sampling policy on the pairs of a group whose win rates are far apart.

    The better response of a pair counts as certainly better (z = 1 in `dno`), so a pair never stops pulling and the
    fitting eta is larger than there.

    Args:
        t: Terms of the batch.
        eta: Strength of the regularisation towards the sampling policy.
        margin: Least difference of the win rates of a pair; equal ones are never a pair.

    Returns:
        Weights [..., P, G, T], the same for every valid token of a rollout, averaged over the pairs of the batch; they
        sum to 0 over a group.

    Source: arXiv 2404.03715, algorithm 2.
    """
    target, apart = _pairs(t, eta)
    better, kept = 1.0 * (target > 0), (target != 0) & (np.abs(target) > margin - RESOLUTION)
    number = np.maximum(kept.sum(axis=(-3, -2, -1), keepdims=True) / 2, 1)
    return Formula(
        lambda: t.at_tokens(eta * (kept * (better - sigmoid(apart)) / number).sum(axis=-1)),
        lambda: np.asarray((kept * better * np.logaddexp(0, -apart) / number).sum(axis=(-3, -2, -1))),
    )


method("dno", advantage="win-rate", objective="dno", paper="dno",
       note="log-ratios regressed on win rates over all pairs of a group")  # fmt: skip
method("dno-prct", advantage="win-rate", objective="dno-prct", paper="dno",
       note="the better of two responses against the worse where their win rates are far apart")  # fmt: skip
