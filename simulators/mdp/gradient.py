"""The policy gradient on a tabular MDP: exact, and as REINFORCE samples it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from simulators.mdp.episodes import walk
from simulators.mdp.mdp import MDP
from simulators.records import Floats

__all__ = ["exact", "reinforce", "softmax"]


def softmax(theta: ArrayLike) -> Floats:
    """Policy π(a | s) of a table of logits: [S, A] -> [S, A]."""
    logits = np.asarray(theta, dtype=np.float64)
    weight = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weight / weight.sum(axis=-1, keepdims=True)


def exact(mdp: MDP, reward: ArrayLike, theta: ArrayLike) -> Floats:
    """dJ/dθ[s, a] = d(s) π(a|s) A(s, a), with d(s) the discounted visits (they add up to 1/(1 − g)).

    Args:
        mdp: The world, with a discount below 1.
        reward: [S, A, S], [S, A] or [S].
        theta: Logits [S, A].

    Returns:
        [S, A].

    Raises:
        ValueError: Shapes that do not fit, a discount of 1.

    Source: mdp-substrate in the catalogue; Sutton and others 1999.
    """
    policy = _checked(mdp, theta)
    value = mdp.value(reward, policy)
    action_value = mdp.expected(reward) + mdp.discount * mdp.transition @ value
    return mdp.occupancy(policy) * (action_value - value[:, None])


def reinforce(
    mdp: MDP, reward: ArrayLike, theta: ArrayLike, *, episodes: int, horizon: int, rng: np.random.Generator
) -> Floats:
    """Σ_t g^t G_t ∇log π(a_t | s_t) of single episodes, G_t = Σ_{k ≥ t} g^(k−t) r_k up to the horizon.

    Args:
        mdp: The world.
        reward: As in `exact`.
        theta: Logits [S, A].
        episodes: Number n of samples.
        horizon: Steps of an episode; the rest, of weight g^horizon/(1 − g) at most, is left out.
        rng: Where the numbers come from.

    Returns:
        [n, S, A]; the mean tends to `exact`.

    Raises:
        ValueError: As `exact`, or no episodes or steps.
    """
    policy, pays = _checked(mdp, theta), mdp.rewards(reward)
    drawn = walk(mdp, episodes, horizon, policy=policy, rng=rng)
    states, actions = drawn.states.T, drawn.actions.T
    earned = pays[states[:-1], actions, states[1:]]
    gradient, to_go = np.zeros((len(drawn.states), mdp.states, mdp.actions)), np.zeros(len(drawn.states))
    rows = np.arange(len(to_go))
    for t in reversed(range(len(actions))):
        to_go = earned[t] + mdp.discount * to_go
        weight = mdp.discount**t * to_go
        gradient[rows, states[t], actions[t]] += weight
        gradient[rows, states[t]] -= weight[:, None] * policy[states[t]]
    return gradient


def _checked(mdp: MDP, theta: ArrayLike) -> Floats:
    logits = np.asarray(theta, dtype=np.float64)
    if logits.shape != (mdp.states, mdp.actions) or not np.isfinite(logits).all():
        raise ValueError(f"theta must be finite logits [S, A] = {(mdp.states, mdp.actions)}, not {logits.shape}")
    return softmax(logits)
