"""Preference games: how often each action beats each other one, and where policies end that learn from that alone.

Games are [S, A, A], the probability that an action (row) beats another (column); policies are [S, A].
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab import advantages, objectives
from lab.objectives.tokens import sigmoid
from simulators.mdp.gradient import softmax

__all__ = [
    "ascend", "by_scores", "fitted_reward", "gap", "iterate", "maximised", "sampled_iterates", "target", "verdicts",
    "wins",
]  # fmt: skip

Array = NDArray[Any]


def by_scores(score: Array) -> Array:
    """Preferences [S, A, A] that scores [S, A] express, by the Bradley-Terry model."""
    return np.asarray(sigmoid(score[:, :, None] - score[:, None]))


def wins(games: Array, policy: Array) -> Array:
    """The win rate of each action against a policy [S, A]."""
    return np.asarray((games @ policy[..., None])[..., 0])


def gap(games: Array, policy: Array) -> Array:
    """How much the best answer to a policy wins above one half [S]; 0 for the Nash policy."""
    return np.asarray(wins(games, policy).max(axis=-1) - 0.5)


def target(games: Array, policy: Array, eta: float) -> Array:
    """One step of soft policy iteration, π exp(r/η)/Z [S, A]; r are the win rates against π. Source: dno."""
    return softmax(np.log(policy) + wins(games, policy) / eta)


def ascend(games: Array, policy: Array, eta: float, updates: int = 6) -> Array:
    """The policy [S, A] after ascending the objective `dno` on the win rates of all actions, one response each."""
    rates, old, size = wins(games, policy)[:, None], np.log(policy)[:, None, :, None], policy.shape[-1]
    new, length = old, 2 * (size - 1) / eta**2
    for _ in range(updates):
        new = new + length * objectives.weights("dno", new, rates, logp=old, eta=eta)
    return softmax(new[:, 0, :, 0])


def iterate(games: Array, eta: float, steps: int) -> tuple[Array, Array]:
    """Average of the iterates of `ascend` from the uniform policy, and the last one [S, A]."""
    policy = np.full(games.shape[:2], 1 / games.shape[1])
    total = np.zeros_like(policy)
    for _ in range(steps):
        total += policy
        policy = ascend(games, policy, eta)
    return total / steps, policy


def fitted_reward(games: Array, steps: int = 2000) -> Array:
    """Rewards [S, A] of the Bradley-Terry model that fit the preferences best, all pairs counting alike."""
    reward = np.zeros(games.shape[:2])
    for _ in range(steps):
        reward += 0.5 * (games - by_scores(reward)).sum(-1)
    return reward


def maximised(games: Array, kl: float) -> Array:
    """The policy [S, A] that maximises `fitted_reward` with so much KL to the uniform policy."""
    return softmax(fitted_reward(games) / kl)


def sampled_iterates(
    games: Array, iterations: int, rng: np.random.Generator, *, prompts: int = 200, samples: int = 5, updates: int = 5
) -> Array:
    """Every iterate [iterations + 1, S, A] of the objective `dno-prct`, from samples and single comparisons.

    Of each prompt there are some samples and a gold response, one of the three first actions; all are compared once.

    Args:
        games: Preferences [S, A, A].
        iterations: How many.
        rng: Where the numbers come from.
        prompts: Per iteration, of which the policy is the same.
        samples: Per prompt.
        updates: Steps of size 1 on each iteration's samples.

    Source: dno, DNO-Prct.
    """
    logits = np.zeros(games.shape[:2])
    path = [softmax(logits)]
    for _ in range(iterations):
        action, rates = _judged(games, path[-1], (prompts, samples), rng)
        old = np.take_along_axis(np.log(path[-1])[:, None], action, axis=-1)[..., None]
        for _ in range(updates):
            policy = softmax(logits)
            new = np.take_along_axis(np.log(policy)[:, None], action, axis=-1)[..., None]
            w = objectives.weights("dno-prct", new, rates, logp=old)
            chosen = action[..., None] == np.arange(games.shape[1])
            logits = logits + (w * (chosen - policy[:, None, None])).sum(axis=(1, 2))
        path.append(softmax(logits))
    return np.array(path)


def _judged(
    games: Array, policy: Array, counts: tuple[int, int], rng: np.random.Generator
) -> tuple[Array, Array]:  # fmt: skip
    """Samples and a gold response for each prompt, and their win rates [S, P, samples + 1]."""
    runs, (prompts, samples) = len(games), counts
    uniform = rng.random((runs, prompts, samples, 1))
    own = (uniform > policy.cumsum(-1)[:, None, None, :-1]).sum(-1)
    action = np.concatenate([own, rng.integers(0, 3, (runs, prompts, 1))], axis=-1)
    chance = games[np.arange(runs)[:, None, None, None], action[..., :, None], action[..., None, :]]
    return action, 0.5 + advantages.compute("win-rate", np.zeros((*action.shape, 1)), pair_scores=verdicts(chance, rng))


def verdicts(chance: Array, rng: np.random.Generator) -> Array:
    """One verdict on each pair of a group, 1 where the row won [..., G, G], by the chance that it does."""
    once = np.triu(rng.random(chance.shape) < chance, 1)
    return (once | np.tril(~np.swapaxes(once, -1, -2), -1)).astype(float)
