"""Rewards of the flow world's samples, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from simulators.errors import one_of
from simulators.flow.mixture import Mixture
from simulators.records import Floats

__all__ = ["REWARDS", "chosen", "rewarded"]

_RADIUS, _BREADTH = 1.2, 0.1  # of the ring: modes lie outside, on a circle of radius 2


def _gone(distance: Floats) -> Floats:
    """exp(−distance), 0 where it is not finite."""
    return np.exp(-np.where(np.isfinite(distance), distance, np.inf))


def _near(x: Floats, wanted: Floats, mixture: Mixture) -> Floats:
    return _gone(((x - wanted[:, None]) ** 2).sum(-1) / 2)


def _far(coordinate: Floats) -> Floats:
    """1 / (1 + exp(−2 coordinate)), 0 where it is not finite."""
    return np.where(np.isfinite(coordinate), (1 + np.tanh(coordinate)) / 2, 0.0)


def _ring(x: Floats, wanted: Floats, mixture: Mixture) -> Floats:
    last = np.arange(len(wanted))[:, None] == len(wanted) - 1
    return np.where(last, _gone((np.linalg.norm(x, axis=-1) - _RADIUS) ** 2 / _BREADTH), 0.0)


def _typical(x: Floats, wanted: Floats, mixture: Mixture) -> Floats:
    return _gone((mixture.nearest(x)[1] / (3 * mixture.deviation)) ** 2 / 2)


#: Rewards [..., P, G] of samples [..., P, G, 2] of the prompts, each within [0, 1], from where each prompt wants them
#: [P, 2] and the data. A sample that is not finite gets 0.
REWARDS: Mapping[str, Callable[[Floats, Floats, Mixture], Floats]] = MappingProxyType({
    "near": _near,
    "right": lambda x, wanted, mixture: _far(x[..., 0]),
    "ring": _ring,
    "up": lambda x, wanted, mixture: _far(x[..., 1]),
    "typical": _typical,
})  # fmt: skip


def chosen(rewards: str | Sequence[str]) -> tuple[str, ...]:
    """Names of rewards from a list of them, or several joined by "+".

    Raises:
        ValueError: None, one of them twice, or one that does not exist.
    """
    listed = rewards.split("+") if isinstance(rewards, str) else rewards
    names = tuple(listed) if isinstance(listed, list | tuple) else ()
    for name in names:
        one_of("reward of the flow world", name, REWARDS)
    if not names or len(set(names)) < len(names):
        raise ValueError(f"rewards={rewards!r}; each of at least one reward must be named once")
    return names


def rewarded(names: Sequence[str], x: Floats, wanted: Floats, mixture: Mixture) -> Floats:
    """Rewards by these names [..., P, G, K]."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.stack([REWARDS[name](x, wanted, mixture) for name in names], axis=-1)
