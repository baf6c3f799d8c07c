"""Policies that are tables of bigrams: which symbol follows which; trajectories of theirs and what is seen of them.

A table has a row of logits for each symbol that may have come before, and one more for the start. A trajectory is T
symbols; its features are how often each symbol and each pair of neighbours stand in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from simulators.errors import check_count
from simulators.records import Floats, Ints, declare_field

__all__ = ["Policies", "draw_tables", "features", "frequencies", "marginals", "pool", "sample", "softmax", "width"]

declare_field("response", "SPGD", "features of each response")
declare_field("reference_response", "SPD", "features of the reference response of each group")

_POOL = 60_000


@dataclass(frozen=True, eq=False)
class Policies:
    """A pool of policies from which trajectories are drawn; S pools side by side.

    Attributes:
        logits: Tables [S, N, V + 1, V]; the last row is that of the start.
        length: Symbols T of a trajectory.
    """

    logits: Floats
    length: int = 16

    def __len__(self) -> int:
        return self.logits.shape[1]

    def draw(self, which: Ints, rng: Sequence[np.random.Generator]) -> Floats:
        """Features [S, M, V + V²] of one trajectory of each of these policies [S, M]."""
        size = self.logits.shape[-1]
        found = [sample(table[own], r.random((len(own), self.length)))
                 for table, own, r in zip(self.logits, which, rng, strict=True)]  # fmt: skip
        return features(np.stack(found), size)


def pool(
    number: int, *, vocabulary: int = 6, sharpness: float = 1.2, length: int = 16, seeds: int | Sequence[int] = 0,
    draw: int = 0,
) -> Policies:  # fmt: skip
    """Random policies: logits are sharpness · N(0, 1).

    Args:
        number: N, of each pool.
        vocabulary: Symbols V.
        sharpness: Deviation of the logits.
        length: Symbols T of a trajectory.
        seeds: One for each pool.
        draw: Another number, other policies.

    Raises:
        ValueError: No policy, fewer than two symbols or than two of them in a trajectory, a sharpness below 0.

    Source: POLAR card, lab form.
    """
    checks = (("number", number, 1), ("vocabulary", vocabulary, 2), ("length", length, 2))
    for name, value, least in checks:
        check_count(name, value, least=least)
    if not 0 <= sharpness < np.inf:
        raise ValueError(f"sharpness={sharpness}; it must be a number of at least 0")
    each = [np.random.default_rng([_POOL, int(s), draw]) for s in np.atleast_1d(seeds)]
    return Policies(np.stack([draw_tables(number, vocabulary, sharpness, rng) for rng in each]), length)


def draw_tables(number: int, vocabulary: int, sharpness: float, rng: np.random.Generator) -> Floats:
    """Tables of logits [N, V + 1, V]."""
    return sharpness * rng.standard_normal((number, vocabulary + 1, vocabulary))


def softmax(logits: Floats) -> Floats:
    """Probabilities of each row [..., V]."""
    weight = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(weight / weight.sum(-1, keepdims=True))


def sample(logits: Floats, uniforms: Floats) -> Ints:
    """Trajectories [..., T] of tables [..., V + 1, V], a uniform number for each symbol [..., T]."""
    *shape, rows, size = np.broadcast_shapes(logits.shape, (*uniforms.shape[:-1], 1, 1))
    upto = np.broadcast_to(np.cumsum(softmax(logits), -1), (*shape, rows, size)).reshape(-1, size)
    u = uniforms.reshape(-1, uniforms.shape[-1])
    first = rows * np.arange(len(u))
    symbols, before = np.empty(u.shape, np.int64), np.full(len(u), size)
    for t in range(u.shape[1]):
        before = np.minimum((u[:, t, None] >= upto[first + before]).sum(-1), size - 1)
        symbols[:, t] = before
    return symbols.reshape(uniforms.shape)


def width(vocabulary: int) -> int:
    """Features of a trajectory."""
    return vocabulary + vocabulary**2


def features(symbols: ArrayLike, vocabulary: int) -> Floats:
    """Frequencies of symbols and of pairs of neighbours [..., V + V²] in trajectories [..., T]."""
    y = np.asarray(symbols)
    flat, length = y.reshape(-1, y.shape[-1]), y.shape[-1]
    place, wide = width(vocabulary) * np.arange(len(flat))[:, None], width(vocabulary)
    pairs = vocabulary + flat[:, :-1] * vocabulary + flat[:, 1:]
    alone, paired = (np.bincount((place + what).ravel(), minlength=wide * len(flat)) for what in (flat, pairs))
    return np.asarray(alone / length + paired / (length - 1)).reshape(*y.shape[:-1], wide)


def marginals(logits: Floats, length: int) -> Floats:
    """Chance of each symbol at each place [..., T, V], exact."""
    chances = softmax(logits)
    found = [chances[..., -1, :]]
    for _ in range(length - 1):
        found.append((found[-1][..., None, :] @ chances[..., :-1, :])[..., 0, :])
    return np.stack(found, axis=-2)


def frequencies(logits: Floats, length: int) -> Floats:
    """Expected frequencies of pairs of neighbours [..., V, V], exact; they add up to 1."""
    before = marginals(logits, length)[..., :-1, :].mean(-2)
    return np.asarray(before[..., None] * softmax(logits)[..., :-1, :])
