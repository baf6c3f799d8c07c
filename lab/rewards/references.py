"""Rewards of reference responses, beside which some rules see a reward."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lab.advantages.statistics import Array
from lab.errors import InputError
from simulators.records import declare_field

__all__ = ["references", "sigmoid"]

declare_field("reference_rewards", "SPMK", "rewards of responses of the initial policy to the same prompt")


def references(rewards: Array, reference_rewards: ArrayLike, most: int | None = None) -> Array:
    """Rewards of the first references of each prompt [..., P, M, K], beside rewards [..., P, G, K].

    Args:
        rewards: [..., P, G, K].
        reference_rewards: [..., P, M, K], or [..., P, M] where there is one component.
        most: How many of the M count; None: all.

    Raises:
        InputError: No reference, a shape that does not fit, or a number that is none.
    """
    found = np.asarray(reference_rewards, dtype=np.float64)
    if found.ndim == rewards.ndim - 1 and rewards.shape[-1] == 1:
        found = found[..., None]
    fits = found.ndim == rewards.ndim and (*found.shape[:-2], found.shape[-1]) == (
        *rewards.shape[:-2],
        rewards.shape[-1],
    )
    if not fits or not found.shape[-2]:
        raise InputError(f"reference_rewards have shape {found.shape}; beside rewards {rewards.shape} they must be "
                         "[..., P, M, K], with at least one reference")  # fmt: skip
    if np.isnan(found).any() or (found == np.inf).any():
        raise InputError("reference_rewards hold a value that is not a number, or infinity")
    if most is not None and most < 1:
        raise InputError(f"references={most}; at least one must count")
    return found[..., :most, :]


def sigmoid(x: Array) -> Array:
    """Logistic function, without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * x))
