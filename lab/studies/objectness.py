"""Objectness: how certain a detector is that a query is an object, by which its queries are ranked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.objectives.tokens import sigmoid

__all__ = ["reranked"]

Array = NDArray[Any]


def reranked(advantage: Array, score: Array, *, steps: int = 200, lr: float = 0.2) -> Array:
    """Logits of objectness [..., Q] after gradient ascent on the sum of A log sigmoid(score).

    Args:
        advantage: A of each query [..., Q], which stays.
        score: Logits at first [..., Q].
        steps: Of ascent.
        lr: Length of a step.

    Source: grqo; the lab's own check of a weight on log-probabilities.
    """
    found = np.array(score, dtype=np.float64)
    for _ in range(steps):
        found += lr * advantage * sigmoid(-found)
    return found
