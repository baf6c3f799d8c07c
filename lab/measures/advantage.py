"""Measurements of advantages: signs, signal, levels, spread."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.advantages.statistics import NO_SIGNAL
from simulators.stride import MEASURES, measure_runs

__all__ = [
    "advantage_spread", "distinct_levels", "effective_rollouts", "largest_advantage", "no_signal_share", "per_rollout",
    "sign_flip_rate",
]  # fmt: skip

Array = NDArray[Any]

#: A true advantage smaller than this in magnitude has no sign.
NO_TRUTH = 1e-12
FLOORS = (NO_SIGNAL, NO_TRUTH)


def basic(advantage: Array, truth: Array, reward: Array, keep: Array | None) -> dict[str, Array]:
    """Reward, sign_flip, no_signal and advantage_max of each run [S], in one pass."""
    row = np.empty((len(MEASURES), len(advantage)))
    kept = np.empty((0, 0, 0), dtype=np.bool_) if keep is None else np.ascontiguousarray(keep)
    given = np.ascontiguousarray(reward)[..., None], truth, np.ascontiguousarray(advantage)
    measure_runs(*given, kept, FLOORS, row)
    names = ("reward", "sign_flip", "no_signal", "advantage_max")
    return {name: row[MEASURES.index(name)] for name in names}


def per_rollout(advantage: Array, mask: Array | None = None, ndim: int = 3) -> Array:
    """Advantages per rollout [..., P, G]: a rule per token [..., P, G, T] is averaged over its valid tokens."""
    if advantage.ndim == ndim:
        return advantage
    if advantage.shape[-1] == 1:
        return advantage[..., 0]
    if mask is None:
        return np.asarray(advantage.mean(axis=-1))
    return np.asarray((advantage * mask).sum(axis=-1) / np.maximum(mask.sum(axis=-1), 1))


def sign_flip_rate(advantage: Array, truth: Array, keep: Array | None = None) -> Array:
    """Share of rollouts whose advantage has the other sign than their true advantage.

    Args:
        advantage: Advantages [..., P, G].
        truth: True advantages [..., P, G]: expected reward of the rollout minus the prompt's value.
        keep: Rollouts that take part in the update [..., P, G]; None: all.

    Returns:
        One rate per leading index [...], among rollouts where neither is zero (|A| <= 1e-9, |truth| <= 1e-12);
        NaN where there is none.

    Source: the lab's own definition, after MC-GRPO (arXiv 2601.22582).
    """
    signed = (np.abs(advantage) > NO_SIGNAL) & (np.abs(truth) > NO_TRUTH)
    if keep is not None:
        signed &= keep
    flips = signed & ((advantage > 0) != (truth > 0))
    number = signed.sum(axis=(-2, -1))
    return np.asarray(np.where(number == 0, np.nan, flips.sum(axis=(-2, -1)) / np.maximum(number, 1)))


def no_signal_share(advantage: Array, keep: Array | None = None) -> Array:
    """Share of groups all of whose (kept) advantages are zero: [..., P, G] -> [...]."""
    alive = np.abs(advantage) > NO_SIGNAL
    if keep is not None:
        alive &= keep
    return np.asarray(1 - alive.any(axis=-1).mean(axis=-1))


def largest_advantage(advantage: Array) -> Array:
    """Largest |A| of the batch: [..., P, G] -> [...]."""
    return np.asarray(np.abs(advantage).max(axis=(-2, -1)))


def advantage_spread(advantage: Array) -> Array:
    """Population deviation of the advantages over the batch: [..., P, G] -> [...]."""
    return np.asarray(advantage.std(axis=(-2, -1)))


def distinct_levels(advantage: Array, resolution: float = 1e-6) -> Array:
    """Number of different advantages in each group, to `resolution`: [..., P, G] -> [..., P].

    Source: GDPO, arXiv 2601.05242, gdpo.1 (rounded to 1e-6).
    """
    ordered = np.sort(advantage, axis=-1)
    return np.asarray(1 + (np.diff(ordered, axis=-1) > resolution).sum(axis=-1))


def effective_rollouts(advantage: Array) -> Array:
    """(Σ|A|)² / ΣA² over the batch [..., P, G] -> [...]: rollouts that share the update equally; 0 without signal."""
    square = (advantage**2).sum(axis=(-2, -1))
    total = np.abs(advantage).sum(axis=(-2, -1))
    return np.asarray(np.where(square > NO_SIGNAL**2, total**2 / np.maximum(square, NO_SIGNAL**2), 0.0))
