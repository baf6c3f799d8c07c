"""Intervals over independent runs: the mean with 95% by Student's t."""

from __future__ import annotations

from typing import Any

import numpy as np

from lab.errors import InputError

__all__ = ["mean_interval", "student_quantile"]


def mean_interval(values: Any) -> tuple[float, float, float]:
    """Mean of independent runs [n] and its 95% interval by Student's t.

    Raises:
        InputError: Fewer than two finite values.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size < 2 or not np.isfinite(array).all():
        raise InputError(f"an interval needs at least two finite values, got {array.size}")
    half = student_quantile(array.size - 1) * array.std(ddof=1) / np.sqrt(array.size)
    mean = float(array.mean())
    return mean, mean - float(half), mean + float(half)


_FEW = {1: 12.706204736174694, 2: 4.302652729749462, 3: 3.1824463052837078, 4: 2.7764451051977934}


def student_quantile(df: int) -> float:
    """The 97.5% quantile of Student's t with `df` degrees of freedom.

    A table below 5, Cornish and Fisher's expansion from there on (relative error below 2e-4, falling fast).
    """
    if df in _FEW:
        return _FEW[df]
    z = 1.959963984540054
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return float(sum(t / df**i for i, t in enumerate(terms)))
