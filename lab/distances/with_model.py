"""Canonical forms that plan with the transition model: value-adjusted levelling and the smallest equivalent reward."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from lab.distances.canonical import Array, Form, canon
from lab.distances.without_model import SHAPING, shaped
from lab.errors import InputError
from simulators.mdp.mdp import MDP
from simulators.mdp.planning import LARGEST_DISCOUNT

__all__ = ["minimal", "minimal_w", "policy_value", "val", "valpotential"]

ALL = SHAPING | {"redistribution"}


def policy_value(mdp: MDP, r: Array, policy: ArrayLike | None) -> Array:
    """Values [N, S] of a fixed policy for expected rewards r [N, S, A]; the uniform policy's inverse is kept."""
    _needs_discount(mdp)
    if policy is not None:
        flat = mdp.probabilities(policy)
        system = np.eye(mdp.states) - mdp.discount * (flat[:, None] @ mdp.transition)[:, 0]
        return np.linalg.solve(system, np.vecdot(r, flat).T).T
    return r.reshape(len(r), -1) @ mdp.remember("visits", partial(_visits, mdp))


def _visits(mdp: MDP) -> Array:
    """What r[s, a] adds to the value of each state under the uniform policy [S*A, S]."""
    visits = np.linalg.inv(np.eye(mdp.states) - mdp.discount * mdp.transition.mean(axis=1))
    return np.repeat(visits.T / mdp.actions, mdp.actions, axis=0)


def _moves(mdp: MDP) -> Array:
    """What a potential adds to r: M[(s, a), t] = g P[s, a, t] - 1[s = t] [S*A, S]."""
    return (mdp.discount * mdp.transition - np.eye(mdp.states)[:, None]).reshape(-1, mdp.states)


def _needs_discount(mdp: MDP) -> None:
    if mdp.discount > LARGEST_DISCOUNT:
        raise InputError("forms that plan need a discount below 1, by 1e-8 at least; otherwise use 'epic' or 'dard'")


@canon("C = r + γ E_{s′∼P}[V(s′)] − V(s),  V of the uniform policy", unchanged=ALL, level=True, paper="starc")
def val(mdp: MDP, rewards: Array, *, policy: ArrayLike | None = None) -> Form:
    """Value-adjusted levelling: the advantage function of a fixed policy, constant over s'.

    Args:
        mdp: The world.
        rewards: R [N, S, A, S]; only r[s, a] = sum over s' of P R is read.
        policy: Actions [S] or probabilities [S, A]; uniform by default.

    Source: starc, val (arXiv 2309.15257); golden file starc.json (by value iteration to 1e-8 there).
    """
    r = mdp.mean(rewards)
    flat = r.reshape(len(r), -1)
    moved = policy_value(mdp, r, policy) @ mdp.remember("moves", partial(_moves, mdp)).T
    return Form(flat + moved, flat, "level")


@canon("C = R + γ V(s′) − V(s),  V of the uniform policy", unchanged=SHAPING, paper="starc")
def valpotential(mdp: MDP, rewards: Array, *, policy: ArrayLike | None = None) -> Form:
    """The reward shaped by the value of a fixed policy [N, S, A, S]: it still sees redistribution over next states.

    Source: starc, valpotential; golden file starc.json.
    """
    value = policy_value(mdp, mdp.mean(rewards), policy)
    return shaped(mdp, rewards, value)


def _outside(mdp: MDP, r: Array, weight: Array | float) -> Array:
    """What is left of r [N, S*A] outside the potentials, in the norm with that weight on (s, a): b = r + M phi.

    M is `_moves`; an orthonormal basis of weight * M is kept.
    """
    _needs_discount(mdp)

    def basis() -> Array:
        return np.linalg.qr(_moves(mdp) * np.reshape(weight, (-1, 1)))[0]

    q = mdp.remember(("basis", "plain" if np.ndim(weight) == 0 else "share"), basis)
    scaled = r * weight
    return (scaled - (scaled @ q) @ q.T) / weight


@canon("C = r + γ E_{s′∼P}[φ(s′)] − φ(s),  φ = argmin Σ P C²", unchanged=ALL, level=True, paper="starc")
def minimal_w(mdp: MDP, rewards: Array) -> Form:
    """The equivalent reward that is smallest in the norm w2: constant over s', an orthogonal projection [N, S, A].

    Source: starc, minimal_w.
    """
    r = mdp.mean(rewards).reshape(len(rewards), -1)
    return Form(_outside(mdp, r, 1.0), r, "level")


@canon("C = P b / Σ P²,  b = r + γ E[φ(s′)] − φ(s),  φ = argmin ‖C‖₂", unchanged=ALL, paper="starc")
def minimal(mdp: MDP, rewards: Array) -> Form:
    """The equivalent reward that is smallest in l2 over all (s, a, s'): in proportion to P over s' [N, S, A].

    Source: starc, minimal.
    """
    r = mdp.mean(rewards).reshape(len(rewards), -1)
    square = np.vecdot(mdp.transition, mdp.transition).ravel()
    return Form(_outside(mdp, r, 1 / np.sqrt(square)) / square, r / square, "share")
