"""Event messages with a hidden helpfulness, and a labeller who errs: what is known of which message after a while."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators.errors import check_count
from simulators.records import Floats, Ints

__all__ = ["Messages", "messages"]


@dataclass(frozen=True, eq=False)
class Messages:
    """M messages.

    Attributes:
        features: What a model sees of each [M, D].
        quality: Hidden helpfulness [M], linear in the features.
        helpful: Whether it is among the best [M].
        frequency: Probability of each to come next [M].
    """

    features: Floats
    quality: Floats
    helpful: NDArray[np.bool_]
    frequency: Floats

    def draws(self, number: int, rng: np.random.Generator) -> Ints:
        """Messages as they come [number]."""
        return rng.choice(self.quality.size, size=number, p=self.frequency)

    def labels(self, seen: Ints, noise: float, rng: np.random.Generator) -> Floats:
        """Label of each message [M]: 1 helpful, 0 not, the wrong one with probability `noise`; NaN if not `seen`."""
        found = np.full(self.quality.size, np.nan)
        found[seen] = self.helpful[seen] ^ (rng.random(len(seen)) < noise)
        return found

    def comparisons(self, seen: Ints, number: int, noise: float, rng: np.random.Generator) -> tuple[Ints, Floats]:
        """Pairs of `seen` messages [number, 2], and 1 where the first is said to be better, else 0 [number]."""
        pairs = rng.choice(seen, size=(number, 2))
        better = self.quality[pairs[:, 0]] > self.quality[pairs[:, 1]]
        said = np.where(pairs[:, 0] == pairs[:, 1], 0.5, better ^ (rng.random(number) < noise))
        return pairs, said


def messages(
    number: int = 600, features: int = 16, *, share: float = 0.3, rng: np.random.Generator | int = 0
) -> Messages:
    """Messages with standard normal features and frequencies proportional to 1/rank, in an order of their own.

    Args:
        number: M.
        features: D.
        share: Share of helpful ones.
        rng: Generator or seed.

    Raises:
        ValueError: No message or no feature, or a share outside (0, 1).

    Source: oni in the catalogue; the world is the lab's own.
    """
    size = check_count("number", number, least=2), check_count("features", features, least=1)
    if not 0 < share < 1:
        raise ValueError(f"share={share!r}; it must lie between 0 and 1")
    source = np.random.default_rng(rng)
    x, w = source.standard_normal(size), source.standard_normal(size[1])
    quality = x @ w
    frequency = source.permutation(1 / np.arange(1, number + 1))
    return Messages(x, quality, quality > np.quantile(quality, 1 - share), frequency / frequency.sum())
