"""The data of the flow world: Gaussians on a circle; and how near samples are to them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulators.records import Floats

__all__ = ["Mixture", "energy_distance", "normals"]


class Mixture:
    """Modes in equal distance on a circle around 0.

    Args:
        modes: number of modes K.
        radius: of the circle.
        deviation: of each mode, in each coordinate.
        mass: weight of each mode [K]; equal by default.

    Attributes:
        centres: of the modes [K, 2].
        shares: of the modes [K].

    Raises:
        ValueError: no mode, a deviation that is not above 0, or weights that are negative or all 0.
    """

    def __init__(
        self, modes: int = 8, radius: float = 2.0, deviation: float = 0.15, mass: ArrayLike | None = None
    ) -> None:
        if modes < 1 or not (deviation > 0 and np.isfinite([radius, deviation]).all()):
            raise ValueError(
                f"modes={modes}, deviation={deviation}; at least one mode of a deviation above 0 is needed"
            )
        weights = np.ones(modes) if mass is None else np.asarray(mass, dtype=np.float64)
        if weights.shape != (modes,) or not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
            raise ValueError(f"mass={mass!r}; it must be {modes} weights of at least 0, of which one is above 0")
        angle = 2 * np.pi * np.arange(modes) / modes
        self.centres = radius * np.stack((np.cos(angle), np.sin(angle)), axis=-1)
        self.deviation, self.shares = deviation, weights / weights.sum()

    def sample(self, number: int, draw: np.random.Generator) -> Floats:
        """Samples of the data [number, 2]."""
        mode = draw.choice(len(self.shares), number, p=self.shares)
        return np.asarray(self.centres[mode] + self.deviation * draw.normal(size=(number, 2)))

    def nearest(self, x: NDArray[Any]) -> tuple[NDArray[np.int64], Floats]:
        """The nearest mode of each sample [..., 2], and the distance to its centre."""
        distance = np.linalg.norm(x[..., None, :] - self.centres, axis=-1)
        return distance.argmin(-1), distance.min(-1)

    def within(self, x: NDArray[Any]) -> Floats:
        """Share of the samples [..., n, 2] that lie within 4.5 deviations of a mode."""
        return np.asarray((self.nearest(x)[1] < 4.5 * self.deviation).mean(-1))

    def spread(self, x: NDArray[Any]) -> Floats:
        """How many modes the samples [..., n, 2] use: exp of the entropy of their shares, 1 where all are in one."""
        shares = np.stack([(self.nearest(x)[0] == k).mean(-1) for k in range(len(self.centres))], axis=-1)
        return np.asarray(np.exp(-(shares * np.log(np.where(shares > 0, shares, 1.0))).sum(-1)))


def normals(u: Floats) -> Floats:
    """Independent standard normals [..., 2] from uniforms in [0, 1) [..., 2] (Box and Muller)."""
    radius, angle = np.sqrt(-2 * np.log1p(-u[..., 0])), 2 * np.pi * u[..., 1]
    return np.stack((radius * np.cos(angle), radius * np.sin(angle)), axis=-1)


def energy_distance(x: NDArray[Any], y: NDArray[Any]) -> float:
    """2 E|X − Y| − E|X − X'| − E|Y − Y'| over all pairs of samples [n, 2] and [m, 2]: 0 for equal laws."""

    def mean(a: NDArray[Any], b: NDArray[Any]) -> float:
        squares = (a**2).sum(-1)[:, None] + (b**2).sum(-1) - 2 * a @ b.T
        return float(np.sqrt(np.maximum(squares, 0.0)).mean())

    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    return 2 * mean(x, y) - mean(x, x) - mean(y, y)
