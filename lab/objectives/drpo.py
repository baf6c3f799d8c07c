"""DRPO: correct responses against wrong ones, a length reward that only shares weight among the correct."""

from __future__ import annotations

import numpy as np

from lab.errors import InputError
from lab.objectives.formula import Formula, Terms, formula
from lab.objectives.tokens import Array


def _softmax_within(values: Array, member: Array) -> Array:
    """Softmax of values [..., G] over the members of each group, 0 elsewhere and where there is none."""
    masked = np.where(member, values, -np.inf)
    top = masked.max(axis=-1, keepdims=True)
    weight = np.exp(masked - np.where(np.isfinite(top), top, 0.0))
    return np.asarray(weight / np.maximum(weight.sum(axis=-1, keepdims=True), 1e-300))


def divergence(t: Terms, kind: str) -> tuple[Array, Array]:
    """K, averaged over the valid tokens of the batch [..., 1, 1, 1], and M dK/dlogp_new per token [..., P, G, T].

    Args:
        t: Terms of the batch.
        kind: As `kl_type` in `drpo`.
    """
    if kind not in ("kl", "low_var_kl"):
        raise InputError(f"drpo: kl_type={kind!r}; it must be 'kl' or 'low_var_kl'")
    log_rho = np.where(t.valid > 0, t.new - t.logp, 0.0)
    values, slope = (-log_rho, -t.valid) if kind == "kl" else (np.expm1(log_rho) - log_rho, np.expm1(log_rho))
    count = np.maximum(t.valid.sum(axis=(-3, -2, -1), keepdims=True), 1.0)
    return (values * t.valid).sum(axis=(-3, -2, -1), keepdims=True) / count, slope * t.valid / count


def _contrast(s: Array, negative: Array, tau: float) -> Array:
    """tau log of the mean over the wrong rollouts of exp(s/tau) [..., P], 0 where there is none."""
    scaled = np.where(negative, s / tau, -np.inf)
    top = np.where(negative.any(-1), scaled.max(axis=-1), 0.0)
    mean = np.exp(scaled - top[..., None]).sum(axis=-1) / np.maximum(negative.sum(axis=-1), 1)
    return np.asarray(tau * np.where(negative.any(-1), top + np.log(np.maximum(mean, 1e-300)), 0.0))


@formula(
    paper="drpo",
    equation="w = ω/(L·P) for correct, −softmax(s/τ)/(L·P) for wrong rollouts; minus β (K − δ)₊ ∂K",
    coupled=True,
)
def drpo(
    t: Terms,
    *,
    lengths: Array | None = None,
    longest: int = 0,
    tau: float = 10.0,
    temperature: float = 0.1,
    delta: float = 1e-4,
    beta: float = 1e3,
    kl_type: str = "kl",
) -> Formula:
    """DRPO: J = sum_P omega s - tau log mean_N exp(s/tau) per prompt, with a trust region on the batch.

    s is a rollout's mean log-probability; omega, the softmax over the correct rollouts of (1 - L/C)/lambda, shares
    weight by length L of C tokens. A correct rollout is never pushed down. Per prompt both sides weigh 1/P. Advantages
    are above 0 for correct, below 0 for wrong rollouts and 0 for neither; their size does not matter.

    Args:
        t: Terms of the batch.
        lengths: L in the world's own units [..., P, G], where the tokens do not tell it; None: the valid tokens.
        longest: C, the longest response; 0: T.
        tau: Temperature of the wrong rollouts: near 0 only the likeliest is pushed down.
        temperature: lambda of the correct ones: near 0 the shortest takes all, 1e6 switches the length off.
        delta: Divergence up to which the penalty is 0, nats per token.
        beta: Strength of the penalty (beta/2)(K - delta)_+^2.
        kl_type: "kl", the mean of log pi_old/pi_new, or "low_var_kl", of rho - 1 - log rho.

    Returns:
        Weights [..., P, G, T]; a prompt whose rollouts are all correct or all wrong has the penalty alone.

    Source: arXiv 2510.04474, objective; golden file drpo.json (the gradient; the loss reported there is not J).
    """
    both = (t.per_rollout > 0).any(axis=-1, keepdims=True) & (t.per_rollout < 0).any(axis=-1, keepdims=True)
    positive, negative = (t.per_rollout > 0) & both, (t.per_rollout < 0) & both
    s, length = t.sums(t.new) / t.lengths, t.lengths if lengths is None else lengths
    omega = _softmax_within((1 - length / (longest or t.new.shape[-1])) / temperature, positive)
    k, slope = divergence(t, kl_type)

    def weights() -> Array:
        share = (omega - _softmax_within(s / tau, negative)) / t.lengths / t.new.shape[-3]
        return np.asarray(t.valid * share[..., None] - beta * np.maximum(k - delta, 0) * slope)

    def loss() -> Array:
        gain = ((omega * s).sum(axis=-1) - _contrast(s, negative, tau)).mean(axis=-1)
        return np.asarray(beta / 2 * np.maximum(k[..., 0, 0, 0] - delta, 0) ** 2 - gain)

    return Formula(weights, loss)
