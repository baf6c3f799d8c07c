"""Objectives with one ratio per rollout: GSPO, LUSPO, GMPO, VESPO."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from lab.objectives.ppo import _outside, _surrogate
from lab.objectives.tokens import (
    LOG_LIMIT,
    Array,
    aggregate,
    factor,
    log_ratio,
    over_tokens,
    scale,
    sequence_mean,
    spread,
)
from lab.registry import preset, register

_SEQUENCE_LIMIT = 10.0


def _sequence_ratio(logp_new: Array, logp: Array, mask: Array | None) -> tuple[Array, Array]:
    """s = exp(mean over valid tokens of log rho), at most e^10, and its slope, 0 at that limit [..., P, G, 1]."""
    mean = sequence_mean(logp_new - logp, mask)
    s = np.exp(np.minimum(mean, _SEQUENCE_LIMIT))
    return s, np.where(mean > _SEQUENCE_LIMIT, 0.0, s)


def _gspo_loss(new: Array, advantage: Array, o: SimpleNamespace) -> Array:
    s, a = _sequence_ratio(new, o.logp, o.mask)[0], over_tokens(advantage, new)
    return aggregate(_surrogate(s, a, o.clip_low, o.clip_high, None, None), factor(o, new), new)


def _gspo_clipped(new: Array, advantage: Array, o: SimpleNamespace) -> Array:
    s = _sequence_ratio(new, o.logp, o.mask)[0]
    return _outside(s, over_tokens(advantage, new), o.clip_low, o.clip_high)


@register(
    "objective",
    paper="baselines",
    equation="w = c·A·s unless clipped,  s = exp(mean over tokens of log ρ)",
    loss=_gspo_loss,
    clipped=_gspo_clipped,
)
def gspo(
    logp_new: Array,
    advantage: Array,
    *,
    logp: Array,
    mask: Array | None = None,
    clip_low: float = 3e-4,
    clip_high: float = 4e-4,
    aggregation: str = "seq-mean-token-mean",
    max_length: int | None = None,
    floor: float = 0.0,
) -> Array:
    """GSPO: ppo_clip with the geometric mean of a rollout's ratios in place of each token's own.

    Args:
        logp_new: Log-probabilities under the updated policy [..., P, G, T].
        advantage: [..., P, G] or [..., P, G, T].
        logp: Log-probabilities under the sampling policy [..., P, G, T].
        mask: Valid tokens [..., P, G, T]; None for all.
        clip_low: lo, far smaller than a token's.
        clip_high: hi.
        aggregation: See `ppo_clip`.
        max_length: See `ppo_clip`.
        floor: See `ppo_clip`.

    Returns:
        Weights [..., P, G, T].

    Source: arXiv 2507.18071; golden file baselines.json.
    """
    c = scale(mask, logp_new, aggregation, max_length, floor)
    a = over_tokens(advantage, logp_new)
    s, slope = _sequence_ratio(logp_new, logp, mask)
    per_token = np.where(_outside(s, a, clip_low, clip_high), 0.0, a * slope)
    return spread(c * per_token, logp_new)


@register(
    "objective",
    paper="baselines",
    equation="w = A·s / B unless clipped (the length factors cancel)",
    aggregation="seq-mean-token-sum",
    loss=_gspo_loss,
    clipped=_gspo_clipped,
)
def luspo(
    logp_new: Array,
    advantage: Array,
    *,
    logp: Array,
    mask: Array | None = None,
    clip_low: float = 3e-4,
    clip_high: float = 4e-4,
) -> Array:
    """LUSPO: GSPO's sequence ratio with the mean over rollouts of the sum over tokens. Arguments as in `gspo`.

    Returns:
        Weights [..., P, G, T], c = 1/B.

    Source: TRL 1.16; golden file baselines.json.
    """
    return gspo(
        logp_new, advantage, logp=logp, mask=mask, clip_low=clip_low, clip_high=clip_high,
        aggregation="seq-mean-token-sum",
    )  # fmt: skip


def _limited(logp_new: Array, advantage: Array, logp: Array, clip_low: float, clip_high: float) -> tuple[Array, Array]:
    """One-sided clip of the log-ratio: at most hi for A > 0, at least -lo for A < 0; and where a clamp is active."""
    d, a = log_ratio(logp_new, logp), over_tokens(advantage, logp_new)
    limited = np.where(a > 0, np.minimum(d, clip_high), np.where(a < 0, np.maximum(d, -clip_low), d))
    return limited, limited != logp_new - logp


def _gmpo_loss(new: Array, advantage: Array, o: SimpleNamespace) -> Array:
    limited = _limited(new, advantage, o.logp, o.clip_low, o.clip_high)[0]
    a = sequence_mean(np.broadcast_to(over_tokens(advantage, new), new.shape), o.mask, 1e-8)
    each = -a * np.exp(sequence_mean(limited, o.mask, 1e-8))
    return aggregate(each, scale(o.mask, new, "seq-mean-token-mean"), new)


def _gmpo_clipped(new: Array, advantage: Array, o: SimpleNamespace) -> Array:
    d = log_ratio(new, o.logp)
    return (over_tokens(advantage, new) > 0) & ((d > o.clip_high) | (d < -o.clip_low))


@register(
    "objective",
    paper="baselines",
    equation="w = A·exp(mean l) / (B·(len + 1e−8)) for tokens whose log-ratio is not clipped",
    aggregation="seq-mean-token-mean",
    loss=_gmpo_loss,
    clipped=_gmpo_clipped,
)
def gmpo(
    logp_new: Array,
    advantage: Array,
    *,
    logp: Array,
    mask: Array | None = None,
    clip_low: float = 0.4,
    clip_high: float = 0.4,
) -> Array:
    """GMPO: the geometric mean of one-sidedly clipped ratios, loss = mean over rollouts of -A exp(mean l).

    Args:
        logp_new: Log-probabilities under the updated policy [..., P, G, T].
        advantage: [..., P, G], or per token (its mean over valid tokens is used).
        logp: Log-probabilities under the sampling policy [..., P, G, T].
        mask: Valid tokens [..., P, G, T]; None for all.
        clip_low: Log-ratios below -clip_low are clipped where A < 0.
        clip_high: Log-ratios above clip_high are clipped where A > 0.

    Returns:
        Weights [..., P, G, T], c = 1/B. The clip share follows the source: tokens with A > 0 and a log-ratio outside
        [-clip_low, clip_high].

    Source: arXiv 2507.20673, verl 0.9.1; golden file baselines.json.
    """
    limited, active = _limited(logp_new, advantage, logp, clip_low, clip_high)
    a = sequence_mean(np.broadcast_to(over_tokens(advantage, logp_new), logp_new.shape), mask, 1e-8)
    share = scale(mask, logp_new, "seq-mean-token-mean", floor=1e-8)
    return share * a * np.exp(sequence_mean(limited, mask, 1e-8)) * ~active


def _phi(new: Array, a: Array, o: SimpleNamespace) -> tuple[Array, Array]:
    """phi(W) = e^lambda W^k e^(-lambda W), 1 at W = 1, of the rollout's ratio W = prod rho, and its slope in log W.

    log W is clamped to [log 1e-8, 20], where the slope, phi (k - lambda W) inside, is 0.
    """
    d = log_ratio(new, o.logp)
    whole = (d if o.mask is None else d * o.mask).sum(axis=-1, keepdims=True)
    log_w = np.clip(whole, np.log(1e-8), 20.0)
    k, lam = np.where(a >= 0, o.k_pos, o.k_neg), np.where(a >= 0, o.lambda_pos, o.lambda_neg)
    phi = np.exp(lam + k * log_w - lam * np.exp(log_w))
    return phi, np.where(whole == log_w, phi * (k - lam * np.exp(log_w)), 0.0)


def _vespo_loss(new: Array, advantage: Array, o: SimpleNamespace) -> Array:
    a = over_tokens(advantage, new)
    return aggregate(-_phi(new, a, o)[0] * a * new, factor(o, new), new)


@register(
    "objective",
    paper="baselines",
    equation="w = c·A·φ(W),  φ(W) = e^λ W^k e^{−λW},  W = Π ρ over the rollout",
    loss=_vespo_loss,
)
def vespo(
    logp_new: Array,
    advantage: Array,
    *,
    logp: Array,
    mask: Array | None = None,
    k_pos: float = 2.0,
    lambda_pos: float = 3.0,
    k_neg: float = 3.0,
    lambda_neg: float = 2.0,
    aggregation: str = "token-mean",
    max_length: int | None = None,
    floor: float = 0.0,
    through_phi: bool = False,
) -> Array:
    """VESPO: a constant gamma-shaped weight of the whole rollout's ratio on the plain policy gradient.

    Args:
        logp_new: Log-probabilities under the updated policy [..., P, G, T].
        advantage: [..., P, G] or [..., P, G, T].
        logp: Log-probabilities under the sampling policy [..., P, G, T].
        mask: Valid tokens [..., P, G, T]; None for all.
        k_pos: Exponent k where A >= 0.
        lambda_pos: Rate lambda where A >= 0.
        k_neg: Exponent k where A < 0.
        lambda_neg: Rate lambda where A < 0.
        aggregation: See `ppo_clip`.
        max_length: See `ppo_clip`.
        floor: See `ppo_clip`.
        through_phi: Differentiate phi as well, dphi/dlogp = phi (k - lambda W), as the golden file does.

    Returns:
        Weights [..., P, G, T].

    Source: TRL 1.16 loss_type="vespo" (phi constant); golden file baselines.json.
    """
    a = over_tokens(advantage, logp_new)
    shape = {"k_pos": k_pos, "lambda_pos": lambda_pos, "k_neg": k_neg, "lambda_neg": lambda_neg}
    phi, slope = _phi(logp_new, a, SimpleNamespace(logp=logp, mask=mask, **shape))
    c = scale(mask, logp_new, aggregation, max_length, floor) * a
    if not through_phi:
        return spread(c * phi, logp_new)
    moves = scale(mask, logp_new, "token-sum") * (np.abs(logp_new - logp) <= LOG_LIMIT)
    return c * phi + moves * (c * slope * logp_new).sum(axis=-1, keepdims=True)


preset("objective", "gspo@trl", "gspo", "TRL 1.16 importance_sampling_level='sequence'")
