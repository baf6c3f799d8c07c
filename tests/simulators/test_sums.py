"""Sums of products: the order that is promised, in one row and in many."""

from __future__ import annotations

import numpy as np
import pytest

from simulators.sums import inner, inner_rows


def in_order(x: np.ndarray, y: np.ndarray) -> float:
    """Four interleaved partial sums, what is left over in the first."""
    parts, whole = [0.0, 0.0, 0.0, 0.0], len(x) // 4 * 4
    for i in range(len(x)):
        parts[i % 4 if i < whole else 0] += float(x[i] * y[i])
    return (parts[0] + parts[1]) + (parts[2] + parts[3])


@pytest.mark.parametrize("size", [1, 3, 4, 7, 16, 33])
def test_every_form_adds_in_the_same_order(size: int) -> None:
    draws = np.random.default_rng(size)
    x, y, out = draws.normal(size=(5, size)), draws.normal(size=size), np.empty(5)
    inner_rows(x, y, out)
    assert out.tolist() == [in_order(row, y) for row in x] == [inner(row, y) for row in x]
