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

__all__ = ["MODES", "Pair", "diffusion_nft", "drawn", "optimality"]

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


class Pair(NamedTuple):
    """The losses L± [...] of the two implicit policies v± = v_old ± β (v − v_old), and their slopes in v [..., D]."""

    positive: Array
    negative: Array
    positive_slope: Array
    negative_slope: Array

    @classmethod
    def of(cls, v: Array, old: Array, x0: Array, x: Array, t: Array, beta: float) -> Pair:
        """From velocities [..., D] at noised samples x [..., D] of x0 [..., D] at times t [...].

        L± = mean_d (x± − x0)² / w±, x± = x − t v±, w± = max(mean_d |x± − x0|, 1e-5), which is held fixed.
        """
        found = []
        for sign in (1.0, -1.0):
            away = x - t[..., None] * (old + sign * beta * (v - old)) - x0
            w = np.maximum(np.abs(away).mean(-1), _FLOOR)
            found += [(away**2).mean(-1) / w, -2 * sign * beta * t[..., None] * away / (w[..., None] * v.shape[-1])]
        return cls(found[0], found[2], found[1], found[3])


def drawn(pair: Pair, r: Array, away: Array, beta: float, kl: float) -> tuple[Array, Array]:
    """The loss of each noised sample [...], 5 (r L+ + (1 - r) L-)/β + λ mean_d away², and its slope in v [..., D].

    Args:
        pair: The two losses.
        r: The share that is taken for good, broadcast to [...].
        away: How far the velocity is from the first policy's [..., D].
        beta: β.
        kl: λ.
    """
    both, slope = (
        _STRENGTH / beta * (r * pair.positive + (1 - r) * pair.negative),
        _STRENGTH / beta * (r[..., None] * pair.positive_slope + (1 - r)[..., None] * pair.negative_slope),
    )
    return both + kl * (away**2).mean(-1), slope + 2 * kl * away / away.shape[-1]


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
    v = np.stack([scores[name] for name in _VELOCITY], axis=-1)
    r = optimality(t.per_rollout, mode, limit)[..., None]
    pair = Pair.of(v, velocity_old, reached[..., -1:, :], noised, noised_at, beta)
    losses, slopes = drawn(pair, r, v - velocity_start, beta, velocity_kl)

    def weights() -> dict[str, Array]:
        w = -slopes / math.prod(noised_at.shape[-3:])
        return {name: w[..., d] for d, name in enumerate(_VELOCITY)}

    return Formula(weights, lambda: np.asarray(losses.mean((-3, -2, -1))))


method("diffusion-nft", advantage="flow-grpo", objective="diffusion-nft", max_grad_norm=1.0, paper="flow-substrate",
       note="the velocity is drawn to rewarded samples and away from others, without a likelihood")  # fmt: skip
