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

from simulators.devices import on_host
from simulators.errors import one_of
from simulators.flow import pretraining
from simulators.flow.fields import NOISED
from simulators.flow.sampling import Step
from simulators.records import Floats, Policy, Rollouts

__all__ = ["SCORES", "Network", "Scores", "denoising", "noised", "velocity"]


class Network(Protocol):
    """What a score needs of the flow world."""

    schedule: list[Step]

    def velocities(self, parameters: Tensor, x: Floats, t: Any) -> Tensor:
        """Velocities [S, P, ..., 2] at samples [S, P, ..., 2] and times that broadcast to them."""

    def start(self, runs: int) -> Tensor:
        """The pretrained weights of S runs [S, N]."""

    def densities(self, parameters: Tensor, rollouts: Rollouts) -> Tensor:
        """Log-density of every step [S, P, G, T], nats."""


def velocity(world: Network, parameters: Tensor, rollouts: Rollouts) -> Tensor:
    """Velocities at the noised samples [S, P, G, T, 2]."""
    return world.velocities(parameters, rollouts.extra["noised"], rollouts.extra["noised_at"])


def denoising(world: Network, parameters: Tensor, rollouts: Rollouts) -> Tensor:
    """How far the velocities are from ε − x_0, squared, and how much further the pretrained ones [S, P, G, T, 2].

    β times the second is DPO's implicit reward, β (‖v − v_start‖² − ‖v − v_θ‖²) with v = ε − x_0: what a flow that is
    the best one for a reward and a KL penalty of strength β would have been rewarded with.
    """
    held, now = rollouts.extra, velocity(world, parameters, rollouts)
    x, start, ends = (torch.from_numpy(held[n]).to(now) for n in ("noised", "velocity_start", "reached"))
    t = torch.from_numpy(held["noised_at"]).to(now)[..., None]
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


class Scores:
    """The scores of one batch at some weights, each worked out when it is first asked for, with its gradient.

    A score's way through the network is walked once, whatever the number of gradients that are taken of it.

    Args:
        world: The world.
        parameters: Weights of the runs [S, N].
        rollouts: The batch.

    Attributes:
        rollouts: The batch.
        moves: Version of the weights that they are of.
    """

    def __init__(self, world: Network, parameters: Tensor, rollouts: Rollouts) -> None:
        self.rollouts, self.moves = rollouts, parameters._version
        self._world, self._weights = world, parameters.detach().requires_grad_()
        self._found: dict[Any, Any] = {}

    @torch.enable_grad()
    def _score(self, name: str) -> Tensor:
        """Tensor [S, P, G, L]; columns of one function are worked out together."""
        if name == "logp":
            return self._once(name, self._world.densities, self._weights, self.rollouts)
        of, column = one_of("score of the flow world", name, {"logp": None, **SCORES})
        return self._once(of, of, self._world, self._weights, self.rollouts)[..., column]

    def _once(self, key: Any, made: Callable[..., Any], *given: Any) -> Any:
        if key not in self._found:
            self._found[key] = made(*given)
        return self._found[key]

    def values(self, name: str) -> Floats:
        """A score [S, P, G, L]; the same array whenever it is asked for."""
        found: Floats = self._once((name,), lambda: np.ascontiguousarray(on_host(self._score(name).detach())))
        return found

    def pull(self, weights: Mapping[str, Floats]) -> Tensor:
        """Σ w ∇score over the scores that are weighed: a tensor [S, N]."""
        with torch.enable_grad():
            held = {n: torch.from_numpy(np.ascontiguousarray(w)).to(self._weights) for n, w in weights.items()}
            total = sum((w * self._score(n)).sum() for n, w in held.items())
            (found,) = torch.autograd.grad(total, self._weights, retain_graph=True)
        return found


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
        old, start = (on_host(world.velocities(each, x, times)) for each in (policy.parameters, world.start(len(ends))))
    return dict(zip(NOISED, (x, times, old, start), strict=True))
