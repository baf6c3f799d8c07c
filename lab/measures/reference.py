"""A gradient against a reference: the gradient from many more rollouts, with the error that it has itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["against_reference"]

Array = NDArray[Any]


def against_reference(gradient: Any, batches: Array) -> dict[str, Array]:
    """How far an estimate is from the mean of independent gradients, and how sure that is.

    Standard errors are those of the jackknife over the batches: √((B − 1)/B Σ (θ₋ᵦ − mean θ₋)²), θ₋ᵦ being the value
    without batch b. The noise of the reference pulls a cosine towards 0, by 1/√(1 + reference_se²).

    Args:
        gradient: The estimate [S, N], an array or a tensor.
        batches: Gradients from B ≥ 2 independent batches of rollouts [B, S, N]; the reference is their mean.

    Returns:
        [S] each: cosine_reference and grad_error_reference, with their errors under the names with "_se" behind them,
        and reference_se, the standard error of the reference over its norm. The relative error is NaN where the
        estimate points away from the reference.

    Source: the lab's own definition; jackknife: Efron and Stein (1981).
    """
    count = len(batches)
    given = gradient if isinstance(gradient, np.ndarray) else gradient.cpu().numpy()
    estimate, each = given.astype(np.float64), np.asarray(batches, dtype=np.float64)
    own, along = np.einsum("sn,sn->s", estimate, estimate), np.einsum("sn,bsn->bs", estimate, each)
    between = np.einsum("bsn,csn->bcs", each, each)
    squares = np.einsum("bbs->bs", between)

    def angle(along: Array, square: Array) -> tuple[Array, Array]:
        with np.errstate(invalid="ignore", divide="ignore"):
            cosine = along / np.sqrt(own * square)
            tangent = np.sqrt(np.maximum(1 / cosine**2 - 1, 0))
        return cosine, np.where(cosine > 0, tangent, np.nan)

    whole = between.sum((0, 1))
    cosine, error = angle(along.sum(0), whole)
    without = angle(along.sum(0) - along, whole - 2 * between.sum(0) + squares)
    spread = np.sqrt(np.maximum(squares.sum(0) - whole / count, 0) / (count - 1) / count)
    cosine_se, error_se = (np.sqrt((count - 1) * theta.var(axis=0)) for theta in without)
    with np.errstate(invalid="ignore", divide="ignore"):
        reference_se = spread / (np.sqrt(whole) / count)
    return {
        "cosine_reference": cosine, "cosine_reference_se": cosine_se, "grad_error_reference": error,
        "grad_error_reference_se": error_se, "reference_se": reference_se,
    }  # fmt: skip
