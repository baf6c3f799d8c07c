"""Scores of the flow world beside log π: functions of its weights, of which the world gives values and gradients.

Each is a column of what a function of (world, parameters [S, N], rollouts) gives: a tensor [S, P, G, L, columns].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from simulators.flow import pretraining
from simulators.flow.fields import NOISED
from simulators.flow.sampling import Step
from simulators.records import Floats, Policy, Rollouts

__all__ = ["SCORES", "Network", "denoising", "noised", "velocity"]


class Network(Protocol):
    """What a score needs of the flow world."""

    schedule: list[Step]

    def velocities(self, parameters: Tensor, x: Floats, t: Any) -> Tensor:
        """Velocities [S, P, ..., 2] at samples [S, P, ..., 2] and times that broadcast to them."""

    def start(self, runs: int) -> Tensor:
        """The pretrained weights of S runs [S, N]."""


def velocity(world: Network, parameters: Tensor, rollouts: Rollouts) -> Tensor:
    """Velocities at the noised samples [S, P, G, T, 2]."""
    return world.velocities(parameters, rollouts.extra["noised"], rollouts.extra["noised_at"])


def denoising(world: Network, parameters: Tensor, rollouts: Rollouts) -> Tensor:
    """How far the velocities are from ε − x_0, squared, and how much further the pretrained ones [S, P, G, T, 2].

    β times the second is DPO's implicit reward, β (‖v − v_start‖² − ‖v − v_θ‖²) with v = ε − x_0: what a flow that is
    the best one for a reward and a KL penalty of strength β would have been rewarded with.
    """
    held, now = rollouts.extra, velocity(world, parameters, rollouts)
    x, start, ends = (torch.from_numpy(held[n]).to(now.dtype) for n in ("noised", "velocity_start", "reached"))
    t = torch.from_numpy(held["noised_at"]).to(now.dtype)[..., None]
    away, before = (((x - ends[..., -1:, :]) / t - v).square().sum(-1) for v in (now, start))
    return torch.stack((away, before - away), dim=-1)


#: The scores by name: a function and the column of it.
SCORES: Mapping[str, tuple[Callable[[Network, Tensor, Rollouts], Tensor], int]] = MappingProxyType(
    {
        "velocity_x": (velocity, 0),
        "velocity_y": (velocity, 1),
        "denoising_loss": (denoising, 0),
        "implicit_reward": (denoising, 1),
    }
)


def noised(world: Network, policy: Policy, ends: Floats, noise: Floats) -> dict[str, Any]:
    """The fields of `fields.NOISED`.

    Args:
        world: The world.
        policy: What sampled.
        ends: Samples [S, P, G, 2].
        noise: ε, standard normal [S, P, G, T, 2].
    """
    times = np.broadcast_to([step.t for step in world.schedule], noise.shape[:-1]).copy()
    data, fresh, t = (torch.from_numpy(each) for each in (ends[..., None, :], noise, times))
    x = pretraining.noised(data, fresh, t).numpy()
    with torch.no_grad():
        old, start = (
            world.velocities(each, x, times).double().numpy() for each in (policy.parameters, world.start(len(ends)))
        )
    return dict(zip(NOISED, (x, times, old, start), strict=True))
