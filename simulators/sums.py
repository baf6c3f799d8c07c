"""Sums of products in a fixed order that a processor can overlap."""

from __future__ import annotations

from typing import Any

from simulators.compiled import kernel

__all__ = ["inner", "inner_rows"]


@kernel
def inner(x: Any, y: Any) -> float:
    """Σ x·y of two rows in four interleaved partial sums, so that no addition waits for the one before it.

    The order is fixed by the length alone, so the result has the same bits wherever it is computed.
    """
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    quads = x.size // 4
    for i in range(quads):
        a += x[4 * i] * y[4 * i]
        b += x[4 * i + 1] * y[4 * i + 1]
        c += x[4 * i + 2] * y[4 * i + 2]
        d += x[4 * i + 3] * y[4 * i + 3]
    for i in range(4 * quads, x.size):
        a += x[i] * y[i]
    return (a + b) + (c + d)


@kernel
def inner_rows(x: Any, y: Any, out: Any) -> None:
    """out[i] = inner(x[i], y) of the rows of x [R, V] with y [V], bit for bit.

    One loop over a two-dimensional array takes half the time of a call per row, which has to make a view of each.
    """
    rows, size = x.shape
    whole = size // 4 * 4
    for i in range(rows):
        a, b, c, d = 0.0, 0.0, 0.0, 0.0
        for v in range(0, whole, 4):
            a += x[i, v] * y[v]
            b += x[i, v + 1] * y[v + 1]
            c += x[i, v + 2] * y[v + 2]
            d += x[i, v + 3] * y[v + 3]
        for v in range(whole, size):
            a += x[i, v] * y[v]
        out[i] = (a + b) + (c + d)
