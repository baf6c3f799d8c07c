"""Clipped surrogates with a ratio per token: PPO-clip (dual and two-sided), CISPO, SAPO, and GPG without a ratio."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lab.composites import method
from lab.objectives.formula import Formula, Terms, formula
from lab.objectives.tokens import Array, spread
from lab.registry import preset

__all__ = ["cispo", "clip", "gpg", "ppo_clip", "sapo"]


def clip(
    t: Terms, ratio: Callable[[], tuple[Array, Array]], low: Array | float, high: Array | float,
    dual_clip: float | None = None, delta: float | None = None,
) -> Formula:  # fmt: skip
    """PPO's clip with whatever ratio, token by token: the larger of -A min(rho, delta) and -A times rho kept in range.

    Args:
        t: Terms of the batch.
        ratio: () -> rho and its slope in each token's log-probability, both [..., P, G, T] or [..., P, G, 1].
        low: lo.
        high: hi.
        dual_clip: See `ppo_clip`.
        delta: See `ppo_clip`.
    """
    a = t.a

    def outside(rho: Array) -> Array:
        return ((a > 0) & (rho > 1 + high)) | ((a < 0) & (rho < 1 - low))

    def weights() -> Array:
        rho, slope = ratio()
        if delta is None:
            zero = outside(rho)
        else:  # the larger of two losses counts: the capped one, which is flat above delta, or the clipped one
            limited = np.clip(rho, 1 - low, 1 + high)
            zero = np.where(a * np.minimum(rho, delta) <= a * limited, rho > delta, rho != limited)
        if dual_clip is not None:
            zero |= (a < 0) & (rho > dual_clip)
        return spread(t.c * np.where(zero, 0.0, a * slope), t.new)

    def loss() -> Array:
        rho = ratio()[0]
        each = np.maximum(-a * (rho if delta is None else np.minimum(rho, delta)), -a * np.clip(rho, 1 - low, 1 + high))
        return t.total(each if dual_clip is None else np.where(a < 0, np.minimum(each, -a * dual_clip), each))

    return Formula(weights, loss, lambda: outside(ratio()[0]))


@formula(
    paper="baselines",
    equation="w = c·A·ρ, and 0 where (A > 0 and ρ > 1 + hi) or (A < 0 and ρ < 1 − lo)",
    aggregation="token-mean",
    clips=True,
)
def ppo_clip(
    t: Terms,
    *,
    clip_scale: Array | None = None,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    dual_clip: float | None = None,
    delta: float | None = None,
) -> Formula:
    """PPO's clipped surrogate, loss max(-A rho, -A clip(rho, 1-lo, 1+hi)) per token.

    Args:
        t: Terms of the batch.
        clip_scale: Factor on both clip ranges per token [..., P, G, T].
        clip_low: lo.
        clip_high: hi; DAPO's clip-higher is 0.28 beside clip_low 0.2.
        dual_clip: For A < 0 the loss is at most -A dual_clip, so the weight is also 0 for rho > dual_clip (verl: 3).
        delta: TRL's two-sided clip: rho in the unclipped term is capped at delta.

    Returns:
        Weights on grad log pi [..., P, G, T] = -d loss / d logp_new.

    Source: verl 0.9.1 and TRL 1.16; golden files baselines.json, ngrpo.json.
    """
    return clip_of_tokens(t, clip_scale, clip_low, clip_high, dual_clip, delta)


def clip_of_tokens(
    t: Terms, clip_scale: Array | None, clip_low: float, clip_high: float, dual_clip: float | None, delta: float | None
) -> Formula:
    """`clip` with each token's own ratio; arguments as in `ppo_clip` [..., P, G, T]."""
    k = 1.0 if clip_scale is None else clip_scale
    made = clip(t, t.ratio, k * clip_low, k * clip_high, dual_clip, delta)
    untouched = t.on_policy and (delta is None or delta > 1)
    return made._replace(weights=lambda: spread(t.c * t.a, t.new)) if untouched else made


