"""How well a learned reward agrees with the gold one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from simulators.learned_reward.gold import Gold
from simulators.records import Floats

__all__ = ["accuracy", "auc", "calibration", "probability_error", "rank_agreement", "ranked", "reliability"]

#: Responses [1, N, D] -> scores of each model [S, N].
Scorer = Callable[[Floats], Floats]
_SEED, _BINS = 31_337, 15


def _difference(scorer: Scorer, first: Floats, second: Floats) -> Floats:
    return scorer(first) - scorer(second)


def _log_odds(scorer: Scorer, first: Floats, second: Floats) -> Floats:
    """Of the preference of the first: the difference of scores, or what a model says that has `preferred`."""
    own = getattr(scorer, "preferred", None)
    if own is None:
        return _difference(scorer, first, second)
    chance = own(first, second)
    return np.asarray(np.log(chance) - np.log1p(-chance))


def _pairs(scorer: Scorer, gold: Gold, number: int, margin: Callable[..., Floats] = _difference) -> tuple[Floats, ...]:
    """Margins of the models [S, n] and of the gold [n] on fresh pairs, the same for every model."""
    rng = np.random.default_rng(_SEED)
    first, second = gold.draw(rng, number), gold.draw(rng, number)
    return margin(scorer, first[None], second[None]), gold(first) - gold(second)


def ranked(scorer: Scorer, gold: Gold, number: int = 10_000) -> tuple[Floats, Floats]:
    """Whether each model ranks fresh pairs as the gold does [S, n], ties half; margins of the gold [n]."""
    ours, true = _pairs(scorer, gold, number)
    return np.where(ours == 0, 0.5, (ours > 0) == (true > 0)), true


def accuracy(scorer: Scorer, gold: Gold, number: int = 10_000) -> Floats:
    """Share of fresh pairs that each model ranks as the gold does [S], see `ranked`.

    Source: preference-substrate card, metrics.
    """
    return np.asarray(ranked(scorer, gold, number)[0].mean(-1))


def reliability(
    scorer: Scorer, gold: Gold, number: int = 20_000, *, beta: float = 2.0, bins: int = _BINS
) -> tuple[Floats, Floats, Floats]:
    """Confidence, share that is right, and share of the pairs, in equal bins of confidence from 1/2 to 1 [S, bins].

    Args:
        scorer: The models.
        gold: What annotators mean.
        number: Fresh pairs, whose labels are drawn without flips.
        beta: Sharpness of the annotators.
        bins: Number of bins; an empty one has NaN for confidence and share.

    A model that says itself how likely the first of two responses is preferred (`preferred`) is taken at its word;
    for all others it is σ of the difference of their scores.
    """
    ours, true = _pairs(scorer, gold, number, _log_odds)
    preferred = np.random.default_rng(_SEED + 1).random(number) < 0.5 * (1 + np.tanh(0.5 * beta * true))
    confidence = 0.5 * (1 + np.tanh(0.5 * np.abs(ours)))
    right = (ours > 0) == preferred
    place = np.minimum(((confidence - 0.5) * 2 * bins).astype(int), bins - 1)
    inside = place[..., None] == np.arange(bins)
    count = inside.sum(1)
    with np.errstate(invalid="ignore"):
        return (
            (confidence[..., None] * inside).sum(1) / count, (right[..., None] & inside).sum(1) / count, count / number
        )  # fmt: skip


def calibration(scorer: Scorer, gold: Gold, number: int = 20_000, *, beta: float = 2.0) -> Floats:
    """Expected calibration error of each model [S]: Σ share |confidence − right| over 15 bins.

    Source: preference-substrate card, metrics.
    """
    confidence, right, share = reliability(scorer, gold, number, beta=beta)
    return np.asarray(np.nansum(share * np.abs(confidence - right), axis=-1))


def rank_agreement(scorer: Scorer, gold: Gold, number: int = 4000) -> Floats:
    """Spearman's rank correlation with the gold on base responses [S]."""
    x = gold.draw(np.random.default_rng(_SEED), number)
    ranks = [np.argsort(np.argsort(each)) for each in (gold(x), *scorer(x[None]))]
    return np.asarray(np.corrcoef(ranks))[0, 1:]


def auc(score: Floats, positive: Floats) -> Floats:
    """Probability that a positive one scores higher than another one [S], ties half; both [S, N]."""
    found = []
    for own, yes in zip(np.atleast_2d(score), np.atleast_2d(positive).astype(bool), strict=True):
        ordered = np.sort(own[~yes])
        below, upto = np.searchsorted(ordered, own[yes], "left"), np.searchsorted(ordered, own[yes], "right")
        found.append((below + upto).mean() / 2 / max(len(ordered), 1))
    return np.array(found)


def probability_error(probability: Floats, preferred: Floats, bins: int = _BINS) -> Floats:
    """Expected calibration error of probabilities that the first of a pair is preferred [S, N] -> [S].

    As `calibration`, of a model that gives the probability itself: Σ share |confidence − right|.
    """
    confidence = np.maximum(probability, 1 - probability)
    right = (probability > 0.5) == np.asarray(preferred, bool)
    place = np.minimum(((confidence - 0.5) * 2 * bins).astype(int), bins - 1)
    inside = place[..., None] == np.arange(bins)
    return np.asarray(np.abs(((confidence - right)[..., None] * inside).mean(-2)).sum(-1))
