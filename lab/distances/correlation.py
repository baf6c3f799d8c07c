"""Distances with a name of their own: EPIC, DARD, Pearson, the direct forms, NPEC and the distance of episode returns.

Pearson's distance sqrt((1 - rho) / 2) is half the distance of the two rewards scaled to unit length, which is how it is
computed: so identical rewards are at exactly 0, and a zero reward, which has no correlation, at 0.5 from any other.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike

from lab.distances.canonical import Array, Form, distribution
from lab.distances.distance import Distance, rounding
from lab.distances.with_model import policy_value
from lab.distances.without_model import dard, epic, minimalpotential, shaped
from lab.errors import InputError
from simulators.mdp.mdp import MDP

__all__ = ["NAMED", "coverage", "direct", "mean_power_norm", "pearson_of"]

NAMED: dict[str, Distance] = {}

AXIOMS = {"symmetric", "triangle"}


def _named(
    name: str, equation: str, properties: Iterable[str], maximum: float | None, paper: str = "reward-distances"
) -> Callable[[Callable[..., Array]], Callable[..., Array]]:
    def add(function: Callable[..., Array]) -> Callable[..., Array]:
        parameters = list(inspect.signature(function).parameters.values())[4:]
        options = {p.name: p.default for p in parameters}
        NAMED[name] = Distance(name, function, frozenset(properties), maximum, equation, paper, options)
        return function

    return add


def mean_power_norm(values: Array, power: float, weight: Array) -> Array:
    """(sum w |x|^p)^(1/p) along the last axis. Source: reward-distances, direct Lp; golden file epic.json."""
    return np.asarray((np.abs(values) ** power @ weight) ** (1 / power))


def direct(form: Form, first: Array, second: Array, weight: Array, power: float, least: float) -> Array:
    """Half the Lp distance of forms scaled to unit Lp length, 0.5 ||C1/||C1|| - C2/||C2||||: [M], between 0 and 1.

    Args:
        form: Forms of N rewards, kind "full".
        first: Index of the first reward of each pair [M].
        second: Index of the second [M].
        weight: Coverage distribution over (s, a, s') [S*A*S].
        power: p.
        least: A form that is smaller than this share of its reward counts as zero; see `rounding`.

    Source: reward-distances, direct Lp variant; golden file epic.json.
    """
    length = mean_power_norm(form.values, power, weight)
    zero = length <= least * mean_power_norm(form.reference, power, weight)
    unit = np.where(zero, 0.0, 1 / np.where(zero, 1.0, length))[:, None] * form.values
    pairs = zip(first, second, strict=True)
    return np.array([0.5 * mean_power_norm(unit[i] - unit[j], power, weight) for i, j in pairs])


def pearson_of(form: Form, first: Array, second: Array, weight: Array, least: float) -> Array:
    """sqrt((1 - rho) / 2), rho the correlation under the coverage distribution `weight`: [M].

    Source: reward-distances, Pearson distance; golden file epic.json.
    """
    centred = form.values - (form.values @ weight)[:, None]
    return direct(Form(centred, form.reference), first, second, weight, 2, least)


def coverage(mdp: MDP, state_dist: ArrayLike | None = None, action_dist: ArrayLike | None = None) -> Array:
    """Coverage distribution over (s, a, s'), the product D_S x D_A x D_S [S*A*S]; uniform by default."""
    states = distribution("state_dist", state_dist, mdp.states)
    actions = distribution("action_dist", action_dist, mdp.actions)
    return (states[:, None, None] * actions[:, None] * states).ravel()


def _flat(rewards: Array) -> Form:
    values = rewards.reshape(len(rewards), -1)
    return Form(values, values)


@_named("pearson", "d = √((1 − ρ)/2),  ρ the correlation of R₁ and R₂", AXIOMS | {"offset", "scale", "opposite"}, 1.0)
def _pearson(
    mdp: MDP, rewards: Array, first: Array, second: Array, *,
    state_dist: ArrayLike | None = None, action_dist: ArrayLike | None = None,
) -> Array:  # fmt: skip
    """Pearson distance of the rewards as they are. Source: golden file epic.json (`pearson_distance_raw`)."""
    return pearson_of(_flat(rewards), first, second, coverage(mdp, state_dist, action_dist), rounding(mdp))


_EPIC = AXIOMS | {"shaping", "offset", "scale", "opposite"}


@_named("epic", "d = √((1 − ρ)/2),  ρ the correlation of the EPIC canonical forms", _EPIC, 1.0)
def _epic(
    mdp: MDP, rewards: Array, first: Array, second: Array, *,
    state_dist: ArrayLike | None = None, action_dist: ArrayLike | None = None,
) -> Array:  # fmt: skip
    """EPIC: half of `epic-l2-l2` if distributions are uniform. Source: reward-distances (arXiv 2006.13900)."""
    form = epic(mdp, rewards, state_dist=state_dist, action_dist=action_dist)
    return pearson_of(form, first, second, coverage(mdp, state_dist, action_dist), rounding(mdp))


@_named("epic-direct", "d = ½ ‖C₁/‖C₁‖ₚ − C₂/‖C₂‖ₚ‖ₚ,  C the EPIC canonical forms", _EPIC, 1.0)
def _epic_direct(
    mdp: MDP, rewards: Array, first: Array, second: Array, *, power: float = 1.0,
    state_dist: ArrayLike | None = None, action_dist: ArrayLike | None = None,
) -> Array:  # fmt: skip
    """EPIC with an Lp norm in place of the correlation (equal for p = 2). Source: reward-distances, direct Lp."""
    if not power >= 1:
        raise InputError(f"power={power!r}; an Lp norm needs p >= 1")
    form = epic(mdp, rewards, state_dist=state_dist, action_dist=action_dist)
    return direct(form, first, second, coverage(mdp, state_dist, action_dist), power, rounding(mdp))


@_named("dard", "d = √((1 − ρ)/2),  ρ the correlation of the DARD canonical forms over what can happen", _EPIC, 1.0)
def _dard(mdp: MDP, rewards: Array, first: Array, second: Array, *, action_dist: ArrayLike | None = None) -> Array:
    """DARD over transitions that can happen, weighted by P. Source: reward-distances, DARD (arXiv 2201.10081)."""
    weight = distribution("action_dist", action_dist, mdp.actions)[:, None] * mdp.transition / mdp.states
    form = dard(mdp, rewards, action_dist=action_dist)
    return pearson_of(form, first, second, weight.ravel(), rounding(mdp))


@_named("npec", "d = min over k ≥ 0, c, φ of ‖k R₁ + c + γφ(s′) − φ(s) − R₂‖₂ / √(S²A)", {"shaping", "offset"}, None)
def _npec(mdp: MDP, rewards: Array, first: Array, second: Array) -> Array:
    """NPEC: how near the second reward the first comes by scaling and shaping, in units of the second: not symmetric.

    Where the authors alternate two least-squares steps 100 times, this is their limit: project both on what is not a
    potential, then scale. The shift c is a potential unless the discount is 1, and then it is left out as there.

    Source: reward-distances, NPEC (arXiv 2006.13900).
    """
    values = minimalpotential(mdp, rewards).values
    zero = np.linalg.norm(values, axis=-1) <= rounding(mdp) * np.linalg.norm(rewards.reshape(values.shape), axis=-1)
    values = np.where(zero[:, None], 0.0, values)
    source, target = values[first], values[second]
    square = np.vecdot(source, source)
    factor = np.maximum(np.vecdot(source, target), 0) / np.where(square > 0, square, 1)
    return np.linalg.norm(factor[:, None] * source - target, axis=-1) / np.sqrt(values.shape[-1])


@_named("erc", "d = √((1 − ρ)/2),  ρ the correlation of the two returns of an episode",
        AXIOMS | {"offset", "scale", "opposite"}, 1.0)  # fmt: skip
def _erc(mdp: MDP, rewards: Array, first: Array, second: Array, *, policy: ArrayLike | None = None) -> Array:
    """Episode return correlation under a policy (uniform by default), exact for episodes without end.

    A return is the value of its first state plus the surprises on the way, g^t (R + g V(s') - V(s)), which are
    uncorrelated; so its variance is a weighted sum of their squares. A potential moves the value of the first state:
    it is not seen only where the start is one state.

    Source: reward-distances, ERC.
    """
    value = policy_value(mdp, mdp.mean(rewards), policy)
    surprise = shaped(mdp, rewards, value)
    moved = value - (value @ mdp.start)[:, None]
    pi = mdp.probabilities(policy)
    chain = (pi[:, None] @ mdp.transition)[:, 0]
    visits = np.linalg.solve(np.eye(mdp.states) - mdp.discount**2 * chain.T, mdp.start)
    weight = np.concatenate([(visits[:, None, None] * pi[:, :, None] * mdp.transition).ravel(), mdp.start])
    reference = np.concatenate([surprise.reference, np.zeros_like(moved)], axis=-1)
    form = Form(np.concatenate([surprise.values, moved], axis=-1), reference)
    return direct(form, first, second, weight, 2, rounding(mdp))
