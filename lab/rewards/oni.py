"""ONI: a language model's opinion of event messages as an intrinsic reward, in three ways, fading with every repeat.

A message is an index 0..M-1. What is known of the messages is a table [M] (labels, probabilities, scores); a rule looks
up the messages of the steps, [..., T], or the whole table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lab.advantages.statistics import Array
from lab.errors import InputError
from lab.rewards.shaping import fading

__all__ = ["Moments", "classification", "ranking", "retrieval", "similarity", "total", "updated"]


@dataclass(frozen=True)
class Moments:
    """Running mean and variance of the ranker's scores, passed in and returned.

    Attributes:
        count: Number of scores so far, 1e-4 before the first.
        mean: Their mean.
        variance: Their variance.
    """

    count: float = 1e-4
    mean: float = 0.0
    variance: float = 1.0


def updated(moments: Moments, scores: ArrayLike) -> Moments:
    """The moments after one more batch (Chan's merge; the batch's own variance has ddof 1).

    Args:
        moments: So far.
        scores: The batch, of any shape; nothing changes for an empty one, and one score has no variance of its own (the
            authors' code gives NaN there).

    Returns:
        The merged moments.

    Raises:
        InputError: A score that is not finite.

    Source: arXiv 2410.23022, the authors' code; golden file oni.json.
    """
    batch = np.asarray(scores, dtype=np.float64).ravel()
    if not np.isfinite(batch).all():
        raise InputError(f"scores hold {batch[~np.isfinite(batch)][0]}; they must be finite")
    if batch.size == 0:
        return moments
    n, more, count = moments.count, batch.size, moments.count + batch.size
    delta = float(batch.mean()) - moments.mean
    own = float(batch.var(ddof=1)) if more > 1 else 0.0
    variance = (moments.variance * n + own * more + delta**2 * n * more / count) / count
    return Moments(count, moments.mean + delta * more / count, variance)


def retrieval(labels: ArrayLike) -> Array:
    """The label of each message, 1 (helpful) or 0, and 0 where there is none yet (NaN); all [...].

    Source: arXiv 2410.23022, retrieval (the hash table).
    """
    known = np.asarray(labels, dtype=np.float64)
    return np.where(np.isnan(known), 0.0, known)


def classification(probability: ArrayLike, *, threshold: float = 0.5) -> Array:
    """1 where the classifier's probability of "helpful" lies above the threshold, else 0; all [...].

    Source: arXiv 2410.23022, classification.
    """
    return np.asarray(np.asarray(probability) > threshold, dtype=np.float64)


def ranking(
    scores: ArrayLike, moments: Moments | None = None, *, threshold: float = -0.5, as_released: bool = False
) -> tuple[Array, Moments]:
    """The ranker's score in units of its running spread, z = (score - mean)/sqrt(variance), and 0 unless z > threshold.

    Args:
        scores: Scores of one batch of steps [...].
        moments: Moments of all scores before; None at the beginning.
        threshold: On z.
        as_released: The released code puts z aside and pays the raw score; the moments move all the same.

    Returns:
        Rewards [...], and the moments with this batch, by which it was normalised.

    Raises:
        InputError: A score that is not finite.

    Source: arXiv 2410.23022, ranking; the authors' code (online_motif).
    """
    raw = np.asarray(scores, dtype=np.float64)
    now = updated(moments or Moments(), raw)
    if as_released:
        return raw.copy(), now
    z = (raw - now.mean) / math.sqrt(now.variance)
    return np.where(z > threshold, z, 0.0), now


def similarity(message: ArrayLike, goal: ArrayLike, *, threshold: float | None = None) -> Array:
    """Cosine of a message's embedding [..., D] and the goal's [D], 0 unless above the threshold: [...].

    0 for a message without length. Source: arXiv 2410.23022, the bag-of-words baseline of the authors' code.
    """
    one, other = np.asarray(message, dtype=np.float64), np.asarray(goal, dtype=np.float64)
    size = np.linalg.norm(one, axis=-1) * np.linalg.norm(other)
    cosine = np.where(size > 0, one @ other / np.where(size > 0, size, 1.0), 0.0)
    return cosine if threshold is None else np.where(cosine > threshold, cosine, 0.0)


def total(
    external: ArrayLike, internal: ArrayLike, occurrence: ArrayLike, *, a_ext: float = 0.1, a_llm: float = 0.4,
    beta: float = 3.0,
) -> Array:  # fmt: skip
    """r = a_ext r_ext + a_llm r_int(m) / N(m)^beta.

    Args:
        external: Reward of the environment [..., T].
        internal: One of the rewards above for the message of each step [..., T].
        occurrence: N, how often that message came in this episode, this time included [..., T]
            (`lab.rewards.shaping.occurrences`); 0 where there was none.
        a_ext: 0.1 for a score, 10 for sparse tasks, 0 without reward.
        a_llm: Weight of the intrinsic reward.
        beta: How fast it fades: a message pays at most 1.2021 a_llm in an episode for 3.

    Returns:
        Rewards [..., T].

    Source: arXiv 2410.23022, the authors' code.
    """
    faded = np.asarray(internal) * fading(0.0, occurrence, size=1.0, beta=beta)
    return np.asarray(a_ext * np.asarray(external) + a_llm * faded)
