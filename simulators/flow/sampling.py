"""From noise to data along a grid of times: a deterministic sampler, and a stochastic one whose steps have a density.

Time runs from 1 (noise) to 0 (data); x_t = (1 − t) x_0 + t ε, and the velocity is that of ε − x_0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Step", "log_density", "ode", "schedule"]


class Step(NamedTuple):
    """One step of a sampler, from time t to t + d.

    The stochastic one goes to N(keep · x + push · v, deviation²) in each coordinate.

    Attributes:
        t: time at its start.
        d: change of time, below 0.
        deviation: of the noise; 0: the step is deterministic and has no density.
        keep: factor of x in the mean.
        push: factor of the velocity in the mean.
    """

    t: float
    d: float
    deviation: float
    keep: float
    push: float

    def mean(self, x: Any, v: Any) -> Any:
        """Where the step goes to on average."""
        return self.keep * x + self.push * v


def schedule(steps: int, noise: float) -> list[Step]:
    """The T steps of the stochastic sampler on the even grid; with `noise` 0 those of the deterministic one.

    σ_t = a √(t / (1 − t)), at t = 1 with the next time in the denominator; the mean is x (1 + σ² d / 2t) +
    v (1 + σ² (1 − t) / 2t) d and the deviation σ √−d.

    Args:
        steps: T.
        noise: a.

    Source: flow_grpo, sd3_sde_with_logprob.py; golden file flow-substrate-sde.json.
    """
    return [step_of(1 - i / steps, 1 - (i + 1) / steps, 1 - 1 / steps, noise) for i in range(steps)]


def step_of(t: float, to: float, second: float, noise: float) -> Step:
    """The step from time t to time `to` on a grid whose second time is `second`."""
    d = to - t
    sigma = noise * math.sqrt(t / (1 - (second if t == 1 else t))) if noise else 0.0
    drift = sigma**2 / (2 * t)
    return Step(t, d, sigma * math.sqrt(-d), 1 + drift * d, (1 + drift * (1 - t)) * d)


def log_density(after: Any, mean: Any, deviation: Any) -> Any:
    """log N(after; mean, deviation²), summed over the coordinates in the last axis, of arrays or tensors.

    Args:
        after: where a step went [..., D].
        mean: where it goes on average [..., D].
        deviation: its noise, broadcast against [..., D].
    """
    log = deviation.log() if hasattr(deviation, "log") else np.log(deviation)
    return (-(((after - mean) / deviation) ** 2) / 2 - log - math.log(2 * math.pi) / 2).sum(-1)


def ode(velocity: Callable[[Any, float], Any], x: Any, steps: int) -> Any:
    """The end of the deterministic sampler from noise x.

    Args:
        velocity: of x and a time.
        x: noise.
        steps: T of an even grid.
    """
    for step in schedule(steps, 0.0):
        x = step.mean(x, velocity(x, step.t))
    return x
