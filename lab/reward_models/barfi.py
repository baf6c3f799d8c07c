"""BARFI: how much of a heuristic to mix into a reward, learnt from the policy that training on the mixture leads to.

r_φ(s, a) = φ₁ + φ₂ r_p(s, a) + φ₃ r_aux(s, a). The inner problem trains a policy on r_φ to its fixed point θ(φ)
(`simulators.mdp.soft_learner`); the outer problem moves φ, and the learner's discount γ_v if wished, so that this
policy earns more of the true reward r_p.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lab.errors import InputError, check_number, check_whole
from simulators.mdp.gradient import exact, softmax
from simulators.mdp.mdp import MDP
from simulators.mdp.soft_learner import SoftLearner

__all__ = ["Blend", "align", "basis", "implicit_gradient", "neumann"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Blend:
    """One outer step.

    Attributes:
        phi: Weights of the constant, the true reward and each heuristic [2 + n].
        discount: γ_v, the learner's discount.
        theta: Logits of the policy that training on this blend ends with [S, A].
        value: Its return J_p under the true reward and the world's own discount.
    """

    phi: Array
    discount: float
    theta: Array
    value: float

    @property
    def policy(self) -> Array:
        """Probabilities [S, A]."""
        return softmax(self.theta)


def basis(mdp: MDP, true: ArrayLike, heuristics: Sequence[ArrayLike]) -> Array:
    """The rewards that are mixed, as rewards of an action: 1, the true one, the heuristics [2 + n, S, A]."""
    given = [mdp.expected(r) for r in (true, *heuristics)]
    return np.stack([np.ones((mdp.states, mdp.actions)), *given])


def neumann(hessian: Array, slope: Array, *, terms: int, eta: float = 1.0) -> Array:
    """−H⁻¹ g by its sum η Σ_{i<terms} (I + η H)^i g: matrix times vector only.

    Args:
        hessian: H [n, n], negative definite.
        slope: g [n].
        terms: How many; too few leave out what H hardly bends.
        eta: η, below 2/‖H‖.

    Raises:
        InputError: η is too large for the sum to converge.

    Source: arXiv 2310.19007, implicit gradient.
    """
    check_whole("terms", terms, 1)
    largest = float(np.abs(np.linalg.eigvalsh(hessian)).max())
    check_number("eta", eta, lambda x: 0 < x * largest < 2, f"above 0 and below 2/|H| = {2 / largest:.3g}")
    term, total = np.array(slope, dtype=np.float64), np.zeros_like(slope)
    for _ in range(terms):
        total += term
        term = term + eta * (hessian @ term)
    return eta * total


def implicit_gradient(
    learner: SoftLearner, true: ArrayLike, rewards: Array, phi: ArrayLike, theta: Array, *, gamma: float | None = None,
    terms: int | None = None, eta: float = 1.0,
) -> tuple[Array, float]:  # fmt: skip
    """How the true return of the trained policy moves with the blend: dJ_p/dφ = −g H⁻¹ A, and −g H⁻¹ B for γ_v.

    From dL/dθ(θ(φ), φ) = 0 by the implicit function theorem; H = d²L/dθ², A and B the slopes of dL/dθ in φ and γ_v,
    g = dJ_p/dθ. H⁻¹ is never formed: one linear system is solved, or a Neumann sum is taken.

    Args:
        learner: The inner problem; its discount is γ_v.
        true: r_p [S, A, S], [S, A] or [S].
        rewards: What is mixed, see `basis` [K, S, A].
        phi: φ [K].
        theta: The learner's fixed point for this φ [S, A].
        gamma: Discount of J_p; the learner's by default.
        terms: Terms of the Neumann sum; None solves the system.
        eta: See `neumann`.

    Returns:
        dJ_p/dφ [K] and dJ_p/dγ_v.

    Source: arXiv 2310.19007, implicit gradient.
    """
    weights, world = np.asarray(phi, dtype=np.float64), learner.mdp
    if weights.shape != rewards.shape[:1]:
        raise InputError(f"phi has shape {weights.shape}; one weight for each of the {len(rewards)} rewards is needed")
    mixed = np.tensordot(weights, rewards, 1)
    judge = world if gamma is None else MDP(world.transition, gamma, world.start)
    slope, hessian = exact(judge, true, theta).ravel(), learner.hessian(mixed, theta)
    x = -np.linalg.solve(hessian, slope) if terms is None else neumann(hessian, slope, terms=terms, eta=eta)
    return x @ learner.reward_slopes(rewards, theta), float(x @ learner.discount_slope(mixed, theta))


def align(
    mdp: MDP, true: ArrayLike, heuristics: Sequence[ArrayLike], *, phi: Sequence[float] | None = None,
    entropy: float = 0.05, ridge: float = 1e-3, steps: int = 25, length: float = 0.6, decay: float = 0.95,
    learn_discount: bool = False, discount_cost: float = 0.0,
) -> list[Blend]:  # fmt: skip
    """Learn the blend: solve the inner problem, take a step of fixed length along the implicit gradient, repeat.

    Args:
        mdp: The world, with a discount below 1.
        true: r_p, trusted but sparse.
        heuristics: Rewards of unknown quality, at least none.
        phi: Where to start [2 + n]; by default 0 for the constant and 1 for each reward, the naive sum.
        entropy: Weight of the learner's bonus for entropy.
        ridge: Weight of its ‖θ‖²/2.
        steps: Outer steps.
        length: Length of the first step, in φ.
        decay: Each step is this much shorter than the one before.
        learn_discount: Also move γ_v = σ(v), from the world's discount.
        discount_cost: λ_g: the outer problem maximises J_p − λ_g γ_v.

    Returns:
        The start and each step, `steps` + 1 blends.

    Raises:
        InputError: Shapes or numbers that do not fit.

    Source: arXiv 2310.19007; three numbers for φ in place of a network, constants of the lab.
    """
    rewards, count = basis(mdp, true, heuristics), check_whole("steps", steps, 0)
    given = np.array([0.0, *[1.0] * (len(rewards) - 1)] if phi is None else phi, dtype=np.float64)
    if given.shape != rewards.shape[:1] or not np.isfinite(given).all():
        raise InputError(f"phi={phi!r}; it must be {len(rewards)} finite numbers, for 1, r_p and each heuristic")
    check_number("discount_cost", discount_cost, lambda x: x >= 0, "a number of at least 0")
    learner, found = SoftLearner(mdp, entropy, ridge), []
    logit = float(np.log(mdp.discount / (1 - mdp.discount))) if learn_discount else 0.0
    for i in range(count + 1):
        if learn_discount:
            learner = replace(learner, mdp=MDP(mdp.transition, 1 / (1 + np.exp(-logit)), mdp.start))
        theta = learner.optimum(np.tensordot(given, rewards, 1))
        found.append(Blend(given, learner.mdp.discount, theta, float(mdp.returns(true, softmax(theta)))))
        slope, by_discount = implicit_gradient(learner, true, rewards, given, theta, gamma=mdp.discount)
        gamma = learner.mdp.discount
        both = np.append(slope, (by_discount - discount_cost) * gamma * (1 - gamma) if learn_discount else 0.0)
        step = length * decay**i * both / max(float(np.linalg.norm(both)), 1e-300)
        given, logit = given + step[:-1], logit + step[-1]
    return found
