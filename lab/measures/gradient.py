"""Measurements of gradients: norm, angle to the truth, spikes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simulators.compiled import kernel
from simulators.sums import inner

if TYPE_CHECKING:
    import polars as pl

__all__ = ["agent_norms", "clip_norm", "cosine", "norm", "relative_error", "robust_score", "spikes"]

Array = NDArray[Any]


@kernel
def _dot(a, b, out):  # type: ignore[no-untyped-def]
    for s in range(a.shape[0]):
        out[s] = inner(a[s], b[s])


def dot(a: Array, b: Array) -> Array:
    """Inner product of each run's parameters: [S, ...] x [S, ...] -> [S]."""
    out = np.empty(a.shape[0])
    _dot(np.ascontiguousarray(a).reshape(len(a), -1), np.ascontiguousarray(b).reshape(len(b), -1), out)
    return out


def norm(gradient: Any) -> Array:
    """Euclidean norm of each run's gradient: [S, ...] -> [S]; of a tensor only these numbers leave its device."""
    if not isinstance(gradient, np.ndarray):
        return gradient.flatten(1).double().norm(dim=1).cpu().numpy()
    return np.asarray(np.sqrt(dot(gradient, gradient)))


def agent_norms(gradient: Array, axis: int) -> Array:
    """Euclidean norm of each agent's part of the gradient, agents along `axis`: [S, ..., N, ...] -> [S, N]."""
    parts = np.moveaxis(gradient, axis, 1)
    return np.asarray(np.sqrt((parts.reshape(*parts.shape[:2], -1) ** 2).sum(axis=-1)))


def clip_norm(gradient: Any, limit: float, norms: Array | None = None) -> Any:
    """The gradient scaled down to norm `limit` in the runs where it is larger: [S, ...] -> [S, ...]."""
    size = norm(gradient) if norms is None else norms
    factor = np.minimum(1.0, limit / np.maximum(size, 1e-300))
    scale = factor.reshape(-1, *[1] * (gradient.ndim - 1))
    return gradient * (scale if isinstance(gradient, np.ndarray) else gradient.new_tensor(scale))


def cosine(gradient: Array, truth: Array) -> Array:
    """Cosine between two gradients of each run, NaN where one of them is zero: [S, ...] -> [S]."""
    scale = norm(gradient) * norm(truth)
    return np.asarray(np.where(scale > 0, dot(gradient, truth) / np.where(scale > 0, scale, 1.0), np.nan))


def relative_error(gradient: Array, truth: Array) -> Array:
    """Distance of the estimate from its projection onto the truth, over that projection's norm: [S, ...] -> [S].

    Rules differ by a positive factor, so the comparison leaves the factor free: the result is the tangent of the angle
    to the exact gradient, infinite or NaN where the projection vanishes or points backwards (then NaN).
    """
    c = cosine(gradient, truth)
    positive = c > 0
    safe = np.where(positive, c, 1.0)
    return np.asarray(np.where(positive, np.sqrt(np.maximum(1 - safe**2, 0)) / safe, np.nan))


@kernel
def _robust_score(x, window, floor, out):  # type: ignore[no-untyped-def]
    """out[t] = (x[t] - median) / (1.4826 MAD + floor * median) over the `window` values before t; NaN before that."""
    for t in range(x.size):
        out[t] = np.nan
        past = x[max(t - window, 0) : t]
        past = np.sort(past[past == past])
        size = past.size
        if t < window or size == 0 or x[t] != x[t]:
            continue
        middle = 0.5 * (past[(size - 1) // 2] + past[size // 2])
        away = np.sort(np.abs(past - middle))
        mad = 0.5 * (away[(size - 1) // 2] + away[size // 2])
        scale = 1.4826 * mad + floor * abs(middle)
        out[t] = (x[t] - middle) / scale if scale > 0 else (0.0 if x[t] <= middle else np.inf)


def robust_score(values: Array, window: int = 20, floor: float = 0.05) -> Array:
    """Robust z-score of each value against the `window` values before it.

    (x - median) / (1.4826 MAD + floor * |median|), median and MAD over the trailing window; the floor keeps a flat
    stretch from turning a flicker into a spike.

    Args:
        values: One value per step [T]; missing values (NaN) score NaN and are left out of the windows.
        window: Length of the trailing window in steps.
        floor: Share of the median that counts as ordinary variation.

    Returns:
        Scores [T]; NaN for the first `window` steps.

    Source: the lab's own definition.
    """
    x = np.ascontiguousarray(values, dtype=np.float64)
    out = np.empty(x.size)
    _robust_score(x, window, floor, out)
    return out


def spikes(
    frame: pl.DataFrame, *, metric: str = "grad_norm", window: int = 20, threshold: float = 6.0, floor: float = 0.05
) -> pl.DataFrame:
    """A trace with its spikes marked: where the robust z-score of `metric` is at least `threshold`.

    Args:
        frame: A trace with columns variant, seed, step and `metric`.
        metric: Column to look at.
        window: Length of the trailing window in rows.
        threshold: Score from which on a step is a spike.
        floor: See `robust_score`.

    Returns:
        The frame sorted by variant, seed, step with columns `score` and `spike`.
    """
    import polars as pl

    ordered = frame.sort("variant", "seed", "step", maintain_order=True)
    parts = [
        part.with_columns(score=pl.Series(robust_score(part[metric].fill_null(np.nan).to_numpy(), window, floor)))
        for part in ordered.partition_by("variant", "seed", maintain_order=True)
    ]
    scored = pl.concat(parts) if parts else ordered.with_columns(score=pl.lit(None, pl.Float64))
    scored = scored.with_columns(pl.col("score").fill_nan(None))
    return scored.with_columns(spike=(pl.col("score") >= threshold).fill_null(False))
