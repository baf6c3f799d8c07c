"""Coarse levels of quality beside comparisons: bad, normal or good, of as many responses as somebody has looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from simulators.learned_reward.annotators import Comparisons
from simulators.learned_reward.gold import Gold
from simulators.records import Bools, Floats, Ints

__all__ = ["BALANCED", "LEVELS", "SKEWED", "Graded", "grade", "graded", "level"]

#: The levels, from below; their numbers are 0, 1, 2, and −1 where nobody has said.
LEVELS = ("bad", "normal", "good")
#: Gold rewards at which normal and good begin: a third each, or two thirds good.
BALANCED, SKEWED = (-0.43, 0.43), (-1.2, -0.4)


@dataclass(frozen=True, eq=False)
class Graded(Comparisons):
    """Comparisons, some of whose responses have a level.

    Attributes:
        levels: Of the chosen and of the rejected response [S, N, 2]: 0, 1 or 2 as in `LEVELS`, −1: not known.
    """

    levels: Ints | None = None

    def one(self, index: int) -> Graded:
        """One of the S sets, as a set of its own."""
        held = {f.name: getattr(self, f.name) for f in fields(self)}
        cut: dict[str, Any] = {name: None if x is None else x[index : index + 1] for name, x in held.items()}
        return Graded(**cut)

    def swapped(self, which: Bools) -> Graded:
        """Chosen and rejected exchanged where `which` [S, N] says so, and their levels."""
        turned = super().swapped(which)
        assert isinstance(turned, Graded)
        levels = None if self.levels is None else np.where(which[..., None], self.levels[..., ::-1], self.levels)
        return replace(turned, levels=levels)


def graded(comparisons: Comparisons, levels: ArrayLike) -> Graded:
    """Comparisons with levels of one's own.

    Args:
        comparisons: S sets of N pairs.
        levels: Of chosen and rejected [S, N, 2], or [N, 2] of one set: 0 bad, 1 normal, 2 good, −1 not known.

    Raises:
        ValueError: Another shape, or a number that is no level.
    """
    found = np.asarray(levels)
    found = found[None] if found.ndim == 2 else found
    wanted = (*comparisons.chosen.shape[:2], 2)
    if found.shape != wanted:
        raise ValueError(f"levels {found.shape} must be {wanted}: of chosen and rejected of every pair")
    if not np.isin(found, (-1, 0, 1, 2)).all():
        strange = found[~np.isin(found, (-1, 0, 1, 2))][0]
        raise ValueError(f"levels has {strange}; it must be 0 (bad), 1 (normal), 2 (good) or -1 (not known)")
    held = {f.name: getattr(comparisons, f.name) for f in fields(Comparisons)}
    return Graded(**held, levels=found.astype(np.int64))


def level(gold: Floats, edges: Sequence[float] = BALANCED) -> Ints:
    """Level of responses with that gold reward [...]."""
    return np.searchsorted(np.asarray(edges), gold, side="right")


def grade(
    comparisons: Comparisons, gold: Gold, *, share: float = 0.2, edges: Sequence[float] = BALANCED,
    seeds: int | Sequence[int] = 0,
) -> Graded:  # fmt: skip
    """Both responses of some pairs get the level of their gold reward.

    Args:
        comparisons: S sets of pairs.
        gold: What annotators mean.
        share: Of the pairs, drawn by chance.
        edges: Gold rewards at which normal and good begin.
        seeds: One for each set.

    Raises:
        ValueError: A share outside [0, 1], edges that do not increase, or other numbers of sets and seeds.
    """
    own = [seeds] if isinstance(seeds, int) else list(seeds)
    if not 0 <= share <= 1 or len(edges) != 2 or not edges[0] < edges[1]:
        raise ValueError(f"share={share}, edges={tuple(edges)}; a share is from 0 to 1, two edges increase")
    if len(own) != comparisons.sets:
        raise ValueError(f"{comparisons.sets} sets of comparisons for {len(own)} seeds; one each is needed")
    both = np.stack([gold(comparisons.chosen), gold(comparisons.rejected)], axis=-1)
    told = np.stack([np.random.default_rng([s, 3]).random(len(comparisons)) < share for s in own])
    return graded(comparisons, np.where(told[..., None], level(both, edges), -1))
