"""A²TGPO's objective: one ratio per turn, and a clip range of its own for each turn."""

from __future__ import annotations

import numpy as np

from lab.composites import method
from lab.objectives.formula import Formula, Terms, formula
from lab.objectives.ppo import clip
from lab.objectives.sequence import limited_exp
from lab.objectives.tokens import Array


def _turn_mean(d: Array, turn: Array | None, mask: Array | None) -> Array:
    """Mean of the log-ratios d over the valid tokens of each turn [..., P, G, T]."""
    if turn is None:
        return d
    mean, valid = np.zeros_like(d), np.ones(d.shape, dtype=bool) if mask is None else np.asarray(mask, dtype=bool)
    for k in np.unique(np.broadcast_to(turn, d.shape)[valid]):
        own = valid & (turn == k)
        number = np.maximum(own.sum(axis=-1, keepdims=True), 1)
        mean = np.where(own, np.where(own, d, 0.0).sum(axis=-1, keepdims=True) / number, mean)
    return mean


@formula(
    paper="a2tgpo",
    equation="w = c·A·s unless s leaves [1 − k·lo, 1 + k·hi],  s = exp(mean over the turn of log ρ)",
    aggregation="seq-mean-token-mean",
    clips=True,
)
def a2tgpo(
    t: Terms,
    *,
    turn: Array | None = None,
    clip_scale: Array | None = None,
    clip_low: float = 3e-3,
    clip_high: float = 4e-3,
) -> Formula:
    """GSPO's surrogate with the geometric mean of each turn's ratios, clipped to the turn's own range.

    As in GSPO's token form, the gradient of s with respect to each token's log-probability is s itself, not s over the
    turn's length. The clip scale carries no gradient.

    Args:
        t: Terms of the batch.
        turn: Turn of each token [..., P, G, T]; None: every token is a turn.
        clip_scale: k, the factor on both clip ranges [..., P, G, T], as the advantage rule gives it; None: 1.
        clip_low: lo.
        clip_high: hi.

    Returns:
        Weights [..., P, G, T].

    Source: arXiv 2605.06200, eq. 10-12; golden file a2tgpo.json. The released code finds the borders of turns where the
    advantage changes, so neighbouring turns of equal advantage share a ratio there.
    """
    k = 1.0 if clip_scale is None else clip_scale
    return clip(t, lambda: limited_exp(_turn_mean(t.new - t.logp, turn, t.mask)), k * clip_low, k * clip_high)


method("a2tgpo", advantage="a2tgpo", objective="a2tgpo", paper="a2tgpo",
       note="gains normalised per turn, summed without drift; a ratio and a clip range for each turn")  # fmt: skip
