"""Optimizers: how a gradient moves the parameters. Ascent, because the lab's gradients point uphill."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.errors import UnknownNameError
from lab.training.settings import OPTIMIZERS

__all__ = ["OPTIMIZERS", "Optimizer", "alike", "on_host"]

Array = NDArray[Any]


class Optimizer:
    """Gradient ascent on parameters [S, ...], in place; each run has its own moments.

    Args:
        name: "sgd": p += lr g. "momentum": m = beta m + g, p += lr m. "adam": Kingma and Ba's, bias-corrected.
        lr: Learning rate, on the mean objective (1/(P·G)) Σ w ∇log π.
        momentum: beta of "momentum" and beta1 of "adam".
        beta2: Decay of adam's second moment.
        eps: Adam's numerical floor.
    """

    def __init__(self, name: str, lr: float, *, momentum: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> None:
        if name not in OPTIMIZERS:
            raise UnknownNameError("optimizer", name, OPTIMIZERS)
        self.name, self.lr, self.momentum, self.beta2, self.eps = name, lr, momentum, beta2, eps
        self.state: dict[str, Array] = {}
        self.steps = 0

    def step(self, parameters: Array, gradient: Array) -> None:
        """Move `parameters` along `gradient`, both [S, ...]."""
        self.steps += 1
        if self.name == "sgd":
            parameters += self.lr * gradient
        elif self.name == "momentum":
            velocity = self._moment("velocity", gradient)
            velocity *= self.momentum
            velocity += gradient
            parameters += self.lr * velocity
        else:
            self._adam(parameters, gradient)

    def _adam(self, parameters: Array, gradient: Array) -> None:
        first, second = self._moment("first", gradient), self._moment("second", gradient)
        first += (1 - self.momentum) * (gradient - first)
        second += (1 - self.beta2) * (gradient**2 - second)
        mean = first / (1 - self.momentum**self.steps)
        deviation = (second / (1 - self.beta2**self.steps)) ** 0.5
        parameters += self.lr * mean / (deviation + self.eps)

    def _moment(self, name: str, like: Array) -> Array:
        if name not in self.state:
            self.state[name] = 0 * like
        return self.state[name]


def on_host(array: Any) -> Array:
    """An array, or a tensor on its device, as NumPy."""
    return array if isinstance(array, np.ndarray) else array.detach().cpu().numpy()


def alike(array: Array, like: Any) -> Any:
    """A copy of the array of the kind that `like` is: NumPy, or a tensor on its device."""
    return np.array(array) if isinstance(like, np.ndarray) else like.new_tensor(array)
