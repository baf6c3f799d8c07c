"""GRQO and its neighbours: objectives whose weights act on the gradient of a world's scores in place of log π.

The scores stand where other objectives have log-probabilities, one each on the T axis, in the order of `scores`.
"""

from __future__ import annotations

import numpy as np

from lab.composites import method
from lab.errors import InputError
from lab.objectives.formula import Formula, Terms, formula
from lab.objectives.tokens import Array
from lab.rewards.grqo import EPS, kept, muted_share, slopes

_MATCHED, _BOTH, _REWARD = ("match",), ("match", "reward"), ("reward",)


def _mean(t: Terms, scores: tuple[str, ...]) -> float:
    """1/(P·Q), once the last axis is seen to hold the scores."""
    if t.new.shape[-1] != len(scores):
        raise InputError(f"the last axis must hold the scores {', '.join(scores)}; logp_new has shape {t.new.shape}")
    return 1.0 / (t.new.shape[-3] * t.new.shape[-2])


def _contrast(t: Terms, muted: float, eps: float) -> Formula:
    """The mean over scenes and queries of A, 0 for muted queries, as a function of the last score: ascended."""
    r, mean = t.new[..., -1], 1.0 / (t.new.shape[-3] * t.new.shape[-2])
    teaches = (t.per_rollout != 0).any(axis=-1, keepdims=True)
    c = kept(r.shape[-1], muted_share(r.shape[-1], muted)) * np.ones(r.shape)

    def loss() -> Array:
        away = r - r.mean(axis=-1, keepdims=True)
        std = np.sqrt((away**2).sum(axis=-1, keepdims=True) / max(r.shape[-1] - 1, 1))
        return -np.asarray((c * teaches * away / (std + eps)).mean(axis=(-2, -1)))

    return Formula(lambda: np.where(teaches, mean * slopes(r, c, eps), 0.0), loss)


@formula(
    paper="grqo",
    equation="w = α/(P·Q)·((c − mean c)/(s + ε) − d Σ c d/((Q − 1) s (s + ε)²)) on ∇r,  c = 0 for the last third",
    reads=(),
    scores=_REWARD,
    coupled=True,
)
def grqo(t: Terms, *, alpha: float = 0.01, muted: float = 1 / 3, eps: float = EPS) -> Formula:
    """GRQO: the advantage α A itself is ascended, through the reward, its mean and its deviation.

    The scores are the differentiable rewards r of the queries [..., P, Q, 1]. Of the advantages only is read whether a
    scene has any: one whose rewards are all equal teaches nothing.

    Args:
        t: Terms of the batch.
        alpha: α.
        muted: Share of the queries, the last ones, that are muted; as in the advantage rule.
        eps: ε.

    Returns:
        Weights on the gradient of each reward [..., P, Q, 1]; they sum to 0 over a scene, and are 0 where all its
        rewards are equal (autograd would give about 1/ε there).

    Source: DINO-R1, arXiv 2505.24025; golden file grqo.json through `lab.rewards.grqo`. Its penalty is the variant's k3
    on the objectness.
    """
    _mean(t, _REWARD)
    made = _contrast(t, muted, eps)
    return Formula(lambda: alpha * made.weights()[..., None], lambda: alpha * made.loss())


@formula(paper="grqo", equation="w = 1/(P·Q) on ∇match", reads=(), scores=_MATCHED)
def matched(t: Terms) -> Formula:
    """Supervision alone: every query matched with an object is drawn to it, the others are not.

    The scores are minus the matched queries' errors, scaled so that their mean over queries is that over objects
    [..., P, Q, 1]. Advantages are not read.

    Args:
        t: Terms of the batch.

    Returns:
        Weights on the gradient of each score [..., P, Q, 1].

    Source: DINO-R1, arXiv 2505.24025, the supervised baseline with Hungarian matching.
    """
    mean = _mean(t, _MATCHED)
    return Formula(lambda: np.full(t.new.shape, mean), lambda: np.asarray(-t.new[..., 0].mean(axis=(-2, -1))))


@formula("dino-r1", paper="grqo", equation="w = 1/(P·Q) on ∇match, GRQO's on ∇r", reads=(), scores=_BOTH, coupled=True)
def dino_r1(t: Terms, *, alpha: float = 0.01, muted: float = 1 / 3, eps: float = EPS) -> Formula:
    """DINO-R1: supervision and GRQO added, as published; the scores are those of `matched` and of `grqo`.

    Args:
        t: Terms of the batch.
        alpha: α.
        muted: As in `grqo`.
        eps: ε.

    Returns:
        Weights on the gradient of each score [..., P, Q, 2].

    Source: DINO-R1, arXiv 2505.24025.
    """
    mean, made = _mean(t, _BOTH), _contrast(t, muted, eps)

    def weights() -> Array:
        push = alpha * made.weights()
        return np.stack([np.full(push.shape, mean), push], axis=-1)

    return Formula(weights, lambda: -t.new[..., 0].mean(axis=(-2, -1)) + alpha * made.loss())


@formula("matched-dense", paper="grqo", equation="w = 1/(P·Q) on ∇match, λ/(P·Q) on ∇r", reads=(), scores=_BOTH)
def matched_dense(t: Terms, *, share: float = 1.0) -> Formula:
    """Supervision and the plain reward: every query is also drawn to its nearest object, nothing is standardised.

    The scores are those of `matched` and of `grqo`. Advantages are not read.

    Args:
        t: Terms of the batch.
        share: λ.

    Returns:
        Weights on the gradient of each score [..., P, Q, 2].

    Source: the comparison that GRQO's dense reward calls for; no paper.
    """
    mean = _mean(t, _BOTH)
    return Formula(
        lambda: np.array([1.0, share]) * np.full(t.new.shape, mean),
        lambda: np.asarray(-(t.new[..., 0] + share * t.new[..., 1]).mean(axis=(-2, -1))),
    )


method("grqo", advantage="grqo", objective="grqo", kl="k3", kl_beta=0.04, paper="grqo",
       note="the advantage differentiated through the queries' rewards, the last third muted")  # fmt: skip
method("grqo@log-prob", advantage="grqo", paper="grqo", note="the muted advantage on log-probabilities")
method("dino-r1", advantage="grqo", objective="dino-r1", kl="k3", kl_beta=0.04, paper="grqo",
       note="supervision of the matched queries and GRQO on all of them")  # fmt: skip
method("matched", advantage="grqo", objective="matched", paper="grqo", note="supervision of the matched queries alone")
method("matched-dense", advantage="grqo", objective="matched-dense", paper="grqo",
       note="supervision, and every query drawn to its nearest object")  # fmt: skip
