"""Bradley and Terry's model of preferences: of two episodes the one with more reward is preferred, more often than not.

P(first preferred) = σ((R(first) − R(second)) / temperature), with R linear in what happened. So the reward is the
weight vector of a logistic regression on differences of counts.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lab.errors import InputError, check_number, check_whole
from simulators.mdp.episodes import counts, walk
from simulators.mdp.mdp import MDP

__all__ = ["Learned", "bradley_terry", "learned_reward", "prefer"]

Array = NDArray[Any]

_STEPS = 200


def _sigmoid(x: Array) -> Array:
    return 0.5 * (1 + np.tanh(0.5 * x))


def prefer(first: ArrayLike, second: ArrayLike, *, temperature: float = 1.0, rng: np.random.Generator) -> Array:
    """Noisy comparisons of returns: whether the first of each pair is preferred.

    Args:
        first: Returns [M].
        second: Returns [M].
        temperature: Noise in units of the return; 0 for none, with a coin tossed between equal returns.
        rng: Where the numbers come from.

    Returns:
        Booleans [M].

    Raises:
        InputError: A temperature below 0.

    Source: Bradley and Terry 1952.
    """
    check_number("temperature", temperature, lambda x: x >= 0, "a number of at least 0")
    ahead = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    chance = _sigmoid(ahead / temperature) if temperature else 0.5 * (1 + np.sign(ahead))
    return np.asarray(rng.random(ahead.shape) < chance)


def bradley_terry(difference: ArrayLike, preferred: ArrayLike, *, ridge: float = 0.1) -> Array:
    """Weights w that make the preferences likeliest, max Σ log P(y | σ(x·w)) − ½ ridge ‖w‖², by Newton's method.

    Args:
        difference: Features of the first of each pair less those of the second, x [M, F].
        preferred: Whether the first is preferred, y [M]: Booleans, or shares of voters in [0, 1].
        ridge: Precision of the normal prior of every weight, above 0: without it preferences that contradict nobody
            would have no largest likelihood, and weights that no comparison tells of would be anything.

    Returns:
        Weights [F], in units of the temperature of the comparisons. A direction that no comparison tells of gets 0.

    Raises:
        InputError: Shapes that do not fit, values that are not finite, shares outside [0, 1], a ridge of 0 or less.

    Source: dense-rewards, preference reward; Christiano and others 2017.
    """
    x, y = np.asarray(difference, np.float64), np.asarray(preferred, np.float64)
    if x.ndim != 2 or y.shape != x.shape[:1]:
        raise InputError(f"difference must be [M, F] and preferred [M], not {x.shape} and {y.shape}")
    if not np.isfinite(x).all() or not ((y >= 0) & (y <= 1)).all():
        raise InputError("differences must be finite, preferences Booleans or shares between 0 and 1")
    check_number("ridge", ridge, lambda x: x > 0, "a number above 0")
    weights = np.zeros(x.shape[1])
    loss = _loss(x, y, ridge, weights)
    for _ in range(_STEPS):
        chance = _sigmoid(x @ weights)
        slope = x.T @ (y - chance) - ridge * weights
        curvature = (x * (chance * (1 - chance))[:, None]).T @ x + ridge * np.eye(len(weights))
        step, size = np.linalg.solve(curvature, slope), 1.0
        while (new := _loss(x, y, ridge, weights + size * step)) > loss - 1e-4 * size * (slope @ step) and size > 1e-9:
            size /= 2
        if new >= loss:  # nothing is gained but rounding
            return weights
        weights, loss = weights + size * step, new
    return weights


def _loss(x: Array, y: Array, ridge: float, weights: Array) -> float:
    """Negative log-likelihood and half the ridge."""
    ahead = x @ weights
    return float(np.logaddexp(0, ahead).sum() - y @ ahead + 0.5 * ridge * weights @ weights)


class Learned(NamedTuple):
    """A reward learned from comparisons.

    Attributes:
        reward: [S], [S, A] or [S, A, S] by what it was let depend on; any method of the world takes it.
        preferred: Which episode of each pair was preferred, True for the first [M].
        right: Share of comparisons in which the episode of larger return was preferred; 1 where none differ.
    """

    reward: Array
    preferred: Array
    right: float


def learned_reward(
    mdp: MDP, reward: ArrayLike, comparisons: int = 50, *, temperature: float = 1.0, horizon: int = 10,
    of: str = "state", policy: ArrayLike | None = None, ridge: float = 0.1, seed: int = 0,
) -> Learned:  # fmt: skip
    """The reward that a Bradley-Terry model learns from noisy comparisons of pairs of episodes.

    Args:
        mdp: The world.
        reward: The true reward, which decides the comparisons: [S, A, S], [S, A] or [S].
        comparisons: Number M of pairs; the first M of a longer list with the same seed are the same.
        temperature: Noise of a comparison in units of the return, see `prefer`.
        horizon: Steps T of an episode; rewards are added up, not discounted.
        of: What the learned reward may depend on: "state" (arrived at), "action" (in a state) or "transition".
        policy: Under which episodes are drawn; uniform by default.
        ridge: See `bradley_terry`.
        seed: Another seed, other episodes and other mistakes.

    Returns:
        The learned reward, in units of the true one.

    Raises:
        InputError, ValueError: Numbers or names that make no comparison; see `prefer`, `bradley_terry` and `walk`.

    Source: dense-rewards, preference reward.
    """
    pays, number = mdp.rewards(reward), check_whole("comparisons", comparisons, least=1)
    pairs, noise = (np.random.default_rng([seed, k]) for k in range(2))
    drawn = [walk(mdp, 2, horizon, policy=policy, rng=pairs) for _ in range(number)]
    features = np.stack([counts(mdp, both, of) for both in drawn])
    returns = np.stack([pays[e.states[:, :-1], e.actions, e.states[:, 1:]].sum(axis=-1) for e in drawn])
    preferred = prefer(*returns.T, temperature=temperature, rng=noise)
    difference = (features[:, 0] - features[:, 1]).reshape(len(drawn), -1)
    weights = (temperature or 1.0) * bradley_terry(difference, preferred, ridge=ridge)
    differ = returns[:, 0] != returns[:, 1]
    agrees = preferred == (returns[:, 0] > returns[:, 1])
    return Learned(
        weights.reshape(features.shape[2:]), preferred, float(agrees[differ].mean()) if differ.any() else 1.0
    )
