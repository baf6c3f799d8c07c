"""Scores of the flow world beside log π: functions of its weights, of which the world gives values and gradients.

Each takes (world, parameters [S, N], rollouts) and gives a tensor [S, P, G, L], L being its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from simulators.flow.fields import NOISED
from simulators.records import Floats, Policy, Rollouts

if TYPE_CHECKING:
    from simulators.flow.world import Flow

__all__ = ["SCORES", "noised", "velocity"]


def velocity(world: Flow, parameters: Tensor, rollouts: Rollouts) -> Tensor:
    """Velocities at the noised samples [S, P, G, 2T], the coordinates of a time beside one another."""
    return world.velocities(parameters, rollouts.extra["noised"], rollouts.extra["noised_at"]).flatten(-2)


#: The scores by name.
SCORES: Mapping[str, Callable[[Flow, Tensor, Rollouts], Tensor]] = MappingProxyType({"velocity": velocity})


def noised(world: Flow, policy: Policy, ends: Floats, noise: Floats) -> dict[str, Any]:
    """The fields of `fields.NOISED`.

    Args:
        world: The world.
        policy: What sampled.
        ends: Samples [S, P, G, 2].
        noise: ε, standard normal [S, P, G, T, 2].
    """
    times = np.broadcast_to([step.t for step in world.schedule], noise.shape[:-1]).copy()
    x = (1 - times[..., None]) * ends[..., None, :] + times[..., None] * noise
    with torch.no_grad():
        old, start = (
            world.velocities(each, x, times).double().numpy() for each in (policy.parameters, world.start(len(ends)))
        )
    return dict(zip(NOISED, (x, times, old, start), strict=True))
