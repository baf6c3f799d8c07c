"""Functions of one hidden layer, several side by side, with their exact means under Gaussian responses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np

from simulators.records import Floats

__all__ = ["Perceptron"]

_NODES, _CHUNK = 128, 1 << 16


def _sigmoid(z: Floats) -> Floats:
    return 0.5 * (1 + np.tanh(0.5 * z))


def _silu_slope(z: Floats) -> Floats:
    share = _sigmoid(z)
    return share * (1 + z * (1 - share))


@cache
def _quadrature() -> tuple[Floats, Floats]:
    """Nodes and shares of an integral over N(0, 1)."""
    nodes, shares = np.polynomial.hermite_e.hermegauss(_NODES)
    return nodes, shares / shares.sum()


#: Activation -> itself and its slope.
_ACTIVATIONS: Mapping[str, tuple[Callable[[Floats], Floats], Callable[[Floats], Floats]]] = {
    "silu": (lambda z: z * _sigmoid(z), _silu_slope),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
}


@dataclass(frozen=True, eq=False)
class Perceptron:
    """S functions f(x) = Σ_h out_h φ(w_h · x + b_h) + constant of responses [D].

    Attributes:
        weights: w [S, H, D].
        offsets: b [S, H].
        out: [S, H].
        constant: [S].
        activation: φ, "silu" or "tanh".
    """

    weights: Floats
    offsets: Floats
    out: Floats
    constant: Floats
    activation: str = "silu"

    def __len__(self) -> int:
        return len(self.weights)

    def __getitem__(self, chosen: slice | list[int]) -> Perceptron:
        """Those of the S functions."""
        parts = {name: getattr(self, name)[chosen] for name in ("weights", "offsets", "out", "constant")}
        return replace(self, **parts)

    def __call__(self, responses: Floats) -> Floats:
        """Values [S, ...] of responses [S, ..., D], or of the same ones for all [1, ..., D]."""
        count, shape = len(self), np.shape(responses)[1:-1]
        x = np.asarray(responses, np.float64).reshape(len(responses), -1, np.shape(responses)[-1])
        found = np.empty((count, x.shape[1]))
        for s in range(count):  # one by one: numbers do not depend on who stands beside
            own = x[s % len(x)]
            for start in range(0, len(own), _CHUNK):
                found[s, start : start + _CHUNK] = self._values(s, own[start : start + _CHUNK])
        return found.reshape(count, *shape)

    def _values(self, s: int, x: Floats) -> Floats:
        hidden = _ACTIVATIONS[self.activation][0](x @ self.weights[s].T + self.offsets[s])
        return np.asarray(hidden @ self.out[s] + self.constant[s])

    def gradient(self, responses: Floats) -> Floats:
        """Gradients [S, N, D] of the values of responses [S, N, D]."""
        z = responses @ self.weights.mT + self.offsets[:, None]
        return np.asarray((_ACTIVATIONS[self.activation][1](z) * self.out[:, None]) @ self.weights)

    def scaled(self, shift: Floats, scale: Floats) -> Perceptron:
        """(f − shift) / scale, both [S]."""
        return replace(self, out=self.out / scale[:, None], constant=(self.constant - shift) / scale)

    def mean(self, at: Floats) -> Floats:
        """E f(x) [S] for x ~ N(at, I), at [S, D]: an integral for each hidden unit."""
        return (self.out * self._smoothed(at, 0)).sum(-1) + self.constant

    def slope(self, at: Floats) -> Floats:
        """Gradient of `mean` in `at` [S, D]."""
        return np.einsum("sh,shd->sd", self.out * self._smoothed(at, 1), self.weights)

    def _smoothed(self, at: Floats, which: int) -> Floats:
        """E φ(z) or E φ'(z) of each unit [S, H], by Gauss and Hermite."""
        nodes, shares = _quadrature()
        centre = np.einsum("shd,sd->sh", self.weights, np.broadcast_to(at, (len(self), self.weights.shape[-1])))
        z = (centre + self.offsets)[..., None] + self._spread[..., None] * nodes
        return np.asarray(_ACTIVATIONS[self.activation][which](z) @ shares)

    @cached_property
    def _spread(self) -> Floats:
        """Deviation of each unit's input [S, H]."""
        return np.linalg.norm(self.weights, axis=-1)
