"""Episodes of which only the return is seen: which step earned what must be found out.

A step is a vector x of 24 independent standard normal numbers, and earns r(x) = x₀ − 0.3 (x₁² + x₂²) + 0.8 · 1[x₃ > ½];
the other twenty numbers mean nothing. An *encoder* is what somebody who has understood the task, or thinks so, makes of
x: `ENCODERS` holds the right one and some that are wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulators.bandit.world import Bandit
from simulators.errors import check_count, check_room
from simulators.records import Floats, Policy, Rollouts, Truth
from simulators.reward_laws import normal

__all__ = ["DIMENSIONS", "ENCODERS", "WEIGHTS", "Delayed", "draw", "factors", "reward"]

DIMENSIONS = 24
#: Reward of each factor.
WEIGHTS = (1.0, 0.3, 0.8)

_DISTRACTORS = 8


def factors(x: ArrayLike) -> Floats:
    """What matters about steps x [..., 24]: x₀, −(x₁² + x₂²) and 1[x₃ > ½] [..., 3]."""
    v = np.asarray(x, dtype=np.float64)
    return np.stack([v[..., 0], -(v[..., 1] ** 2 + v[..., 2] ** 2), np.where(v[..., 3] > 0.5, 1.0, 0.0)], axis=-1)


def reward(x: ArrayLike) -> Floats:
    """True reward of steps x [..., 24]: [...]."""
    return np.asarray(factors(x) @ np.array(WEIGHTS))


def _raw(x: Floats) -> Floats:
    return np.asarray(x, dtype=np.float64)


def _distracted(x: Floats) -> Floats:
    return np.concatenate([factors(x), _raw(x)[..., 4 : 4 + _DISTRACTORS]], axis=-1)


def _one_missing(x: Floats) -> Floats:
    return factors(x)[..., [0, 2]]


#: What a decoder is given of a step [..., 24]: all of it, the factors, the factors and eight numbers that mean nothing,
#: the factors without the quadratic one.
ENCODERS: Mapping[str, Callable[[Floats], Floats]] = {
    "raw": _raw,
    "factors": factors,
    "factors and distractors": _distracted,
    "one factor missing": _one_missing,
}


def draw(episodes: int, rng: np.random.Generator, *, steps: int = 50) -> tuple[Floats, Floats]:
    """Independent episodes: their steps x [N, T, 24] and the true reward of each [N, T].

    Args:
        episodes: N, at least 1.
        rng: Where the numbers come from.
        steps: T, at least 1.
    """
    shape = check_count("episodes", episodes, least=1), check_count("steps", steps, least=1), DIMENSIONS
    x = rng.standard_normal(shape)
    return x, reward(x)


class Delayed(Bandit):
    """The same as a task: at each of T steps one of A vectors is chosen, and only the return counts.

    Choices are independent, so the world is a bandit with a head per step, of which a single number is seen: the sum.
    Scored by a `decoder`, rollouts have the return that it believes in; `gold` is the true one.

    Args:
        prompts: P. Each has vectors of its own, N(0, 1).
        steps: T.
        choices: A.
        decoder: Reward that somebody believes in, for vectors [..., 24] -> [...]; the true one by default.
        seed: Draws the vectors.

    Attributes:
        vectors: x [P, T, A, 24].
        believed: What the decoder says of them [P, T, A].

    Raises:
        ValueError: Fewer than one prompt, step or choice, or a decoder that gives another shape or no finite number.
    """

    name = "delayed"
    provides: tuple[str, ...] = ("token_rewards",)
    components: tuple[str, ...] = ("return",)

    def __init__(
        self, prompts: int = 4, *, steps: int = 20, choices: int = 4,
        decoder: Callable[[Floats], ArrayLike] | None = None, seed: int = 0,
    ) -> None:  # fmt: skip
        sizes = {"prompts": prompts, "steps": steps, "choices": choices}
        shape = tuple(check_count(name, size, least=1) for name, size in sizes.items())
        check_room(2 * prod(shape) * DIMENSIONS, **sizes)
        self.vectors = np.random.default_rng(seed).standard_normal((*shape, DIMENSIONS))
        self.true = reward(self.vectors)
        self.believed = self.true if decoder is None else np.asarray(decoder(self.vectors), dtype=np.float64)
        if self.believed.shape != self.true.shape or not np.isfinite(self.believed).all():
            raise ValueError(f"the decoder gives shape {self.believed.shape}; it must be finite rewards {shape}")
        super().__init__(means=self.believed, law=normal(0.0))

    def rollout(
        self, policy: Policy, group_size: int, step: int, *, attempt: int = 0, fields: Sequence[str] = ()
    ) -> Rollouts:
        """Sample G episodes of every prompt: rewards [S, P, G, 1]; "token_rewards" adds the steps' [S, P, G, T]."""
        others = [f for f in fields if f != "token_rewards"]
        drawn = super().rollout(policy, group_size, step, attempt=attempt, fields=others)
        earned = self.at(self.believed, drawn)
        total = earned.sum(axis=-1, keepdims=True)
        return replace(drawn, rewards=total, token_rewards=earned if "token_rewards" in fields else None)

    def at(self, values: Floats, rollouts: Rollouts) -> Floats:
        """Entries of a table [P, T, A, ...] at the choices of rollouts of all prompts: [S, P, G, T, ...]."""
        prompt, step = np.ix_(np.arange(self.prompts), np.arange(self.heads))
        return values[prompt[:, None], step[None], rollouts.actions]

    def truth(
        self, policy: Policy, rollouts: Rollouts, *, gradient: bool = True, weights: ArrayLike | None = None
    ) -> Truth:
        """Exact values of what the rollouts are scored by; see `Bandit.truth`."""
        scale = 1.0 if weights is None else float(np.asarray(weights, dtype=np.float64).item())
        return super().truth(policy, rollouts, gradient=gradient, weights=np.full(self.heads, scale))

    def gold(self, policy: Policy) -> NDArray[Any]:
        """Expected true return, averaged over prompts [S]."""
        return (self._tables(policy).probabilities * self.true).sum(axis=(-2, -1)).mean(axis=-1)
