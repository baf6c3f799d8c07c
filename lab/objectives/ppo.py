"""Clipped surrogates with a ratio per token: PPO-clip (dual and two-sided), CISPO, SAPO, and GPG without a ratio."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from lab.objectives.tokens import Array, aggregate, factor, on_policy, over_tokens, ratio, scale, spread
from lab.registry import preset, register


def _surrogate(
    rho: Array, a: Array, clip_low: Array | float, clip_high: Array | float,
    dual_clip: float | None, delta: float | None,
) -> Array:  # fmt: skip
    """Loss per token: max(-A min(rho, delta), -A clip(rho)), for A < 0 at most -A dual_clip."""
    capped = rho if delta is None else np.minimum(rho, delta)
    loss = np.maximum(-a * capped, -a * np.clip(rho, 1 - clip_low, 1 + clip_high))
    return loss if dual_clip is None else np.where(a < 0, np.minimum(loss, -a * dual_clip), loss)


def _outside(rho: Array, a: Array, clip_low: Array | float, clip_high: Array | float) -> Array:
    return ((a > 0) & (rho > 1 + clip_high)) | ((a < 0) & (rho < 1 - clip_low))


def _loss(new: Array, advantage: Array, o: SimpleNamespace) -> Array:
    rho, k = ratio(new, o.logp)[0], 1.0 if o.clip_scale is None else o.clip_scale
    a = over_tokens(advantage, new)
    return aggregate(_surrogate(rho, a, k * o.clip_low, k * o.clip_high, o.dual_clip, o.delta), factor(o, new), new)


def _clipped(new: Array, advantage: Array, o: SimpleNamespace) -> Array:
    k = 1.0 if o.clip_scale is None else o.clip_scale
    return _outside(ratio(new, o.logp)[0], over_tokens(advantage, new), k * o.clip_low, k * o.clip_high)


@register(
    "objective",
    paper="baselines",
    equation="w = c·A·ρ, and 0 where (A > 0 and ρ > 1 + hi) or (A < 0 and ρ < 1 − lo)",
    loss=_loss,
    clipped=_clipped,
)
def ppo_clip(
    logp_new: Array,
    advantage: Array,
    *,
    logp: Array,
    mask: Array | None = None,
    clip_scale: Array | None = None,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    dual_clip: float | None = None,
    delta: float | None = None,
    aggregation: str = "token-mean",
    max_length: int | None = None,
    floor: float = 0.0,
) -> Array:
    """PPO's clipped surrogate, loss max(-A rho, -A clip(rho, 1-lo, 1+hi)) per token.

    Args:
        logp_new: Log-probabilities under the updated policy [..., P, G, T].
        advantage: [..., P, G] or [..., P, G, T].
        logp: Log-probabilities under the sampling policy [..., P, G, T].
        mask: Valid tokens [..., P, G, T]; None for all.
        clip_scale: Factor on both clip ranges per token [..., P, G, T].
        clip_low: lo.
        clip_high: hi; DAPO's clip-higher is 0.28 beside clip_low 0.2.
        dual_clip: For A < 0 the loss is at most -A dual_clip, so the weight is also 0 for rho > dual_clip (verl: 3).
        delta: TRL's two-sided clip: rho in the unclipped term is capped at delta.
        aggregation: How tokens are averaged, see `tokens.AGGREGATIONS`.
        max_length: L_max of "seq-mean-token-sum-norm".
        floor: Added to the length in "seq-mean-token-mean".

    Returns:
        Weights on grad log pi [..., P, G, T] = -d loss / d logp_new.

    Source: verl 0.9.1 and TRL 1.16; golden files baselines.json, ngrpo.json.
    """
    c = scale(mask, logp_new, aggregation, max_length, floor)
    a = over_tokens(advantage, logp_new)
    if on_policy(logp_new, logp) and (delta is None or delta > 1):
        return spread(c * a, logp_new)
    k = 1.0 if clip_scale is None else clip_scale
    rho, slope = ratio(logp_new, logp)
    if delta is None:
        zero = _outside(rho, a, k * clip_low, k * clip_high)
    else:  # the larger of two losses counts: the capped one, which is flat above delta, or the clipped one
        limited = np.clip(rho, 1 - k * clip_low, 1 + k * clip_high)
        zero = np.where(a * np.minimum(rho, delta) <= a * limited, rho > delta, rho != limited)
    if dual_clip is not None:
        zero |= (a < 0) & (rho > dual_clip)
    return c * np.where(zero, 0.0, a * slope)


def _cispo_loss(new: Array, advantage: Array, o: SimpleNamespace) -> Array:
    constant = np.clip(ratio(new, o.logp)[0], 1 - o.clip_low, 1 + o.clip_high)
    return aggregate(-constant * over_tokens(advantage, new) * new, factor(o, new), new)


def _cispo_clipped(new: Array, advantage: Array, o: SimpleNamespace) -> Array:
    rho = ratio(new, o.logp)[0]
    return (rho > 1 + o.clip_high) | (rho < 1 - o.clip_low)


@register(
    "objective",
    paper="baselines",
    equation="w = c·A·clip(ρ, 1 − lo, 1 + hi)",
    loss=_cispo_loss,
    clipped=_cispo_clipped,
)
def cispo(
    logp_new: Array,
    advantage: Array,
    *,
    logp: Array,
    mask: Array | None = None,
    clip_low: float = 0.2,
    clip_high: float = 0.28,
    aggregation: str = "token-mean",
    max_length: int | None = None,
    floor: float = 0.0,
) -> Array:
    """CISPO: the clipped ratio is a constant factor, so no token's weight is ever 0.

    Args:
        logp_new: Log-probabilities under the updated policy [..., P, G, T].
        advantage: [..., P, G] or [..., P, G, T].
        logp: Log-probabilities under the sampling policy [..., P, G, T].
        mask: Valid tokens [..., P, G, T]; None for all.
        clip_low: lo; 1 leaves the ratio unbounded below.
        clip_high: hi; TRL's absolute cap 5.0 is clip_low=1, clip_high=4.
        aggregation: See `ppo_clip`.
        max_length: See `ppo_clip`.
        floor: See `ppo_clip`.

    Returns:
        Weights [..., P, G, T].

    Source: arXiv 2506.13585; golden file baselines.json.
    """
    c = scale(mask, logp_new, aggregation, max_length, floor)
    a = over_tokens(advantage, logp_new)
    return c * a * np.clip(ratio(logp_new, logp)[0], 1 - clip_low, 1 + clip_high)


def _gpg_loss(new: Array, advantage: Array, o: SimpleNamespace) -> Array:
    return aggregate(-over_tokens(advantage, new) * new, factor(o, new), new)


@register("objective", paper="baselines", equation="w = c·A", loss=_gpg_loss)
def gpg(
    logp_new: Array,
    advantage: Array,
    *,
    mask: Array | None = None,
    aggregation: str = "token-mean",
    max_length: int | None = None,
    floor: float = 0.0,
) -> Array:
    """GPG's plain policy gradient: loss -A logp_new, no ratio, no clip. Arguments as in `ppo_clip` [..., P, G, T].

    Source: arXiv 2504.02546; golden file baselines.json.
    """
    c = scale(mask, logp_new, aggregation, max_length, floor)
    return spread(c * over_tokens(advantage, logp_new), logp_new)


def _gate(rho: Array, a: Array, tau_pos: float, tau_neg: float) -> tuple[Array, Array]:
    tau = np.where(a > 0, tau_pos, tau_neg)
    return 1 / (1 + np.exp(-tau * (rho - 1))), tau


def _sapo_loss(new: Array, advantage: Array, o: SimpleNamespace) -> Array:
    a = over_tokens(advantage, new)
    gate, tau = _gate(ratio(new, o.logp)[0], a, o.tau_pos, o.tau_neg)
    return aggregate(-a * gate * 4 / tau, factor(o, new), new)


@register(
    "objective",
    paper="baselines",
    equation="w = 4·c·A·ρ·σ(1 − σ),  σ = σ(τ(ρ − 1))",
    loss=_sapo_loss,
)
def sapo(
    logp_new: Array,
    advantage: Array,
    *,
    logp: Array,
    mask: Array | None = None,
    tau_pos: float = 1.0,
    tau_neg: float = 1.05,
    aggregation: str = "seq-mean-token-mean",
    max_length: int | None = None,
    floor: float = 0.0,
) -> Array:
    """SAPO: a soft gate in place of the clip, loss -A sigma(tau(rho - 1)) 4/tau.

    Args:
        logp_new: Log-probabilities under the updated policy [..., P, G, T].
        advantage: [..., P, G] or [..., P, G, T].
        logp: Log-probabilities under the sampling policy [..., P, G, T].
        mask: Valid tokens [..., P, G, T]; None for all.
        tau_pos: Temperature where A > 0.
        tau_neg: Temperature elsewhere.
        aggregation: See `ppo_clip`.
        max_length: See `ppo_clip`.
        floor: See `ppo_clip`.

    Returns:
        Weights [..., P, G, T].

    Source: TRL 1.16; golden file baselines.json.
    """
    c = scale(mask, logp_new, aggregation, max_length, floor)
    a = over_tokens(advantage, logp_new)
    rho, slope = ratio(logp_new, logp)
    gate, _ = _gate(rho, a, tau_pos, tau_neg)
    return c * a * 4 * slope * gate * (1 - gate)


preset("objective", "ppo_clip@verl", "ppo_clip", "verl 0.9: dual clip 3, token-mean", dual_clip=3.0)
preset(
    "objective",
    "ppo_clip@trl",
    "ppo_clip",
    "TRL 1.16 loss_type='dapo' (default)",
    aggregation="token-mean",
)
preset("objective", "ppo_clip@grpo", "ppo_clip", "GRPO's paper: mean over each response, then over responses",
       aggregation="seq-mean-token-mean")  # fmt: skip
preset("objective", "ppo_clip@dr-grpo", "ppo_clip", "Dr. GRPO: sum over tokens over a fixed length",
       aggregation="seq-mean-token-sum-norm")  # fmt: skip
preset("objective", "ppo_clip@dapo", "ppo_clip", "DAPO: clip-higher, token-mean", clip_high=0.28)
preset(
    "objective",
    "ppo_clip@ngrpo",
    "ppo_clip",
    "NGRPO: tighter below, wider above",
    clip_low=0.16,
    clip_high=0.24,
)
preset(
    "objective",
    "cispo@trl",
    "cispo",
    "TRL 1.16: absolute cap 5.0, nothing below",
    clip_low=1.0,
    clip_high=4.0,
)
