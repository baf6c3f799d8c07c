"""GRQO: the queries of one image are the group, and rewards are differentiated through their standardisation."""

from __future__ import annotations

import numpy as np

from lab.advantages.statistics import Array
from lab.errors import InputError

__all__ = ["EPS", "advantages", "kept", "loss", "muted_share", "reward_weights", "score_weights", "slopes"]

EPS = 2e-9


def muted_share(queries: int, share: float) -> int:
    """How many of the queries a share of them is, rounded to whole ones (300 of 900 as published)."""
    return int(np.round(queries * share))


def kept(queries: int, muted: int) -> Array:
    """1 for the first queries, 0 for the last `muted` ones [Q].

    Raises:
        InputError: More are muted than there are.
    """
    if not 0 <= muted <= queries:
        raise InputError(f"grqo: muted={muted}; it must be from 0 to the {queries} queries")
    return (np.arange(queries) < queries - muted).astype(np.float64)


def _standard(rewards: Array, eps: float) -> tuple[Array, Array]:
    """Deviations from the mean and the sample deviation (ddof 1) over the queries [..., Q], [..., 1]."""
    if rewards.shape[-1] < 2:
        raise InputError(f"grqo: {rewards.shape[-1]} query per image; a deviation needs at least 2")
    away = rewards - rewards.mean(axis=-1, keepdims=True)
    return away, np.sqrt((away**2).sum(axis=-1, keepdims=True) / (rewards.shape[-1] - 1))


def advantages(rewards: Array, muted: int, eps: float = EPS) -> Array:
    """A = (r − mean)/(std + ε) over the queries, then 0 for the last `muted` of them.

    Args:
        rewards: [..., Q], queries in descending order of their objectness.
        muted: How many are muted (300 of 900 as published).
        eps: ε.

    Returns:
        [..., Q].

    Raises:
        InputError: A single query, or more muted than there are.

    Source: DINO-R1, arXiv 2505.24025; golden file grqo.json.
    """
    away, std = _standard(rewards, eps)
    return away / (std + eps) * kept(rewards.shape[-1], muted)


def loss(
    rewards: Array, score: Array, reference: Array, *, muted: int, alpha: float = 0.01, beta: float = 0.04,
    eps: float = EPS,
) -> Array:  # fmt: skip
    """Mean over images and queries of −α A + β KL, one number per decoder layer.

    KL = (p' + ε)/(p + ε) − log(p' + ε) + log(p + ε) − 1 between objectness p = sigmoid(score) and the reference's p'.

    Args:
        rewards: Differentiable rewards [L, B, Q].
        score: Objectness logits [B, Q].
        reference: The reference model's logits of the same tokens [B, Q].
        muted: As in `advantages`.
        alpha: α.
        beta: β.
        eps: ε.

    Returns:
        [L]; the layers' losses are added, so the KL counts once per layer.

    Source: DINO-R1, arXiv 2505.24025; golden file grqo.json.
    """
    p, other = _sigmoid(score) + eps, _sigmoid(reference) + eps
    divergence = other / p - np.log(other) + np.log(p) - 1
    gain = advantages(rewards, muted, eps).mean(axis=(-2, -1))
    return beta * divergence.mean() - alpha * gain


def reward_weights(rewards: Array, muted: int, alpha: float = 0.01, eps: float = EPS) -> Array:
    """−d loss/d rewards [L, B, Q]: α/(B Q) times the `slopes` of the kept queries.

    Muting is what teaches: without it c − mean c and Σ c d are 0.

    Args:
        rewards: [L, B, Q].
        muted: As in `advantages`.
        alpha: α.
        eps: ε.

    Returns:
        Weights on the gradient of each reward [L, B, Q], to be chained with d reward/d prediction.

    Source: DINO-R1, arXiv 2505.24025; golden file grqo.json.
    """
    images, queries = rewards.shape[-2:]
    return alpha / (images * queries) * slopes(rewards, kept(queries, muted), eps)


def slopes(rewards: Array, kept: Array, eps: float = EPS) -> Array:
    """d Σ c A/d r = (c − mean c)/(s + ε) − d Σ c d/((Q − 1) s (s + ε)²), through the mean and the deviation.

    d is the deviation from the mean, s the sample deviation. Where all rewards are equal autograd takes ds = 0, and so
    does this.

    Args:
        rewards: [..., Q].
        kept: c, 1 for kept and 0 for muted queries, broadcast to [..., Q].
        eps: ε.

    Source: DINO-R1, arXiv 2505.24025.
    """
    away, std = _standard(rewards, eps)
    fall = (kept * away).sum(axis=-1, keepdims=True)
    fall = fall / ((rewards.shape[-1] - 1) * np.where(std > 0, std, 1.0) * (std + eps) ** 2)
    return (kept - kept.mean(axis=-1, keepdims=True)) / (std + eps) - away * fall


def score_weights(score: Array, reference: Array, beta: float = 0.04, eps: float = EPS) -> Array:
    """−d loss/d score of one layer [B, Q]: w = −β/(B Q) p(1 − p)(p − p')/(p + ε)².

    Args:
        score: Objectness logits [B, Q].
        reference: The reference model's [B, Q].
        beta: β.
        eps: ε.

    Source: DINO-R1, arXiv 2505.24025; golden file grqo.json.
    """
    p, other = _sigmoid(score), _sigmoid(reference)
    return -beta / score.size * p * (1 - p) * (p - other) / (p + eps) ** 2


def _sigmoid(x: Array) -> Array:
    return 0.5 * (1 + np.tanh(0.5 * np.asarray(x, dtype=np.float64)))
