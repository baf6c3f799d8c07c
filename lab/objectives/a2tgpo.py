"""A²TGPO's objective: one ratio per turn, and a clip range of its own for each turn."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from lab.objectives.ppo import _outside, _surrogate
from lab.objectives.tokens import Array, aggregate, factor, over_tokens, scale
from lab.registry import register

_LIMIT = 10.0


def _turn_ratio(logp_new: Array, logp: Array, turn: Array | None, mask: Array | None) -> tuple[Array, Array]:
    """s = exp(mean of log ρ over the valid tokens of the turn), at most e^10, and its slope [..., P, G, T]."""
    d = logp_new - logp
    mean = d if turn is None else np.zeros_like(d)
    if turn is not None:
        valid = np.ones(d.shape, dtype=bool) if mask is None else np.asarray(mask, dtype=bool)
        for k in np.unique(np.broadcast_to(turn, d.shape)[valid]):
            own = valid & (turn == k)
            number = np.maximum(own.sum(axis=-1, keepdims=True), 1)
            mean = np.where(own, np.where(own, d, 0.0).sum(axis=-1, keepdims=True) / number, mean)
    s = np.exp(np.minimum(mean, _LIMIT))
    return s, np.where(mean > _LIMIT, 0.0, s)


def _ranges(o: SimpleNamespace) -> tuple[Array | float, Array | float]:
    k = 1.0 if o.clip_scale is None else o.clip_scale
    return k * o.clip_low, k * o.clip_high


def _loss(new: Array, advantage: Array, o: SimpleNamespace) -> Array:
    s, a = _turn_ratio(new, o.logp, o.turn, o.mask)[0], over_tokens(advantage, new)
    return aggregate(_surrogate(s, a, *_ranges(o), None, None), factor(o, new), new)


def _clipped(new: Array, advantage: Array, o: SimpleNamespace) -> Array:
    s = _turn_ratio(new, o.logp, o.turn, o.mask)[0]
    return _outside(s, over_tokens(advantage, new), *_ranges(o))


@register(
    "objective",
    paper="a2tgpo",
    equation="w = c·A·s unless s leaves [1 − k·lo, 1 + k·hi],  s = exp(mean over the turn of log ρ)",
    loss=_loss,
    clipped=_clipped,
)
def a2tgpo(
    logp_new: Array,
    advantage: Array,
    *,
    logp: Array,
    mask: Array | None = None,
    turn: Array | None = None,
    clip_scale: Array | None = None,
    clip_low: float = 3e-3,
    clip_high: float = 4e-3,
    aggregation: str = "seq-mean-token-mean",
    max_length: int | None = None,
    floor: float = 0.0,
) -> Array:
    """GSPO's surrogate with the geometric mean of each turn's ratios, clipped to the turn's own range.

    As in GSPO's token form, the gradient of s with respect to each token's log-probability is s itself, not s over the
    turn's length. The clip scale carries no gradient.

    Args:
        logp_new: Log-probabilities under the updated policy [..., P, G, T].
        advantage: [..., P, G] or [..., P, G, T].
        logp: Log-probabilities under the sampling policy [..., P, G, T].
        mask: Valid tokens [..., P, G, T]; None for all.
        turn: Turn of each token [..., P, G, T]; None: every token is a turn.
        clip_scale: k, the factor on both clip ranges [..., P, G, T], as the advantage rule gives it; None: 1.
        clip_low: lo.
        clip_high: hi.
        aggregation: See `ppo_clip`.
        max_length: See `ppo_clip`.
        floor: See `ppo_clip`.

    Returns:
        Weights [..., P, G, T].

    Source: arXiv 2605.06200, eq. 10-12; golden file a2tgpo.json. The released code finds the borders of turns where the
    advantage changes, so neighbouring turns of equal advantage share a ratio there.
    """
    c = scale(mask, logp_new, aggregation, max_length, floor)
    a = over_tokens(advantage, logp_new)
    s, slope = _turn_ratio(logp_new, logp, turn, mask)
    k = 1.0 if clip_scale is None else clip_scale
    return c * np.where(_outside(s, a, k * clip_low, k * clip_high), 0.0, a * slope)
