"""Dense rewards from textbooks: potentials, increments, bonuses, and bonuses that fade with every occurrence.

Elementwise on transitions: a reward r, the potential Φ before and after it, whether it holds an event. Shapes only have
to broadcast, so the same lines serve rollouts [..., T] and whole tables [S, A, S] (Φ(s) as [S, 1, 1], Φ(s') as [S]).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lab.advantages.statistics import Array
from lab.errors import InputError, check_number

__all__ = ["bonus", "fading", "increment", "occurrences", "pbrs"]


def pbrs(reward: ArrayLike, before: ArrayLike, after: ArrayLike, *, discount: float, ended: ArrayLike = False) -> Array:
    """Potential-based shaping, r + γ Φ(s') - Φ(s) with Φ = 0 at the end of an episode: no policy changes rank.

    Args:
        reward: r [...].
        before: Φ(s) [...].
        after: Φ(s') [...].
        discount: γ of the learner, in [0, 1]; any other changes the task.
        ended: Whether the episode ended in s' [...]. A cut-off by time is no end.

    Returns:
        Rewards [...]. With Q = 0 at first a learner does step by step what one without shaping does from Q = Φ.

    Source: Ng, Harada and Russell 1999; Wiewiora, arXiv 1106.5267.
    """
    check_number("discount", discount, lambda x: 0 <= x <= 1, "a number in [0, 1]")
    shaped: Array = np.add(reward, discount * np.where(ended, 0.0, after)) - np.asarray(before)
    return shaped


def increment(reward: ArrayLike, before: ArrayLike, after: ArrayLike) -> Array:
    """r + Φ(s') - Φ(s), all [...]: without the discount, which pays (1 - γ) Φ for every step at a high Φ.

    Source: arXiv 2512.23703, semantic trap.
    """
    risen: Array = np.add(reward, np.subtract(after, before))
    return risen


def bonus(reward: ArrayLike, event: ArrayLike, *, size: float) -> Array:
    """r + c 1[event], all [...]: paid at every occurrence, so that it can be farmed.

    Source: textbook; dense-rewards in the catalogue.
    """
    paid: Array = np.add(reward, size * np.asarray(event, dtype=bool))
    return paid


def fading(reward: ArrayLike, occurrence: ArrayLike, *, size: float, beta: float = 3.0) -> Array:
    """r + c / N^β at the N-th occurrence of an event, all [...]; for β > 1 the pay of an episode is bounded.

    Args:
        reward: r [...].
        occurrence: N [...], counted from 1 within the episode (`occurrences`); 0 where nothing happened.
        size: c.
        beta: β >= 0; 0 is `bonus`.

    Source: arXiv 2410.23022, the authors' code.
    """
    n = np.asarray(occurrence, dtype=np.float64)
    check_number("beta", beta, lambda x: x >= 0, "a number of at least 0")
    paid: Array = np.add(reward, size * np.where(n > 0, np.where(n > 0, n, 1.0) ** -beta, 0.0))
    return paid


def occurrences(events: ArrayLike) -> Array:
    """How often each step's event has happened in its episode, this time included.

    Args:
        events: Number of the event of each step [..., T], negative for none.

    Returns:
        Counts [..., T], 0 where there is no event.

    Raises:
        InputError: Events are not whole numbers.

    Source: arXiv 2410.23022, the authors' code (counts of messages).
    """
    kinds = np.asarray(events)
    if kinds.dtype.kind not in "iu" or kinds.ndim == 0:
        raise InputError(f"events must be whole numbers [..., T], not {kinds.dtype} {kinds.shape}")
    known, places = np.unique(kinds, return_inverse=True)
    happened = places.reshape(kinds.shape)[..., None] == np.arange(known.size)
    counts = np.take_along_axis(happened.cumsum(axis=-2), places.reshape(kinds.shape)[..., None], axis=-1)[..., 0]
    return np.where(kinds >= 0, counts, 0)
