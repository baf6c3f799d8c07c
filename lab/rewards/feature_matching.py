"""Maximum-entropy inverse reinforcement learning: the reward whose soft optimum visits what the expert visits."""

from __future__ import annotations

import numpy as np

from lab.advantages.statistics import Array
from lab.errors import check_number, check_whole

__all__ = ["feature_matching", "soft_policy", "visits"]


def soft_policy(
    transition: Array, discount: float, reward: Array, *, temperature: float = 1.0, value: Array | None = None,
    tolerance: float = 1e-9,
) -> tuple[Array, Array]:  # fmt: skip
    """The policy that maximises discounted reward plus temperature times entropy, by soft value iteration.

    Q = r + γ P V,  V = τ log Σ_a e^(Q/τ),  π = e^((Q − V)/τ).

    Args:
        transition: P [S, A, S].
        discount: γ < 1.
        reward: r [S, A].
        temperature: τ > 0.
        value: Where the iteration starts [S].
        tolerance: Largest change of V at which it ends.

    Returns:
        π [S, A] and V [S].

    Source: Ziebart and others 2008 (discounted, as in Haarnoja and others 2017).
    """
    v = np.zeros(len(transition)) if value is None else value
    while True:
        q = (reward + discount * transition @ v) / temperature
        top = q.max(axis=-1, keepdims=True)
        new = temperature * (top[:, 0] + np.log(np.exp(q - top).sum(axis=-1)))
        if np.abs(new - v).max() <= tolerance:
            return np.exp(q - new[:, None] / temperature), new
        v = new


def visits(transition: Array, discount: float, start: Array, policy: Array) -> Array:
    """Discounted visits of each action of a policy [S, A], scaled to add up to 1: [S, A]."""
    moves = np.einsum("sa,sat->st", policy, transition)
    found: Array = np.linalg.solve(np.eye(len(moves)) - discount * moves.T, (1 - discount) * start)
    return found[:, None] * policy


def feature_matching(
    transition: Array, discount: float, start: Array, features: Array, expert: Array, *, temperature: float = 0.1,
    steps: int = 200, lr: float = 1.0,
) -> Array:  # fmt: skip
    """Weights w of the reward φ · w whose soft optimum has the expert's mean features, by gradient ascent from 0.

    A step adds lr (μ_expert − μ_π), the gradient of the log-likelihood of the demonstrations in units of the
    temperature.

    Args:
        transition: P [S, A, S].
        discount: γ < 1.
        start: Distribution of the first state [S].
        features: φ of each action in each state [S, A, D].
        expert: Discounted visits of the expert [S, A], adding up to 1 (`visits`, or a mean over demonstrations).
        temperature: τ of the soft optimum.
        steps: Steps of ascent.
        lr: Their size.

    Returns:
        Weights [D]. Rewards that the soft optimum cannot tell apart, such as those that differ by a potential, are left
        undetermined.

    Source: dense-rewards in the catalogue, irl; Ziebart and others 2008.
    """
    check_number("temperature", temperature, lambda x: 0 < x < np.inf, "a number above 0")
    weights, value = np.zeros(features.shape[-1]), np.zeros(len(transition))
    wanted = np.einsum("sa,sad->d", expert, features)
    for _ in range(check_whole("steps", steps, 0)):
        policy, value = soft_policy(
            transition, discount, features @ weights, temperature=temperature, value=value, tolerance=1e-6
        )
        weights = weights + lr * (
            wanted - np.einsum("sa,sad->d", visits(transition, discount, start, policy), features)
        )
    return weights
