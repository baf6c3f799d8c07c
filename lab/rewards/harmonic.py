"""The lambda-harmonic reward: a weighted harmonic mean, so that the weakest likeness decides."""

from __future__ import annotations

import numpy as np

from lab.advantages.statistics import Array
from lab.composites import method
from lab.errors import InputError
from lab.registry import register

__all__ = ["harmonic_mean", "harmonic_reward"]

_FLOOR = 1e-8


def harmonic_mean(first: Array, second: Array, weight: float = 0.3) -> Array:
    """1 / (weight/(first + 1e-8) + (1 - weight)/(second + 1e-8)), for values in [0, 1] and any shape.

    Args:
        first: Likeness to the references.
        second: Agreement with the text.
        weight: lambda in [0, 1]; 1 gives `first` and 0 gives `second`, exactly.

    Returns:
        Rewards in the shape of the inputs; about 1e-8 over its weight where a value is 0.

    Raises:
        InputError: lambda lies outside [0, 1].

    Source: arXiv 2407.12164, lambda-harmonic reward; golden file harmonic-rpo.json.
    """
    if not 0 <= weight <= 1:
        raise InputError(f"harmonic: weight={weight!r}; lambda must lie within [0, 1]")
    if weight in (0, 1):
        return np.array(first if weight == 1 else second)
    return 1 / (weight / (first + _FLOOR) + (1 - weight) / (second + _FLOOR))


@register(
    "reward", "harmonic-rpo", paper="harmonic-rpo", equation="r = 1 / (λ/a + (1 − λ)/b),  a, b = (similarity + 1)/2"
)
def harmonic_reward(rewards: Array, *, weight: float = 0.3, low: float = -1.0, high: float = 1.0) -> Array:
    """The lambda-harmonic reward of two similarities, each mapped from [low, high] to [0, 1].

    Args:
        rewards: Likeness to the references, agreement with the text [..., P, G, K]. A single component is only mapped;
            further ones are averaged harmonically with the second.
        weight: lambda, the share of the first component.
        low: Similarity that becomes 0.
        high: Similarity that becomes 1.

    Returns:
        Rewards [..., P, G, 1].

    Source: arXiv 2407.12164, lambda-harmonic reward; golden file harmonic-rpo.json.
    """
    unit = np.clip((rewards - low) / (high - low), 0.0, 1.0)
    if unit.shape[-1] == 1:
        return unit
    others = unit[..., 1] if unit.shape[-1] == 2 else 1 / (1 / (unit[..., 1:] + _FLOOR)).mean(axis=-1)
    return harmonic_mean(unit[..., 0], others, weight)[..., None]


method("harmonic-rpo", advantage="dr_grpo", objective="harmonic-rpo", reward="harmonic-rpo", paper="harmonic-rpo",
       note="harmonic reward, preference of one half of the group over the other, pull towards the first half",
       )  # fmt: skip
