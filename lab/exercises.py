"""Exercises of a notebook: whether an answer is right, and if not, what to think of."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["check"]


def check(answer: Any, right: Any, hint: str, *, within: float = 0.01) -> None:
    """Say whether an answer is right, and a hint where it is not; nothing while the answer is None.

    >>> check(2.475, 7 / 8**0.5, "one divides by G, another by G − 1")
    right
    >>> check(2.65, 7 / 8**0.5, "one divides by G, another by G − 1")
    not yet: one divides by G, another by G − 1
    >>> check(None, 7 / 8**0.5, "")

    Args:
        answer: A number, an array or a text; None where the exercise was not tried.
        right: What is right, or a function that says whether the answer is.
        hint: What to think of; it should leave the thinking to the reader.
        within: How far numbers may lie from what is right, in their own unit.
    """
    if answer is None:
        return
    good = right(answer) if callable(right) else _equal(answer, right, within)
    print("right" if good else f"not yet: {hint}")


def _equal(answer: Any, right: Any, within: float) -> bool:
    """Whether both have the same shape and nearly the same numbers; of what is no number, whether they are equal."""
    try:
        ours, theirs = np.asarray(answer, dtype=float), np.asarray(right, dtype=float)
    except (TypeError, ValueError):
        return bool(answer == right)
    return ours.shape == theirs.shape and bool(np.allclose(ours, theirs, rtol=0, atol=within))
