"""GRQO and its neighbours: objectives whose weights act on the gradient of a world's scores in place of log π.

The scores stand where other objectives have log-probabilities, one each on the T axis, in the order of `scores`.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from lab.composites import method
from lab.errors import InputError
from lab.objectives.tokens import Array
from lab.registry import register
from lab.rewards.grqo import EPS, slopes

_MATCHED, _BOTH, _REWARD = ("match",), ("match", "reward"), ("reward",)


def _check(new: Array, scores: tuple[str, ...]) -> None:
    if new.shape[-1] != len(scores):
        raise InputError(f"the last axis must hold the scores {', '.join(scores)}; logp_new has shape {new.shape}")


def _kept(new: Array, advantage: Array) -> Array:
    """1 for the queries that have an advantage, 0 for muted ones and for scenes without a signal [..., P, Q]."""
    return 1.0 * ((advantage if advantage.ndim == new.ndim - 1 else advantage[..., 0]) != 0)


def _mean(new: Array) -> float:
    """1/(P·Q)."""
    return 1.0 / (new.shape[-3] * new.shape[-2])


def _contrast(new: Array, advantage: Array, eps: float) -> Array:
    """Mean over the scenes and queries of the standardised reward of kept queries, one number per run."""
    r = new[..., -1]
    away = r - r.mean(axis=-1, keepdims=True)
    std = np.sqrt((away**2).sum(axis=-1, keepdims=True) / max(r.shape[-1] - 1, 1))
    return np.asarray((_kept(new, advantage) * away / (std + eps)).mean(axis=(-2, -1)))


def _push(new: Array, advantage: Array, alpha: float, eps: float) -> Array:
    """Slope of α times the contrast [..., P, Q]."""
    kept = _kept(new, advantage)
    some = kept.any(axis=-1, keepdims=True)
    return np.where(some, alpha * _mean(new) * slopes(new[..., -1], kept, eps), 0.0)


def _grqo_loss(new: Array, advantage: Array, o: SimpleNamespace) -> Array:
    return -o.alpha * _contrast(new, advantage, o.eps)


@register(
    "objective",
    paper="grqo",
    equation="w = α/(P·Q)·((c − mean c)/(s + ε) − d Σ c d/((Q − 1) s (s + ε)²)) on ∇r,  c = 1 where A ≠ 0",
    loss=_grqo_loss,
    scores=_REWARD,
    coupled=True,
)
def grqo(logp_new: Array, advantage: Array, *, alpha: float = 0.01, eps: float = EPS) -> Array:
    """GRQO: the advantage α A itself is ascended, through the reward, its mean and its deviation.

    Args:
        logp_new: Differentiable rewards r of the queries [..., P, Q, 1].
        advantage: Standardised rewards, 0 for muted queries [..., P, Q]; only which are 0 is read.
        alpha: α.
        eps: ε.

    Returns:
        Weights on the gradient of each reward [..., P, Q, 1]; they sum to 0 over a scene, and are 0 where all its
        rewards are equal (autograd would give about 1/ε there).

    Source: DINO-R1, arXiv 2505.24025; golden file grqo.json through `lab.rewards.grqo`. Its penalty is the variant's k3
    on the objectness.
    """
    _check(logp_new, _REWARD)
    return _push(logp_new, advantage, alpha, eps)[..., None]


def _matched_loss(new: Array, advantage: Array, o: SimpleNamespace) -> Array:
    return np.asarray(-new[..., 0].mean(axis=(-2, -1)))


@register("objective", paper="grqo", equation="w = 1/(P·Q) on ∇match", loss=_matched_loss, scores=_MATCHED)
def matched(logp_new: Array, advantage: Array) -> Array:
    """Supervision alone: every query matched with an object is drawn to it, the others are not.

    Args:
        logp_new: Minus the matched queries' errors, scaled so that their mean over queries is that over objects
            [..., P, Q, 1].
        advantage: Not read [..., P, Q].

    Returns:
        Weights on the gradient of each score [..., P, Q, 1].

    Source: DINO-R1, arXiv 2505.24025, the supervised baseline with Hungarian matching.
    """
    _check(logp_new, _MATCHED)
    return np.full(logp_new.shape, _mean(logp_new))


def _dino_loss(new: Array, advantage: Array, o: SimpleNamespace) -> Array:
    return _matched_loss(new, advantage, o) + _grqo_loss(new, advantage, o)


@register(
    "objective", "dino-r1", paper="grqo", equation="w = 1/(P·Q) on ∇match, GRQO's on ∇r", loss=_dino_loss, scores=_BOTH,
    coupled=True,
)  # fmt: skip
def dino_r1(logp_new: Array, advantage: Array, *, alpha: float = 0.01, eps: float = EPS) -> Array:
    """DINO-R1: supervision and GRQO added, as published.

    Args:
        logp_new: The scores of `matched` and of `grqo` [..., P, Q, 2].
        advantage: As in `grqo` [..., P, Q].
        alpha: α.
        eps: ε.

    Returns:
        Weights on the gradient of each score [..., P, Q, 2].

    Source: DINO-R1, arXiv 2505.24025.
    """
    _check(logp_new, _BOTH)
    push = _push(logp_new, advantage, alpha, eps)
    return np.stack([np.full(push.shape, _mean(logp_new)), push], axis=-1)


def _dense_loss(new: Array, advantage: Array, o: SimpleNamespace) -> Array:
    return np.asarray(_matched_loss(new, advantage, o) - o.share * new[..., 1].mean(axis=(-2, -1)))


@register(
    "objective", "matched-dense", paper="grqo", equation="w = 1/(P·Q) on ∇match, λ/(P·Q) on ∇r", loss=_dense_loss,
    scores=_BOTH,
)  # fmt: skip
def matched_dense(logp_new: Array, advantage: Array, *, share: float = 1.0) -> Array:
    """Supervision and the plain reward: every query is also drawn to its nearest object, nothing is standardised.

    Args:
        logp_new: The scores of `matched` and of `grqo` [..., P, Q, 2].
        advantage: Not read [..., P, Q].
        share: λ.

    Returns:
        Weights on the gradient of each score [..., P, Q, 2].

    Source: the comparison that GRQO's dense reward calls for; no paper.
    """
    _check(logp_new, _BOTH)
    return np.asarray(np.array([1.0, share]) * np.full(logp_new.shape, _mean(logp_new)))


method("grqo", advantage="grqo", objective="grqo", kl="k3", kl_beta=0.04, paper="grqo",
       note="the advantage differentiated through the queries' rewards, the last third muted")  # fmt: skip
method("grqo@log-prob", advantage="grqo", paper="grqo", note="the muted advantage on log-probabilities")
method("dino-r1", advantage="grqo", objective="dino-r1", kl="k3", kl_beta=0.04, paper="grqo",
       note="supervision of the matched queries and GRQO on all of them")  # fmt: skip
method("matched", advantage="grqo", objective="matched", paper="grqo", note="supervision of the matched queries alone")
method("matched-dense", advantage="grqo", objective="matched-dense", paper="grqo",
       note="supervision, and every query drawn to its nearest object")  # fmt: skip
