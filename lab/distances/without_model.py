"""Canonical forms that don't plan: the reward as it is, EPIC and its variants, DARD, the smallest shaped reward."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lab.distances.canonical import Array, Form, canon, distribution
from lab.errors import InputError
from simulators.mdp.mdp import MDP

__all__ = ["dard", "epic", "greedy", "minimalpotential", "none", "shaped", "singleton", "smallest_potential"]

SHAPING = {"shaping", "offset"}


def shaped(mdp: MDP, rewards: Array, potential: Array, shift: Array | float = 0.0) -> Form:
    """R + g phi[s'] - phi[s] - shift for rewards [N, S, A, S] and potentials [N, S]."""
    form = rewards + (mdp.discount * potential[:, None, None, :] - potential[:, :, None, None] - shift)
    return Form(form.reshape(len(rewards), -1), rewards.reshape(len(rewards), -1))


@canon("C = R", paper="starc")
def none(mdp: MDP, rewards: Array) -> Form:
    """The reward itself [N, S, A, S]. Source: starc."""
    flat = rewards.reshape(len(rewards), -1)
    return Form(flat, flat)


@canon("C = R + γ m(s′) − m(s) − γ m̄,  m(s) = E_{a,s′}[R(s,a,s′)]", unchanged=SHAPING, paper="reward-distances")
def epic(
    mdp: MDP, rewards: Array, *, state_dist: ArrayLike | None = None, action_dist: ArrayLike | None = None
) -> Form:
    """EPIC: the advantage of R where the next state is drawn from one distribution whatever is done.

    Args:
        mdp: The world; only its sizes and its discount (1 allowed) are read.
        rewards: R [N, S, A, S].
        state_dist: D_S [S]; uniform by default.
        action_dist: D_A [A]; uniform by default.

    Source: reward-distances, EPIC canonical form (arXiv 2006.13900); golden files epic.json, starc.json.
    """
    over_states = distribution("state_dist", state_dist, mdp.states)
    mean = (rewards @ over_states) @ distribution("action_dist", action_dist, mdp.actions)
    return shaped(mdp, rewards, mean, (mdp.discount * (mean @ over_states))[:, None, None, None])


@canon(
    "C = R + γ q(s′) − q(s) − γ T(s,s′),  q(s) = E_{a,s″∼P}[R(s,a,s″)]",
    unchanged=SHAPING, idempotent=False, paper="reward-distances",
)  # fmt: skip
def dard(mdp: MDP, rewards: Array, *, action_dist: ArrayLike | None = None) -> Form:
    """DARD: as EPIC, with next states drawn from the transition model; T looks one step past s and one past s'.

    T = sum_a D_A(a) P_a R_a P_a^T [S, S], with P_a = P[:, a, :]: the same action leads to both ends of the second step.

    Args:
        mdp: The world.
        rewards: R [N, S, A, S].
        action_dist: D_A [A]; uniform by default.

    Source: reward-distances, DARD canonical form (arXiv 2201.10081); golden file starc.json.
    """
    over_actions = distribution("action_dist", action_dist, mdp.actions)
    mean = mdp.mean(rewards) @ over_actions
    by_action = np.ascontiguousarray(mdp.transition.transpose(1, 0, 2))
    hops = np.zeros((len(rewards), mdp.states, mdp.states))
    for a, share in enumerate(over_actions):
        hops += share * (by_action[a] @ rewards[:, :, a] @ by_action[a].T)
    return shaped(mdp, rewards, mean, mdp.discount * hops[:, :, None, :])


def smallest_potential(mdp: MDP, rewards: Array) -> Array:
    """The potential phi [N, S] that makes R + g phi[s'] - phi[s] smallest in l2.

    The normal matrix (1 + g²) SA I - 2gA 11ᵀ has two eigenvalues: (1 + g²) SA, and SA (1 - g)² for the mean of phi,
    which is 0 where the discount is 1 and nothing depends on it.

    Source: starc, minimalpotential; reward-distances, NPEC (least-squares potential); golden file epic.json.
    """
    g, entries = mdp.discount, mdp.states * mdp.actions
    slope = rewards.sum(axis=(2, 3)) - g * rewards.sum(axis=(1, 2))
    mean = slope.mean(axis=-1, keepdims=True)
    level = mean / (entries * (1 - g) ** 2) if g < 1 else np.zeros_like(mean)
    return (slope - mean) / ((1 + g * g) * entries) + level


@canon("C = R + γ φ(s′) − φ(s),  φ = argmin ‖C‖₂", unchanged=SHAPING, paper="starc")
def minimalpotential(mdp: MDP, rewards: Array) -> Form:
    """The smallest reward that is R with a potential added [N, S, A, S], in closed form.

    Source: starc, minimalpotential; golden file starc.json (`minimalpotential_l2`, by gradient descent there).
    """
    return shaped(mdp, rewards, smallest_potential(mdp, rewards))


@canon(
    "C = R + γ v(s′) − v(s),  v(s) = maxₐ R(s,a,s) / (1 − γ)",
    unchanged=SHAPING, linear=False, idempotent=True, paper="reward-distances",
)  # fmt: skip
def singleton(mdp: MDP, rewards: Array) -> Form:
    """The advantage of R where every state is absorbing and the best action is taken [N, S, A, S].

    Source: reward-distances, other canonical forms; golden file epic.json (`singleton_canonical_a`).
    """
    if mdp.discount == 1:
        raise InputError("'singleton' divides by 1 - discount: it needs a discount below 1")
    here = np.arange(mdp.states)
    return shaped(mdp, rewards, rewards[:, here, :, here].max(axis=-1).T / (1 - mdp.discount))


@canon(
    "C = R + γ o(s′) − o(s) − γ ō,  o(s) = maxₐ E_{s′}[R(s,a,s′)]",
    unchanged=SHAPING, linear=False, idempotent=True, paper="reward-distances",
)  # fmt: skip
def greedy(mdp: MDP, rewards: Array, *, state_dist: ArrayLike | None = None) -> Form:
    """As EPIC with the best action in place of the mean over actions [N, S, A, S].

    Source: reward-distances, greedy fully connected; golden file epic.json (`greedy_canonical_a`).
    """
    over_states = distribution("state_dist", state_dist, mdp.states)
    top = (rewards @ over_states).max(axis=-1)
    return shaped(mdp, rewards, top, (mdp.discount * (top @ over_states))[:, None, None, None])