@formula(paper="baselines", equation="w = c·A·clip(ρ, 1 − lo, 1 + hi)", aggregation="token-mean", clips=True)
def cispo(t: Terms, *, clip_low: float = 0.2, clip_high: float = 0.28) -> Formula:
    """CISPO: the clipped ratio is a constant factor, so no token's weight is ever 0.

    Args:
        t: Terms of the batch.
        clip_low: lo; 1 leaves the ratio unbounded below.
        clip_high: hi; TRL's absolute cap 5.0 is clip_low=1, clip_high=4.

    Returns:
        Weights [..., P, G, T].

    Source: arXiv 2506.13585; golden file baselines.json.
    """
    rho = t.ratio()[0]
    constant = np.clip(rho, 1 - clip_low, 1 + clip_high)
    return Formula(
        lambda: t.c * t.a * constant,
        lambda: t.total(-constant * t.a * t.new),
        lambda: (rho > 1 + clip_high) | (rho < 1 - clip_low),
    )


@formula(paper="baselines", equation="w = c·A", aggregation="token-mean", reads=("mask",))
def gpg(t: Terms) -> Formula:
    """GPG's plain policy gradient: loss -A logp_new, no ratio, no clip.

    Args:
        t: Terms of the batch.

    Returns:
        Weights [..., P, G, T].

    Source: arXiv 2504.02546; golden file baselines.json.
    """
    return Formula(lambda: spread(t.c * t.a, t.new), lambda: t.total(-t.a * t.new))


@formula(paper="baselines", equation="w = 4·c·A·ρ·σ(1 − σ),  σ = σ(τ(ρ − 1))", aggregation="seq-mean-token-mean")
def sapo(t: Terms, *, tau_pos: float = 1.0, tau_neg: float = 1.05) -> Formula:
    """SAPO: a soft gate in place of the clip, loss -A sigma(tau(rho - 1)) 4/tau.

    Args:
        t: Terms of the batch.
        tau_pos: Temperature where A > 0.
        tau_neg: Temperature elsewhere.

    Returns:
        Weights [..., P, G, T].

    Source: TRL 1.16; golden file baselines.json.
    """
    (rho, slope), tau = t.ratio(), np.where(t.a > 0, tau_pos, tau_neg)
    gate = 1 / (1 + np.exp(-tau * (rho - 1)))
    return Formula(lambda: t.c * t.a * 4 * slope * gate * (1 - gate), lambda: t.total(-t.a * gate * 4 / tau))


preset("objective", "ppo_clip@verl", "ppo_clip", "verl 0.9: dual clip 3, token-mean", dual_clip=3.0)
preset("objective", "ppo_clip@trl", "ppo_clip", "TRL 1.16 loss_type='dapo' (default)", aggregation="token-mean")
preset("objective", "ppo_clip@grpo", "ppo_clip", "GRPO's paper: mean over each response, then over responses",
       aggregation="seq-mean-token-mean")  # fmt: skip
preset("objective", "ppo_clip@dr-grpo", "ppo_clip", "Dr. GRPO: sum over tokens over a fixed length",
       aggregation="seq-mean-token-sum-norm")  # fmt: skip
preset("objective", "ppo_clip@dapo", "ppo_clip", "DAPO: clip-higher, token-mean", clip_high=0.28)
preset("objective", "ppo_clip@ngrpo", "ppo_clip", "NGRPO: tighter below, wider above", clip_low=0.16, clip_high=0.24)
preset("objective", "cispo@trl", "cispo", "TRL 1.16: absolute cap 5.0, nothing below", clip_low=1.0, clip_high=4.0)

method("dapo", objective="ppo_clip@dapo", filter="uniform", refill=3,
       note="clip-higher, token-mean, prompts without a learning signal sampled again")  # fmt: skip
method("cispo", objective="cispo", note="clipped ratio as a constant factor")
method("sapo", objective="sapo", note="a soft gate in place of the clip")
method("gpg", advantage="gpg", objective="gpg", note="plain policy gradient, no ratio")
method("dr_grpo", advantage="dr_grpo", objective="ppo_clip@dr-grpo", note="no deviation, no length in the denominator")
method("grpo-kl", objective="ppo_clip@grpo", kl="k3", kl_beta=0.04, note="GRPO as published: k3 with beta 0.04")
