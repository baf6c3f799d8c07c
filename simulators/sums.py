"""Sums of products in a fixed order that a processor can overlap."""

from __future__ import annotations

from typing import Any

from simulators.compiled import kernel

__all__ = ["inner"]


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
