"""A learner that is known exactly: the softmax policy that a reward, a bonus for entropy and a discount lead to.

L(θ) = start · V − (ridge/2) ‖θ‖²,  V = r_π + g P_π V,  r_π(s) = Σ_a π(a|s) (r(s, a) − entropy · log π(a|s)).

The gradient and the Hessian of L are closed forms, so the fixed point of the learner, and how it moves with the reward
and the discount, need neither sampling nor automatic differentiation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from simulators.mdp.gradient import softmax
from simulators.mdp.mdp import MDP
from simulators.records import Floats

__all__ = ["SoftLearner"]

_STEP = 2.0  # longest step, in logits


class _At(NamedTuple):
    """What L and its slopes are made of: π, A [S, A], V, visits d [S], M = (I − g P_π)⁻¹ [S, S]."""

    policy: Floats
    advantage: Floats
    value: Floats
    visits: Floats
    resolvent: Floats


@dataclass(frozen=True)
class SoftLearner:
    """Policy-gradient ascent on a tabular MDP, run to its end.

    Attributes:
        mdp: The world; its discount, below 1, is the learner's.
        entropy: Weight of the entropy of each state's policy, in units of reward per nat.
        ridge: Weight of ‖θ‖²/2. Above 0: a shift of a state's logits changes no policy, so without it the Hessian is
            singular.

    Source: arXiv 2310.19007, the inner problem, as the catalogue reconstructs it; the Hessian is derived here.
    """

    mdp: MDP
    entropy: float = 0.05
    ridge: float = 1e-3

    def __post_init__(self) -> None:
        if not (self.entropy >= 0 and self.ridge > 0 and self.mdp.discount < 1):
            raise ValueError(
                f"entropy={self.entropy}, ridge={self.ridge}, discount={self.mdp.discount}; they must be at least 0, "
                "above 0 and below 1"
            )

    def objective(self, reward: ArrayLike, theta: ArrayLike) -> float:
        """L of logits [S, A] under a reward [S, A, S], [S, A] or [S]."""
        logits = self._logits(theta)
        return float(self.mdp.start @ self._at(self._reward(reward), logits).value - self.ridge / 2 * (logits**2).sum())

    def gradient(self, reward: ArrayLike, theta: ArrayLike) -> Floats:
        """dL/dθ[s, a] = d(s) π(a|s) A(s, a) − ridge θ[s, a]: [S, A]."""
        logits = self._logits(theta)
        return self._slope(self._at(self._reward(reward), logits)) - self.ridge * logits

    def hessian(self, reward: ArrayLike, theta: ArrayLike) -> Floats:
        """d²L/dθ² [S·A, S·A], symmetric."""
        at = self._at(self._reward(reward), self._logits(theta))
        return self._curvature(at) - self.ridge * np.eye(at.policy.size)

    def reward_slopes(self, rewards: ArrayLike, theta: ArrayLike) -> Floats:
        """How dL/dθ moves with the weights of a blend Σ_k φ_k r_k: [S·A, K].

        Args:
            rewards: r_k [K, S, A].
            theta: Logits [S, A].
        """
        logits, basis = self._logits(theta), np.asarray(rewards, dtype=np.float64)
        bare = SoftLearner(self.mdp, 0.0, self.ridge)
        return np.stack([bare._slope(bare._at(r, logits)).ravel() for r in basis], axis=-1)

    def discount_slope(self, reward: ArrayLike, theta: ArrayLike) -> Floats:
        """How dL/dθ moves with the discount g: [S·A]."""
        at, transition = self._at(self._reward(reward), self._logits(theta)), self.mdp.transition
        under = (at.policy[:, None] @ transition)[:, 0]
        visits = at.resolvent.T @ under.T @ at.visits
        value = at.resolvent @ under @ at.value
        advantage = transition @ at.value + self.mdp.discount * transition @ value - value[:, None]
        return (at.policy * (visits[:, None] * at.advantage + at.visits[:, None] * advantage)).ravel()

    def optimum(self, reward: ArrayLike, theta: ArrayLike = 0.0, *, tolerance: float = 1e-10) -> Floats:
        """The fixed point that ascent from `theta` leads to, dL/dθ = 0: logits [S, A].

        Newton's method; where L is not concave the Hessian is shifted until it is. A step is halved until L has risen,
        unless the rise is below rounding.

        Args:
            reward: [S, A, S], [S, A] or [S].
            theta: Where to start, logits that broadcast to [S, A].
            tolerance: Largest entry of the gradient that counts as 0, in units of 1 + max|reward|.

        Raises:
            RuntimeError: No fixed point after 1000 steps.
        """
        r, shape = self._reward(reward), (self.mdp.states, self.mdp.actions)
        logits = np.array(np.broadcast_to(np.asarray(theta, dtype=np.float64), shape))
        best, small = self.objective(r, logits), tolerance * (1 + np.abs(r).max())
        for _ in range(1000):
            slope = self.gradient(r, logits).ravel()
            if np.abs(slope).max() <= small:
                return logits
            step = _ascent(-self.hessian(r, logits), slope, self.ridge)
            step *= min(1.0, _STEP / np.abs(step).max())
            noise = 1e-13 * (1 + abs(best))
            while (reached := self.objective(r, logits + step.reshape(shape))) < best and slope @ step > noise:
                step /= 2
            logits, best = logits + step.reshape(shape), reached
        raise RuntimeError(f"the learner found no fixed point: its gradient is {np.abs(slope).max():.2g} at the end")

    def _reward(self, reward: ArrayLike) -> Floats:
        return self.mdp.expected(reward)

    def _logits(self, theta: ArrayLike) -> Floats:
        logits = np.asarray(theta, dtype=np.float64)
        if logits.shape != (self.mdp.states, self.mdp.actions) or not np.isfinite(logits).all():
            raise ValueError(f"theta must be finite logits [S, A] = {(self.mdp.states, self.mdp.actions)}")
        return logits

    def _at(self, reward: Floats, logits: Floats) -> _At:
        """Everything about one policy; the reward is [S, A]."""
        policy, discount = softmax(logits), self.mdp.discount
        r = reward - self.entropy * (logits - _log_total(logits))
        under = (policy[:, None] @ self.mdp.transition)[:, 0]
        resolvent = np.linalg.inv(np.eye(self.mdp.states) - discount * under)
        value = resolvent @ (policy * r).sum(axis=-1)
        advantage = r + discount * self.mdp.transition @ value - value[:, None]
        return _At(policy, advantage, value, self.mdp.start @ resolvent, np.asarray(resolvent, dtype=np.float64))

    @staticmethod
    def _slope(at: _At) -> Floats:
        return at.visits[:, None] * at.policy * at.advantage

    def _curvature(self, at: _At) -> Floats:
        """Derivative of d(s) π(a|s) A(s, a) to θ[x, b], by the product rule: [S·A, S·A] with x, b last."""
        (states, actions), discount = at.policy.shape, self.mdp.discount
        gain = at.policy * at.advantage
        ahead = discount * self.mdp.transition @ at.resolvent  # g P M [S, A, S]
        away = ahead - (at.policy[:, None] @ ahead)
        visits = (at.visits[:, None] * at.policy)[..., None] * away  # dd(s)/dθ[x, b] as [x, b, s]
        value = at.resolvent[:, :, None] * gain  # dV(s)/dθ[x, b]
        later = discount * np.tensordot(self.mdp.transition, value, 1) - value[:, None]
        here = np.eye(actions) - at.policy[:, None]  # dlog π(a|s)/dθ[s, b]
        full = at.policy[..., None, None] * (
            at.advantage[..., None, None] * np.moveaxis(visits, -1, 0)[:, None] + at.visits[:, None, None, None] * later
        )
        own = (at.visits[:, None] * at.policy)[..., None] * (at.advantage[..., None] - self.entropy) * here
        place = np.arange(states)
        full[place, :, place] += own
        flat = full.reshape(at.policy.size, -1)
        return (flat + flat.T) / 2


def _ascent(bend: Floats, slope: Floats, least: float) -> Floats:
    """(bend + shift)⁻¹ slope, with no shift or the first of least, 4 least, ... that makes the matrix positive."""
    shift = 0.0
    while True:
        moved = bend + shift * np.eye(len(bend))
        try:
            np.linalg.cholesky(moved)
        except np.linalg.LinAlgError:
            shift = max(least, 4 * shift)
        else:
            return np.asarray(np.linalg.solve(moved, slope), dtype=np.float64)


def _log_total(logits: Floats) -> Floats:
    """log Σ exp over actions [S, 1]."""
    top = logits.max(axis=-1, keepdims=True)
    return top + np.log(np.exp(logits - top).sum(axis=-1, keepdims=True))
