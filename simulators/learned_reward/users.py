"""Users who want different things: each has compared a few pairs, and only those tell what kind of user it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulators.errors import check_count
from simulators.learned_reward.annotators import Comparisons, compared, wishes
from simulators.records import Floats

__all__ = ["Users", "ask", "told"]

_WANTS, _TOLD = 40_000, 41_000


@dataclass(frozen=True, eq=False)
class Users:
    """U users with N comparisons each; S sets side by side.

    Attributes:
        chosen: What each preferred [S, U, N, D].
        rejected: [S, U, N, D].
        wants: True reward of each user, a direction of length 1 [S, U, D]; None: not known.
        persona: Of which kind each is [S, U]; None: not known.
    """

    chosen: Floats
    rejected: Floats
    wants: Floats | None = None
    persona: NDArray[np.int64] | None = None

    @property
    def pooled(self) -> Comparisons:
        """All comparisons, whoever made them [S, U N, D]."""
        shape = (len(self.chosen), -1, self.chosen.shape[-1])
        return Comparisons(self.chosen.reshape(shape), self.rejected.reshape(shape))


def ask(
    number: int, pairs: int, *, personas: int = 2, beta: float = 4.0, spread: float = 0.1, width: int = 8,
    seeds: int | Sequence[int] = 0, draw: int = 0,
) -> Users:  # fmt: skip
    """Users, each of one persona: r*(x) = w·x, w = normalised (persona + spread · noise); labels σ(beta · difference).

    Args:
        number: U.
        pairs: N, of each.
        personas: Kinds of users; of two one wants the opposite of the other, more are random directions.
        beta: Sharpness of their comparisons.
        spread: How users of one kind differ.
        width: Features D of a response, N(0, 1) each.
        seeds: One for each set, of the personas and the users.
        draw: Another number, other users of the same personas.

    Raises:
        ValueError: No user, no pair, no persona, or a sharpness or spread that is negative or no number.

    Source: VPL card, small-scale reproduction.
    """
    for name, value in (("number", number), ("pairs", pairs), ("personas", personas), ("width", width)):
        check_count(name, value, least=1)
    if not (0 <= beta < np.inf and 0 <= spread < np.inf):
        raise ValueError(f"beta={beta}, spread={spread}; both must be numbers of at least 0")
    found = [_asked((number, pairs, width), personas, beta, spread, int(s), draw) for s in np.atleast_1d(seeds)]
    return Users(*(np.stack(part) for part in zip(*found, strict=True)))


def _asked(shape: tuple[int, int, int], personas: int, beta: float, spread: float, seed: int, draw: int) -> tuple:
    number, pairs, width = shape
    kinds, rng = np.random.default_rng([_WANTS, seed]), np.random.default_rng([_TOLD, seed, draw])
    ways = wishes(kinds, personas, width)
    persona = rng.permutation(np.arange(number) % personas)
    wants = _unit(ways[persona] + spread * rng.standard_normal((number, width)))
    both = rng.standard_normal((2, number, pairs, width))
    ahead = np.einsum("unw,uw->un", both[0] - both[1], wants)
    first = (rng.random(ahead.shape) < 0.5 * (1 + np.tanh(0.5 * beta * ahead)))[..., None]
    return np.where(first, both[0], both[1]), np.where(first, both[1], both[0]), wants, persona


def _unit(x: Floats) -> Floats:
    return np.asarray(x / np.linalg.norm(x, axis=-1, keepdims=True))


def told(chosen: ArrayLike, rejected: ArrayLike) -> Users:
    """Comparisons of one's own users, checked.

    Args:
        chosen: Features of what each preferred [U, N, D], or of S sets [S, U, N, D].
        rejected: Features of the other ones.

    Raises:
        ValueError: There is one user alone, or no comparison; shapes do not fit, a feature is not finite, or a user's
            comparisons tell nothing (see `simulators.learned_reward.annotators.compared`).
    """
    a, b = np.asarray(chosen, np.float64), np.asarray(rejected, np.float64)
    if a.shape != b.shape or a.ndim not in (3, 4):
        raise ValueError(f"chosen {a.shape} and rejected {b.shape} must both be [U, N, D] or [S, U, N, D]")
    a, b = (x if x.ndim == 4 else x[None] for x in (a, b))
    if a.shape[1] < 2:
        raise ValueError(f"{a.shape[1]} user: what tells users apart is learned from at least two")
    if not a.size:
        raise ValueError(f"there are no comparisons: chosen has shape {a.shape}; each user needs at least two")
    compared(a.reshape(-1, *a.shape[2:]), b.reshape(-1, *a.shape[2:]))
    return Users(a, b)
