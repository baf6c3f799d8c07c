"""Combining rules: one gradient for each reward component in, the share of each in the step out.

>>> from lab import combining
>>> combining.shares("min-norm", [[1.0, 0.0], [0.0, 2.0]])
array([0.8, 0.2])
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lab.errors import InputError
from lab.registry import find, rules
from lab.walk import import_all

__all__ = ["names", "shares"]

import_all(__name__, __path__)


def shares(name: str, gradients: ArrayLike, **options: Any) -> NDArray[np.float64]:
    """Shares of several gradients under the rule `name`; the step goes along Σ share · gradient.

    Args:
        name: A registered combining rule (see `names`).
        gradients: One gradient for each reward component [K, N], or for S runs [K, S, N].
        **options: The rule's options.

    Returns:
        Shares [K] or [K, S]; of a rule that remembers earlier steps, those of the first.

    Raises:
        UnknownNameError: No such rule or option. InputError: A wrong shape, or numbers that are not finite.
    """
    rule = find("combine", name)
    rule.check_options(options)
    array = np.asarray(gradients, dtype=np.float64)
    if array.ndim not in (2, 3) or not len(array):
        raise InputError(f"gradients have shape {array.shape}; they must be [K, N] or [K, S, N]")
    if not np.isfinite(array).all():
        raise InputError("gradients hold values that are not finite numbers")
    each = array[:, None] if array.ndim == 2 else array
    if rule.memory is not None:
        options["memory"] = rule.memory(each.shape[1])
    found = rule.function(each, **{**rule.options, **options})
    found = np.asarray(found if rule.memory is None else found[0])
    return found[:, 0] if array.ndim == 2 else found


def names() -> list[str]:
    """Names of all combining rules."""
    return list(rules("combine"))
