"""Best of n: of n responses the one that the proxy likes best, how far that is from the base, and what it is worth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from simulators.errors import check_count, check_numbers
from simulators.records import Floats

__all__ = ["expected", "kl", "kl_of_ranks", "picked"]


def kl(n: ArrayLike) -> Floats:
    """KL(best of n ‖ base) = log n − (n − 1)/n, nats, for scores without ties, whatever they are [...].

    Raises:
        ValueError: n below 1.
    """
    number = check_numbers("n", n)
    if (number < 1).any():
        raise ValueError(f"n={n!r}; best of n needs n of at least 1")
    return np.asarray(np.log(number) - (number - 1) / number)


def kl_of_ranks(n: int, outcomes: int) -> float:
    """The same where there are `outcomes` equally likely responses, all of different scores: Σ p log(p · outcomes)."""
    check_count("n", n, least=1)
    edges = (np.arange(check_count("outcomes", outcomes, least=1) + 1) / outcomes) ** n
    chance = np.diff(edges)
    return float((chance * np.log(np.where(chance > 0, chance, 1.0) * outcomes)).sum())


def expected(proxy: ArrayLike, values: ArrayLike, n: Sequence[int] | int) -> Floats:
    """Expected value of the best of n by the proxy, without bias, from a pool of M ≥ n responses.

    The one of rank i from below is the best of n drawn without replacement with probability C(i − 1, n − 1)/C(M, n).

    Args:
        proxy: By what is chosen [..., M]; of equal ones the later counts as the better.
        values: What the chosen one is worth [..., M].
        n: One number, or several [L].

    Returns:
        Means over the pool's subsets [..., L], or [...] for one n.

    Raises:
        ValueError: n below 1 or above M; shapes that do not fit; a number that is not finite.

    Source: llm_optimization's unbiased estimator; golden file bon-unbiased.json.
    """
    by, worth = check_numbers("proxy", proxy), check_numbers("values", values)
    if by.shape != worth.shape or not by.ndim:
        raise ValueError(f"proxy {by.shape} and values {worth.shape} must have one shape [..., M]")
    pool = by.shape[-1]
    for number in np.atleast_1d(n):
        check_count("n", number, least=1, most=pool)
    ordered = np.take_along_axis(worth, np.argsort(by, axis=-1, kind="stable"), axis=-1)
    found = ordered @ np.stack([_chances(pool, int(number)) for number in np.atleast_1d(n)], axis=-1)
    return np.asarray(found if np.ndim(n) else found[..., 0])


def _chances(pool: int, n: int) -> Floats:
    """Probability of each rank [M], lowest first: ratios C(i − 2, n − 1)/C(i − 1, n − 1) downwards from n/M."""
    rank = np.arange(pool, 0, -1.0)
    return np.cumprod(np.concatenate([[n / pool], np.clip(1 - (n - 1) / (rank[:-1] - 1), 0, 1)]))[::-1]


def picked(proxy: Floats, values: Floats) -> Floats:
    """Value of the best by the proxy of each row [..., n] -> [...]; of equal ones the first."""
    return np.asarray(np.take_along_axis(values, proxy.argmax(-1)[..., None], axis=-1)[..., 0])
