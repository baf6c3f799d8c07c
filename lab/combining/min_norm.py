"""The minimum-norm point of the convex hull of the gradients: a step that lowers no reward, where there is one."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.composites import method
from lab.errors import InputError
from lab.registry import register

__all__ = ["min_norm"]

Array = NDArray[Any]
_MOST = 8  # 255 faces of the simplex, each a linear system of at most nine unknowns


@register(
    "combine", "min-norm", paper="baselines", equation="g = Σ_k a_k g_k,  a = argmin_{a ≥ 0, Σ a = 1} ‖Σ_k a_k g_k‖²"
)
def min_norm(gradients: Array, *, unit: bool = False) -> Array:
    """MGDA: the shortest vector g of the convex hull of the gradients. ⟨g_k, g⟩ ≥ ‖g‖² for every k.

    So a small step along g lowers no component's objective; where no direction raises them all, g is 0. A component
    whose gradient is exactly 0 (all its rewards are equal in every group) asks for nothing, and is left out of the
    hull: with it g would be 0. Where all are 0 the shares are equal.

    On each face of the simplex the shortest point of the plane solves a linear system; the shortest of those that lie
    inside their face is the answer. It is exact for any K and takes 2^K − 1 small systems, so K is at most 8. For two
    gradients it is a_1 = clip(⟨g_2 − g_1, g_2⟩ / ‖g_1 − g_2‖², 0, 1).

    Args:
        gradients: One for each reward component [K, S, N].
        unit: Look for the point among the gradients scaled to norm 1, so that a long one is not given a small share for
            its length; the shares are those of the gradients as they are.

    Returns:
        Shares [K, S], at least 0, that sum to 1.

    Raises:
        InputError: There are more than eight gradients.

    Source: Désidéri, Comptes Rendus 350 (2012), 313; Sener and Koltun (arXiv 1810.04650).
    """
    if len(gradients) > _MOST:
        raise InputError(f"min-norm combines up to {_MOST} gradients; here are {len(gradients)}")
    gram = _gram(gradients)
    norms = np.sqrt(np.diagonal(gram, axis1=1, axis2=2))
    scale = np.where(norms > 0, norms, 1.0) if unit else np.ones_like(norms)
    shares = _shortest(gram / (scale[:, :, None] * scale[:, None, :]), norms > 0) / scale
    return np.ascontiguousarray((shares / shares.sum(axis=1, keepdims=True)).T)


def _gram(gradients: Array) -> Array:
    """Inner products of the gradients of each run [S, K, K], in float64."""
    g = np.ascontiguousarray(gradients, dtype=np.float64)
    return np.stack([np.stack([(a * b).sum(axis=-1) for b in g], axis=-1) for a in g], axis=-1)


def _shortest(gram: Array, lively: Array) -> Array:
    """Weights [S, K] of the shortest point of the hull of the vectors that are not 0, by their inner products."""
    runs, number = lively.shape
    best, length = np.full((runs, number), 1.0 / number), np.full(runs, np.inf)
    for size in range(1, number + 1):
        faces = np.array(list(combinations(range(number), size)))  # [F, m]
        weights = np.zeros((runs, len(faces), number))
        weights[:, np.arange(len(faces))[:, None], faces] = _in_plane(gram[:, faces[:, :, None], faces[:, None, :]])
        inside = (weights >= 0).all(axis=2) & lively[:, faces].all(axis=2)
        square = (weights[..., :, None] * gram[:, None] * weights[..., None, :]).reshape(*inside.shape, -1).sum(axis=2)
        square = np.where(inside, square, np.inf)
        first = square.argmin(axis=1)[:, None]
        shortest = np.take_along_axis(square, first, axis=1)[:, 0]
        better = shortest < length
        best[better] = np.take_along_axis(weights, first[..., None], axis=1)[better, 0]
        length = np.minimum(length, shortest)
    return best


def _in_plane(gram: Array) -> Array:
    """Weights [..., m], any that sum to 1, of the shortest point: [[G, 1], [1ᵀ, 0]] (a, −μ) = (0, 1)."""
    size = gram.shape[-1]
    largest = gram.max(axis=(-2, -1), keepdims=True)
    system = np.ones((*gram.shape[:-2], size + 1, size + 1))
    system[..., :size, :size], system[..., size, size] = gram / np.where(largest > 0, largest, 1.0), 0.0
    return np.asarray(np.linalg.pinv(system, rcond=1e-13, hermitian=True)[..., :size, size])


method(
    "mgda", advantage="dr_grpo", combine="min-norm", note="one gradient per reward component, combined to the shortest "
    "vector of their hull, along which no component falls",
)  # fmt: skip
