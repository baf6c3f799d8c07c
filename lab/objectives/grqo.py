"""GRQO and its neighbours: objectives whose weights act on the gradient of a world's scores in place of log π.

The scores come by name, and so do the weights on their gradients.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lab.composites import method
from lab.objectives.formula import Formula, Terms, formula
from lab.objectives.tokens import Array
from lab.rewards.grqo import EPS, kept, muted_share, slopes

Scores = Mapping[str, Array]


def _even(score: Array) -> Array:
    """1/(P·Q) for every query [..., P, Q, 1]."""
    return np.full(score.shape, 1.0 / (score.shape[-3] * score.shape[-2]))


def _ascended(score: Array) -> Array:
    """Minus the mean over scenes and queries, one number per run."""
    return np.asarray(-score[..., 0].mean(axis=(-2, -1)))


def _contrast(t: Terms, reward: Array, alpha: float, muted: float, eps: float) -> Formula:
    """α times the mean over scenes and queries of A, 0 for muted queries, as a function of the reward: ascended."""
    r, mean = reward[..., 0], 1.0 / (reward.shape[-3] * reward.shape[-2])
    teaches = (t.per_rollout != 0).any(axis=-1, keepdims=True)
    c = kept(r.shape[-1], muted_share(r.shape[-1], muted)) * np.ones(r.shape)

    def loss() -> Array:
        away = r - r.mean(axis=-1, keepdims=True)
        std = np.sqrt((away**2).sum(axis=-1, keepdims=True) / max(r.shape[-1] - 1, 1))
        return -alpha * np.asarray((c * teaches * away / (std + eps)).mean(axis=(-2, -1)))

    return Formula(lambda: np.where(teaches, alpha * mean * slopes(r, c, eps), 0.0)[..., None], loss)


@formula(
    paper="grqo",
    equation="w = α/(P·Q)·((c − mean c)/(s + ε) − d Σ c d/((Q − 1) s (s + ε)²)) on ∇r,  c = 0 for the last third",
    reads=(),
    scores=("reward",),
    coupled=True,
)
def grqo(t: Terms, *, scores: Scores, alpha: float = 0.01, muted: float = 1 / 3, eps: float = EPS) -> Formula:
    """GRQO: the advantage α A itself is ascended, through the reward, its mean and its deviation.

    The scores are the differentiable rewards r of the queries [..., P, Q, 1]. Of the advantages only is read whether a
    scene has any: one whose rewards are all equal teaches nothing.

    Args:
        t: Terms of the batch.
        scores: The scores by name [..., P, Q, 1].
        alpha: α.
        muted: Share of the queries, the last ones, that are muted; as in the advantage rule.
        eps: ε.

    Returns:
        Weights on the gradient of each reward [..., P, Q, 1]; they sum to 0 over a scene, and are 0 where all its
        rewards are equal (autograd would give about 1/ε there).

    Source: DINO-R1, arXiv 2505.24025; golden file grqo.json through `lab.rewards.grqo`. Its penalty is the variant's k3
    on the objectness.
    """
    made = _contrast(t, scores["reward"], alpha, muted, eps)
    return Formula(lambda: {"reward": made.weights()}, made.loss)


@formula(paper="grqo", equation="w = 1/(P·Q) on ∇match", reads=(), scores=("match",))
def matched(t: Terms, *, scores: Scores) -> Formula:
    """Supervision alone: every query matched with an object is drawn to it, the others are not.

    The scores are minus the matched queries' errors, scaled so that their mean over queries is that over objects
    [..., P, Q, 1]. Advantages are not read.

    Args:
        t: Terms of the batch.
        scores: The scores by name [..., P, Q, 1].

    Returns:
        Weights on the gradient of each score [..., P, Q, 1].

    Source: DINO-R1, arXiv 2505.24025, the supervised baseline with Hungarian matching.
    """
    match = scores["match"]
    return Formula(lambda: {"match": _even(match)}, lambda: _ascended(match))


@formula(
    "dino-r1",
    paper="grqo",
    equation="w = 1/(P·Q) on ∇match, GRQO's on ∇r",
    reads=(),
    scores=("match", "reward"),
    coupled=True,
)
def dino_r1(t: Terms, *, scores: Scores, alpha: float = 0.01, muted: float = 1 / 3, eps: float = EPS) -> Formula:
    """DINO-R1: supervision and GRQO added, as published; the scores are those of `matched` and of `grqo`.

    Args:
        t: Terms of the batch.
        scores: The scores by name [..., P, Q, 1].
        alpha: α.
        muted: As in `grqo`.
        eps: ε.

    Returns:
        Weights on the gradient of each score [..., P, Q, 2].

    Source: DINO-R1, arXiv 2505.24025.
    """
    match, made = scores["match"], _contrast(t, scores["reward"], alpha, muted, eps)
    return Formula(
        lambda: {"match": _even(match), "reward": made.weights()},
        lambda: _ascended(match) + made.loss(),
    )


@formula(
    "matched-dense", paper="grqo", equation="w = 1/(P·Q) on ∇match, λ/(P·Q) on ∇r", reads=(), scores=("match", "reward")
)
def matched_dense(t: Terms, *, scores: Scores, share: float = 1.0) -> Formula:
    """Supervision and the plain reward: every query is also drawn to its nearest object, nothing is standardised.

    The scores are those of `matched` and of `grqo`. Advantages are not read.

    Args:
        t: Terms of the batch.
        scores: The scores by name [..., P, Q, 1].
        share: λ.

    Returns:
        Weights on the gradient of each score [..., P, Q, 2].

    Source: the comparison that GRQO's dense reward calls for; no paper.
    """
    match, reward = scores["match"], scores["reward"]
    return Formula(
        lambda: {"match": _even(match), "reward": share * _even(reward)},
        lambda: _ascended(match) + share * _ascended(reward),
    )


method("grqo", advantage="grqo", objective="grqo", kl="k3", kl_beta=0.04, paper="grqo",
       note="the advantage differentiated through the queries' rewards, the last third muted")  # fmt: skip
method("grqo@log-prob", advantage="grqo", paper="grqo", note="the muted advantage on log-probabilities")
method("dino-r1", advantage="grqo", objective="dino-r1", kl="k3", kl_beta=0.04, paper="grqo",
       note="supervision of the matched queries and GRQO on all of them")  # fmt: skip
method("matched", advantage="grqo", objective="matched", paper="grqo", note="supervision of the matched queries alone")
method("matched-dense", advantage="grqo", objective="matched-dense", paper="grqo",
       note="supervision, and every query drawn to its nearest object")  # fmt: skip
