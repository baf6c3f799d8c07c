"""DRPO: correct responses against wrong ones, a length reward that only shares weight among the correct."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from lab.errors import InputError
from lab.objectives.tokens import Array
from lab.registry import register


def _softmax_within(values: Array, member: Array) -> Array:
    """Softmax of values [..., G] over the members of each group, 0 elsewhere and where there is none."""
    masked = np.where(member, values, -np.inf)
    top = masked.max(axis=-1, keepdims=True)
    weight = np.exp(masked - np.where(np.isfinite(top), top, 0.0))
    return np.asarray(weight / np.maximum(weight.sum(axis=-1, keepdims=True), 1e-300))


def _sets(advantage: Array, like: Array) -> tuple[Array, Array]:
    """Correct and wrong rollouts [..., P, G] of prompts that have both."""
    a = advantage if advantage.ndim == like.ndim - 1 else advantage[..., 0]
    both = (a > 0).any(axis=-1, keepdims=True) & (a < 0).any(axis=-1, keepdims=True)
    return (a > 0) & both, (a < 0) & both


def _tokens(mask: Array | None, like: Array) -> tuple[Array, Array]:
    """Valid tokens as numbers [..., P, G, T] and how many there are per rollout [..., P, G]."""
    valid = np.ones(like.shape) if mask is None else np.asarray(mask != 0, dtype=float)
    return valid, np.maximum(valid.sum(axis=-1), 1.0)


def _share(length: Array, positive: Array, longest: float, temperature: float) -> Array:
    """omega: softmax over the correct rollouts of (1 - L/C)/lambda [..., P, G]."""
    return _softmax_within((1 - length / longest) / temperature, positive)


def _scores(new: Array, valid: Array, number: Array) -> Array:
    """Mean log-probability of each rollout's tokens [..., P, G]."""
    return np.asarray(np.where(valid > 0, new, 0.0).sum(axis=-1) / number)


def _divergence(new: Array, logp: Array, valid: Array, kind: str) -> tuple[Array, Array]:
    """K, averaged over the valid tokens of the batch [..., 1, 1, 1], and M dK/dlogp_new per token."""
    if kind not in ("kl", "low_var_kl"):
        raise InputError(f"drpo: kl_type={kind!r}; it must be 'kl' or 'low_var_kl'")
    log_rho = np.where(valid > 0, new - logp, 0.0)
    values, slope = (-log_rho, -valid) if kind == "kl" else (np.expm1(log_rho) - log_rho, np.expm1(log_rho))
    count = np.maximum(valid.sum(axis=(-3, -2, -1), keepdims=True), 1.0)
    return (values * valid).sum(axis=(-3, -2, -1), keepdims=True) / count, slope * valid / count


def _loss(new: Array, advantage: Array, o: SimpleNamespace) -> Array:
    valid, number = _tokens(o.mask, new)
    positive, negative = _sets(advantage, new)
    length = number if o.lengths is None else o.lengths
    omega, s = _share(length, positive, o.longest or new.shape[-1], o.temperature), _scores(new, valid, number)
    scaled = np.where(negative, s / o.tau, -np.inf)
    top = np.where(negative.any(-1), scaled.max(axis=-1), 0.0)
    mean = np.exp(scaled - top[..., None]).sum(axis=-1) / np.maximum(negative.sum(axis=-1), 1)
    contrast = np.where(negative.any(-1), top + np.log(np.maximum(mean, 1e-300)), 0.0)
    gain = ((omega * s).sum(axis=-1) - o.tau * contrast).mean(axis=-1)
    k = _divergence(new, o.logp, valid, o.kl_type)[0][..., 0, 0, 0]
    return np.asarray(o.beta / 2 * np.maximum(k - o.delta, 0) ** 2 - gain)


@register(
    "objective",
    paper="drpo",
    equation="w = ω/(L·P) for correct, −softmax(s/τ)/(L·P) for wrong rollouts; minus β (K − δ)₊ ∂K",
    loss=_loss,
)
def drpo(
    logp_new: Array,
    advantage: Array,
    *,
    logp: Array,
    mask: Array | None = None,
    lengths: Array | None = None,
    longest: int = 0,
    tau: float = 10.0,
    temperature: float = 0.1,
    delta: float = 1e-4,
    beta: float = 1e3,
    kl_type: str = "kl",
) -> Array:
    """DRPO: J = sum_P omega s - tau log mean_N exp(s/tau) per prompt, with a trust region on the batch.

    s is a rollout's mean log-probability; omega, the softmax over the correct rollouts of (1 - L/C)/lambda, shares
    weight by length L of C tokens. A correct rollout is never pushed down. Per prompt both sides weigh 1/P.

    Args:
        logp_new: Log-probabilities under the updated policy [..., P, G, T].
        advantage: Above 0 for correct, below 0 for wrong, 0 for neither [..., P, G]; its size does not matter. Any
            centred binary reward is of this kind.
        logp: Log-probabilities under the sampling policy [..., P, G, T].
        mask: Valid tokens [..., P, G, T]; None for all.
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
    valid, number = _tokens(mask, logp_new)
    positive, negative = _sets(advantage, logp_new)
    share = _share(number if lengths is None else lengths, positive, longest or logp_new.shape[-1], temperature)
    share = share - _softmax_within(_scores(logp_new, valid, number) / tau, negative)
    k, slope = _divergence(logp_new, logp, valid, kl_type)
    return valid * (share / number / logp_new.shape[-3])[..., None] - beta * np.maximum(k - delta, 0) * slope
