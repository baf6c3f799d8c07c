"""The sum of the gradients: what one gradient of the summed rewards does."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.registry import register

__all__ = ["total"]

Array = NDArray[Any]


@register("combine", "sum", paper="baselines", equation="g = Σ_k g_k")
def total(gradients: Array) -> Array:
    """Each gradient once; beside an advantage rule that is linear in the rewards, the step of their sum.

    Args:
        gradients: One for each reward component [K, S, N].

    Returns:
        Ones [K, S]: shares that sum to K.

    Source: the definition; it is what the other rules are compared with.
    """
    return np.ones(gradients.shape[:2])
