"""Batches of rewards as single papers draw them, under the names that they have there.

A law takes a generator and the shape [..., P, G] and gives rewards of that shape; some give more, on axes behind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from simulators.errors import unknown_name
from simulators.records import Floats

__all__ = [
    "BATCHES", "batch", "em_mid", "em_u", "f1", "five_rewards", "information_gain", "noisy_judge", "reward_gap",
    "rouge", "saturated", "score_pair", "turn_effects", "two_agents",
]  # fmt: skip

Shape: TypeAlias = Sequence[int]

_GAIN = np.array([0.35, 0.12, 0.06, 0.03, 0.02, 0.01])
_GAIN_SPREAD = np.array([0.2, 0.12, 0.1, 0.08, 0.06, 0.05])


def _per_prompt(shape: Shape) -> tuple[int, ...]:
    return (*shape[:-1], 1)


def em_u(rng: np.random.Generator, shape: Shape, concentration: float = 0.25) -> Floats:
    """Exact match, hardly any prompt of middling difficulty: Bernoulli(p), p ~ Beta(1/4, 1/4) (golongrl-tmn)."""
    success = rng.beta(concentration, concentration, _per_prompt(shape))
    return (rng.random(tuple(shape)) < success).astype(np.float64)


def em_mid(rng: np.random.Generator, shape: Shape) -> Floats:
    """Exact match, prompts of middling difficulty: Bernoulli(p), p ~ Beta(4, 4) (golongrl-tmn)."""
    return em_u(rng, shape, 4.0)


def f1(rng: np.random.Generator, shape: Shape) -> Floats:
    """A score within [0, 1] around the prompt's own d: Beta(4d, 4(1 − d)), d ~ U(0.1, 0.9) (golongrl-tmn)."""
    centre = rng.uniform(0.1, 0.9, _per_prompt(shape))
    return rng.beta(4 * centre, 4 * (1 - centre), tuple(shape))


def rouge(rng: np.random.Generator, shape: Shape) -> Floats:
    """A narrow score: 0.3 U(0, 1) of the prompt plus N(0, 0.03²), cut to [0, 1] (golongrl-tmn)."""
    centre = 0.3 * rng.random(_per_prompt(shape))
    return np.clip(centre + 0.03 * rng.standard_normal(tuple(shape)), 0, 1)


def five_rewards(rng: np.random.Generator, shape: Shape) -> Floats:
    """Bernoulli(0.5), Bernoulli(0.8) and three U(0, 1) [..., P, G, 5] (refine-rft)."""
    uniform = rng.random((*shape, 5))
    return np.where(np.arange(5) < 2, uniform < [0.5, 0.8, 0, 0, 0], uniform)


def saturated(rng: np.random.Generator, shape: Shape) -> Floats:
    """A reward that has nearly nothing left to teach: 0.9 + N(0, 0.01²) (dvao)."""
    return 0.9 + 0.01 * rng.standard_normal(tuple(shape))


def noisy_judge(rng: np.random.Generator, shape: Shape) -> Floats:
    """Noise alone, N(0, 1) (dvao)."""
    return rng.standard_normal(tuple(shape))


def reward_gap(rng: np.random.Generator, shape: Shape) -> Floats:
    """Reward of the demonstration above that of the answers: N(1, 0.5²) (grpo-s)."""
    return 1 + 0.5 * rng.standard_normal(tuple(shape))


def score_pair(rng: np.random.Generator, shape: Shape) -> Floats:
    """Whole scores from 0 to 10, N(6, 2²) for prompts 0, 2, ... and N(4.5, 2²) for 1, 3, ... (gcpo)."""
    mean = np.where(np.arange(shape[-2]) % 2 == 0, 6.0, 4.5)[:, None]
    return np.clip(np.rint(mean + 2 * rng.standard_normal(tuple(shape))), 0, 10)


def information_gain(rng: np.random.Generator, shape: Shape, correlation: float = 0.0) -> Floats:
    """Gains of six tool turns [..., P, G, 6], early ones larger: N(μ_t, σ_t²) with a common correlation (a2tgpo)."""
    common, own = rng.standard_normal(_behind(shape, 1)), rng.standard_normal(_behind(shape, _GAIN.size))
    return _GAIN + _GAIN_SPREAD * (np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own)


def two_agents(
    rng: np.random.Generator,
    shape: Shape,
    share: float = 0.8,
    first: tuple[float, float] = (0.2, 0.4),
    second: tuple[float, float] = (0.9, 0.1),
) -> Floats:
    """Scores of calls, the first `share` of a group's by an agent N(mean, deviation²), the rest by another (dr-mas)."""
    later = np.arange(shape[-1]) >= share * shape[-1]
    mean, deviation = (np.where(later, b, a) for a, b in zip(first, second, strict=True))
    return rng.normal(mean, deviation, tuple(shape))


def turn_effects(
    rng: np.random.Generator,
    shape: Shape,
    turns: int = 8,
    now: float = 0.3,
    delayed: Sequence[float] = (0.3, 0.3),
    noise: float = 0.5,
) -> Floats:
    """Rewards of turns and the true effects of their actions [..., P, G, T, 2] (mapo).

    An action a_t ~ Bernoulli(1/2) is worth `now` at once and delayed[k − 1] after k turns; every turn also gets
    exp(−t/2) and N(0, noise²).
    """
    action = rng.integers(0, 2, _behind(shape, turns)).astype(np.float64)
    reward = now * action + np.exp(-np.arange(turns) / 2) + noise * rng.standard_normal(action.shape)
    effect = now * action
    for lag, size in enumerate(delayed, start=1):
        reward[..., lag:] += size * action[..., :-lag]
        effect[..., :-lag] += size * action[..., :-lag]
    return np.stack([reward, effect], axis=-1)


def _behind(shape: Shape, number: int) -> tuple[int, ...]:
    return (*shape, number)


#: Name of a batch -> law of (generator, shape) with its defaults.
BATCHES: Mapping[str, Callable[..., Floats]] = {
    f.__name__: f
    for f in (
        em_u, em_mid, f1, rouge, five_rewards, saturated, noisy_judge, reward_gap, score_pair, information_gain,
        two_agents, turn_effects,
    )
}  # fmt: skip


def batch(name: str, shape: Shape, *, seed: int = 0, **options: float) -> Floats:
    """One batch of rewards.

    Args:
        name: A key of `BATCHES`.
        shape: [..., P, G].
        seed: Any whole number of at least 0.
        **options: The law's own numbers.

    Returns:
        Rewards [..., P, G], with further axes behind where the law says so.

    Raises:
        ValueError: No such law, or a shape without prompts and rollouts.
    """
    if name not in BATCHES:
        raise unknown_name("batch of rewards", name, BATCHES)
    if len(shape) < 2 or min(shape) < 1:
        raise ValueError(f"shape={tuple(shape)}; it must be [..., prompts, rollouts], each at least 1")
    return BATCHES[name](np.random.default_rng(seed), tuple(shape), **options)
