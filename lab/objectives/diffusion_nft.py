"""DiffusionNFT: a flow is drawn towards what was rewarded and away from what was not, without any likelihood."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from lab.composites import method
from lab.errors import UnknownNameError
from lab.objectives.formula import Formula, Terms, formula
from lab.objectives.tokens import Array
from simulators.flow import fields  # noqa: F401  (what is read below)

__all__ = ["MODES", "Pair", "Side", "diffusion_nft", "optimality"]

_VELOCITY = ("velocity_x", "velocity_y")
_STRENGTH, _FLOOR = 5.0, 1e-5  # factor of the loss, and least mean error in its denominator: the source's
#: What becomes of an advantage first, by name; the second argument is the limit.
MODES: Mapping[str, Callable[[Array, float], Array]] = {
    "all": lambda a, limit: np.clip(a, -limit, limit),
    "positive_only": lambda a, limit: np.clip(a, 0, limit),
    "negative_only": lambda a, limit: np.clip(a, -limit, 0),
    "one_only": lambda a, limit: (a > 0).astype(float),
    "binary": lambda a, limit: np.sign(a),
}


def optimality(advantage: Array, mode: str = "all", limit: float = 5.0) -> Array:
    """r = clip(A / (2 limit) + 1/2, 0, 1): the share of a sample that is taken for a good one.

    Args:
        advantage: A, of any shape.
        mode: What becomes of A first, see `MODES`.
        limit: Largest magnitude of A.

    Raises:
        UnknownNameError: No such mode.
    """
    if mode not in MODES:
        raise UnknownNameError("mode of the advantages", mode, MODES)
    return np.clip(MODES[mode](advantage, limit) / (2 * limit) + 0.5, 0.0, 1.0)


class Side(NamedTuple):
    """One of the two implicit policies v± = v_old ± β (v − v_old): what the sample is taken for, less the sample.

    Attributes:
        away: x± − x0, x± = x − t v± [D, ...].
        size: w± = max(mean_d |x± − x0|, 1e-5), which is held fixed [...].
        push: −(±β) t, by which x± moves with v [...].
    """

    away: Array
    size: Array
    push: Array

    def loss(self) -> Array:
        """L± = mean_d (x± − x0)² / w± [...]."""
        return np.asarray((self.away**2).mean(0) / self.size)

    def slope(self) -> Array:
        """Of L± in v [D, ...]."""
        return np.asarray(2 * self.push * self.away / (self.size * len(self.away)))


class Pair(NamedTuple):
    """Both implicit policies; coordinates come first in all arrays, so that they are whole blocks of memory."""

    positive: Side
    negative: Side

    @classmethod
    def of(cls, v: Array, old: Array, x0: Array, x: Array, t: Array, beta: float) -> Pair:
        """From velocities [D, ...] at noised samples x [D, ...] of x0 [D, ...] at times t [...]."""

        def side(sign: float) -> Side:
            away = x - t * (old + sign * beta * (v - old)) - x0
            return Side(away, np.maximum(np.abs(away).mean(0), _FLOOR), -sign * beta * t)

        return cls(side(1.0), side(-1.0))

    def loss(self, r: Array, away: Array, beta: float, kl: float) -> Array:
        """5 (r L+ + (1 − r) L−)/β + λ mean_d away² [...].

        Args:
            r: The share that is taken for good, broadcast to [...].
            away: How far the velocity is from the first policy's [D, ...].
            beta: β.
            kl: λ.
        """
        both = _STRENGTH / beta * (r * self.positive.loss() + (1 - r) * self.negative.loss())
        return np.asarray(both + kl * (away**2).mean(0))

    def slope(self, r: Array, away: Array, beta: float, kl: float) -> Array:
        """The slope of `loss` in v [D, ...]."""
        both = _STRENGTH / beta * (r * self.positive.slope() + (1 - r) * self.negative.slope())
        return np.asarray(both + 2 * kl * away / len(away))


@formula(
    "diffusion-nft",
    paper="flow-substrate",
    equation="w = −∂/∂v mean 5 (r L⁺ + (1 − r) L⁻)/β − 2 λ (v − v_ref)/(B D) on ∇v,  r = clip(A/10 + ½, 0, 1)",
    reads=(),
    scores=_VELOCITY,
)
def diffusion_nft(
    t: Terms, *, scores: Mapping[str, Array], reached: Array, noised: Array, noised_at: Array, velocity_old: Array,
    velocity_start: Array, beta: float = 1.0, velocity_kl: float = 1e-4, mode: str = "all", limit: float = 5.0,
) -> Formula:  # fmt: skip
    """DiffusionNFT: the velocity learns v+ from good samples and v- from bad ones, at noised samples of the rollouts.

    At v = v_old it is the denoising loss weighted with A/5. The loss is affine in r, and so in the advantages as long
    as none is cut off. The old policy is the one that sampled, so it follows at once: the source lets it lag behind by
    a decay that begins at 0.

    Args:
        t: Terms of the batch.
        scores: "velocity_x" and "velocity_y" at the noised samples [..., P, G, T].
        reached: Samples after each step, of which the last counts [..., P, G, T, D].
        noised: Noised samples [..., P, G, T, D].
        noised_at: Their times [..., P, G, T].
        velocity_old: Velocities there under the policy that sampled [..., P, G, T, D].
        velocity_start: And under the first policy [..., P, G, T, D].
        beta: β, how far v± are from the old velocity.
        velocity_kl: λ, of the squared distance to the first policy's velocity.
        mode: What becomes of the advantages, see `MODES`.
        limit: Largest magnitude of an advantage.

    Returns:
        Weights on the gradient of each coordinate of the velocity [..., P, G, T].

    Source: DiffusionNFT, arXiv 2509.16117, scripts/train_nft_sd3.py; golden file flow-substrate-nft.json.
    """
    v = np.stack([scores[name] for name in _VELOCITY])
    old, x, start, ends = (
        np.ascontiguousarray(np.moveaxis(each, -1, 0))
        for each in (velocity_old, noised, velocity_start, reached[..., -1:, :])
    )
    r = optimality(t.per_rollout, mode, limit)[..., None]
    drawn = Pair.of(v, old, ends, x, noised_at, beta), r, v - start, beta, velocity_kl

    def weights() -> dict[str, Array]:
        return dict(zip(_VELOCITY, -Pair.slope(*drawn) / math.prod(noised_at.shape[-3:]), strict=True))

    return Formula(weights, lambda: np.asarray(Pair.loss(*drawn).mean((-3, -2, -1))))


method("diffusion-nft", advantage="flow-grpo", objective="diffusion-nft", max_grad_norm=1.0, paper="flow-substrate",
       note="the velocity is drawn to rewarded samples and away from others, without a likelihood")  # fmt: skip
