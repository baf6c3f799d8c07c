"""Comparisons of responses by annotators who err, beside what is true of each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from simulators.errors import check_count, check_numbers
from simulators.learned_reward.gold import Gold
from simulators.records import Bools, Floats

__all__ = ["Comparisons", "annotate", "compared", "stacked", "wishes"]

_PERSONAS = 42_000
_PARTS = ("chosen", "rejected", "flipped", "margin")


@dataclass(frozen=True, eq=False)
class Comparisons:
    """Pairs of responses, the one that was preferred first; S sets of N side by side.

    Attributes:
        chosen: Responses [S, N, D].
        rejected: [S, N, D].
        flipped: Which labels were swapped after the annotator had given them [S, N]; None: not known.
        margin: Gold of the chosen less that of the rejected [S, N]; None: not known.
    """

    chosen: Floats
    rejected: Floats
    flipped: Bools | None = None
    margin: Floats | None = None

    def __len__(self) -> int:
        return self.chosen.shape[1]

    @property
    def sets(self) -> int:
        """S."""
        return len(self.chosen)

    @property
    def wrong(self) -> Bools:
        """Whether the rejected one is the better one [S, N]."""
        if self.margin is None:
            raise ValueError("which labels are wrong is known only where the gold reward is")
        return self.margin < 0

    def one(self, index: int) -> Comparisons:
        """One of the S sets, as a set of its own."""
        held = [getattr(self, name) for name in _PARTS]
        parts: list[Any] = [None if array is None else array[index : index + 1] for array in held]
        return Comparisons(*parts)

    def swapped(self, which: Bools) -> Comparisons:
        """Chosen and rejected exchanged where `which` [S, N] says so."""
        there = which[..., None]
        return replace(
            self, chosen=np.where(there, self.rejected, self.chosen),
            rejected=np.where(there, self.chosen, self.rejected),
            flipped=None if self.flipped is None else self.flipped ^ which,
            margin=None if self.margin is None else np.where(which, -self.margin, self.margin),
        )  # fmt: skip


def compared(chosen: ArrayLike, rejected: ArrayLike) -> Comparisons:
    """Comparisons of one's own, checked.

    Args:
        chosen: Features of the preferred response of each pair [N, D], or of S sets [S, N, D].
        rejected: Features of the other one.

    Raises:
        ValueError: There is no comparison, shapes do not fit, a feature is not finite, the two responses are the same
            in every pair, or every pair has its own opposite: nothing could be learned.
    """
    first, second = check_numbers("chosen", chosen), check_numbers("rejected", rejected)
    if first.shape != second.shape or first.ndim not in (2, 3):
        raise ValueError(f"chosen {first.shape} and rejected {second.shape} must both be [N, D] or [S, N, D]")
    if not first.size:
        raise ValueError(f"there are no comparisons: chosen has shape {first.shape}; at least one pair is needed")
    a, b = (x if x.ndim == 3 else x[None] for x in (first, second))
    for one, other in zip(a, b, strict=True):
        _check_told(one, other)
    return Comparisons(a, b)


def _check_told(chosen: Floats, rejected: Floats) -> None:
    if (chosen == rejected).all():
        raise ValueError("chosen and rejected are the same in every comparison, so that nothing tells them apart")
    counts = Counter((x.tobytes(), y.tobytes()) for x, y in zip(chosen + 0.0, rejected + 0.0, strict=True))
    if all(counts[y, x] == counts[x, y] for x, y in list(counts)):
        raise ValueError("the labels contradict one another: every pair is there as often the other way round")


def annotate(
    gold: Gold, pairs: int, *, beta: float = 2.0, flips: float = 0.0, personas: int = 1, disagreement: float = 0.0,
    seeds: int | Sequence[int] = 0,
) -> Comparisons:  # fmt: skip
    """Pairs of base responses and noisy labels: P(a preferred) = σ(beta (r(a) − r(b))), then flipped by chance.

    r is the gold reward for annotators who agree; one of persona u means r(x) = gold(x) + disagreement · w_u·x.

    Args:
        gold: What annotators mean on the whole.
        pairs: N, of each set.
        beta: Sharpness of the annotators; high: they hardly err.
        flips: Probability that a label is swapped afterwards, whatever the pair.
        personas: Kinds of annotators, each with as many pairs; of two one wants the opposite of the other (w, −w), more
            have random directions w_u of length 1, of the seed of the set.
        disagreement: How much a persona's own wish weighs, in standard deviations of the gold reward.
        seeds: One for each set of comparisons.

    Raises:
        ValueError: No pair or persona, a sharpness or disagreement that is negative or no number, or a share of flips
            outside [0, 1].

    Source: preference-substrate card, preference data; personas: its linear ones, on top of the gold reward.
    """
    check_count("pairs", pairs, least=1)
    check_count("personas", personas, least=1)
    if not 0 <= flips <= 1 or not 0 <= beta < np.inf:
        raise ValueError(f"flips={flips}, beta={beta}; flips must be from 0 to 1, beta a number of at least 0")
    if not 0 <= disagreement < np.inf:
        raise ValueError(f"disagreement={disagreement}; it must be a number of at least 0")
    each = [seeds] if isinstance(seeds, int) else seeds
    return stacked([_annotated(gold, pairs, beta, flips, personas, disagreement, seed) for seed in each])


def _annotated(
    gold: Gold, pairs: int, beta: float, flips: float, personas: int, disagreement: float, seed: int
) -> Comparisons:
    rng = np.random.default_rng(seed)
    first, second = gold.draw(rng, pairs), gold.draw(rng, pairs)
    ahead = gold(first) - gold(second)
    meant = ahead + disagreement * _own_wish(first - second, personas, seed) if disagreement else ahead
    preferred = rng.random(pairs) < 0.5 * (1 + np.tanh(0.5 * beta * meant))
    flipped = rng.random(pairs) < flips
    labels = preferred ^ flipped
    drawn = Comparisons(first[None], second[None], margin=ahead[None])
    return replace(drawn.swapped(~labels[None]), flipped=flipped[None])


def _own_wish(apart: Floats, personas: int, seed: int) -> Floats:
    """w_u·(a − b) of each pair [N], whose annotators take turns."""
    ways = wishes(np.random.default_rng([_PERSONAS, seed]), personas, apart.shape[-1])
    return np.asarray((ways[np.arange(len(apart)) % personas] * apart).sum(-1))


def wishes(rng: np.random.Generator, personas: int, width: int) -> Floats:
    """What each persona wants, a direction of length 1 [personas, width]; of two the second is the first turned."""
    ways = rng.standard_normal((personas, width))
    ways = np.concatenate([ways[:1], -ways[:1]]) if personas == 2 else ways
    return np.asarray(ways / np.linalg.norm(ways, axis=-1, keepdims=True))


def stacked(sets: Sequence[Comparisons]) -> Comparisons:
    """Sets of equally many comparisons side by side."""
    held = [[getattr(each, name) for each in sets] for name in _PARTS]
    joined: list[Any] = [None if any(a is None for a in arrays) else np.concatenate(arrays) for arrays in held]
    return Comparisons(*joined)
