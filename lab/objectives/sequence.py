"""Objectives with one ratio per rollout: GSPO, LUSPO, GMPO, VESPO."""

from __future__ import annotations

from functools import partial

import numpy as np

from lab.composites import method
from lab.objectives.formula import Formula, Terms, formula
from lab.objectives.ppo import clip
from lab.objectives.tokens import LOG_LIMIT, Array, aggregate, log_ratio, scale, sequence_mean, spread
from lab.registry import preset

__all__ = ["gmpo", "gspo", "limited_exp", "vespo"]

_LIMIT = 10.0


def limited_exp(mean: Array) -> tuple[Array, Array]:
    """s = exp(mean of log rho), at most e^10, and its slope, 0 at that limit, both like `mean`."""
    s = np.exp(np.minimum(mean, _LIMIT))
    return s, np.where(mean > _LIMIT, 0.0, s)


@formula(
    paper="baselines",
    equation="w = c·A·s unless clipped,  s = exp(mean over tokens of log ρ)",
    aggregation="seq-mean-token-mean",
    clips=True,
)
def gspo(t: Terms, *, clip_low: float = 3e-4, clip_high: float = 4e-4) -> Formula:
    """GSPO: ppo_clip with the geometric mean of a rollout's ratios in place of each token's own.

    Args:
        t: Terms of the batch.
        clip_low: lo, far smaller than a token's.
        clip_high: hi.

    Returns:
        Weights [..., P, G, T].

    Source: arXiv 2507.18071; golden file baselines.json.
    """
    return clip(t, lambda: limited_exp(sequence_mean(t.new - t.logp, t.mask)), clip_low, clip_high)


preset("objective", "gspo@trl", "gspo", "TRL 1.16 importance_sampling_level='sequence'")
preset("objective", "luspo", "gspo", "TRL 1.16: GSPO's ratio, mean over rollouts of the sum over tokens",
       equation="w = A·s / B unless clipped (the length factors cancel)",
       aggregation="seq-mean-token-sum")  # fmt: skip


@formula(
    paper="baselines",
    equation="w = A·exp(mean l) / (B·(len + 1e−8)) for tokens whose log-ratio is not clipped",
    fixed="seq-mean-token-mean",
    clips=True,
)
def gmpo(t: Terms, *, clip_low: float = 0.4, clip_high: float = 0.4) -> Formula:
    """GMPO: the geometric mean of one-sidedly clipped ratios, loss = mean over rollouts of -A exp(mean l).

    Of advantages per token the mean over valid tokens is used. l is at most hi where A > 0, at least -lo where A < 0.

    Args:
        t: Terms of the batch.
        clip_low: Log-ratios below -clip_low are clipped where A < 0.
        clip_high: Log-ratios above clip_high are clipped where A > 0.

    Returns:
        Weights [..., P, G, T], c = 1/B. The clip share follows the source: tokens with A > 0 and a log-ratio outside
        [-clip_low, clip_high].

    Source: arXiv 2507.20673, verl 0.9.1; golden file baselines.json.
    """
    d, mean = log_ratio(t.new, t.logp), partial(sequence_mean, mask=t.mask, floor=1e-8)
    limited = np.where(t.a > 0, np.minimum(d, clip_high), np.where(t.a < 0, np.maximum(d, -clip_low), d))
    a, s = mean(np.broadcast_to(t.a, t.new.shape)), np.exp(mean(limited))
    return Formula(
        lambda: scale(t.mask, t.new, "seq-mean-token-mean", floor=1e-8) * a * s * (limited == t.new - t.logp),
        lambda: aggregate(-a * s, t.c, t.new),
        lambda: (t.a > 0) & ((d > clip_high) | (d < -clip_low)),
    )


@formula(
    paper="baselines", equation="w = c·A·φ(W),  φ(W) = e^λ W^k e^{−λW},  W = Π ρ over the rollout",
    aggregation="token-mean",
)  # fmt: skip
def vespo(
    t: Terms,
    *,
    k_pos: float = 2.0,
    lambda_pos: float = 3.0,
    k_neg: float = 3.0,
    lambda_neg: float = 2.0,
    through_phi: bool = False,
) -> Formula:
    """VESPO: a constant gamma-shaped weight of the whole rollout's ratio on the plain policy gradient.

    phi is 1 at W = 1; log W is clamped to [log 1e-8, 20], where phi's slope in log W, phi (k - lambda W) inside, is 0.

    Args:
        t: Terms of the batch.
        k_pos: Exponent k where A >= 0.
        lambda_pos: Rate lambda where A >= 0.
        k_neg: Exponent k where A < 0.
        lambda_neg: Rate lambda where A < 0.
        through_phi: Differentiate phi as well, dphi/dlogp = phi (k - lambda W), as the golden file does.

    Returns:
        Weights [..., P, G, T].

    Source: TRL 1.16 loss_type="vespo" (phi constant); golden file baselines.json.
    """
    d = log_ratio(t.new, t.logp)
    whole = (d if t.mask is None else d * t.mask).sum(axis=-1, keepdims=True)
    log_w = np.clip(whole, np.log(1e-8), 20.0)
    k, lam = np.where(t.a >= 0, k_pos, k_neg), np.where(t.a >= 0, lambda_pos, lambda_neg)
    phi = np.exp(lam + k * log_w - lam * np.exp(log_w))

    def weights() -> Array:
        c = t.c * t.a
        if not through_phi:
            return spread(c * phi, t.new)
        slope = np.where(whole == log_w, phi * (k - lam * np.exp(log_w)), 0.0)
        moves = scale(t.mask, t.new, "token-sum") * (np.abs(t.new - t.logp) <= LOG_LIMIT)
        return np.asarray(c * phi + moves * (c * slope * t.new).sum(axis=-1, keepdims=True))

    return Formula(weights, lambda: t.total(-phi * t.a * t.new))


method("gspo", objective="gspo", note="sequence ratio, clip 3e-4 / 4e-4")
method("gmpo", objective="gmpo", note="geometric mean of the ratios")
method("luspo", objective="luspo", note="sequence ratio, sum over tokens")
method("vespo", objective="vespo", note="gamma-shaped weight of the rollout's ratio")
