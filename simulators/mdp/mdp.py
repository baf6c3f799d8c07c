"""Tabular Markov decision processes in which returns, optimal policies and regret are known exactly.

>>> from simulators.mdp import MDP
>>> stay_or_swap = MDP([[[1, 0], [0, 1]], [[0, 1], [1, 0]]], discount=0.5, start=[1, 0])
>>> reward = [0.0, 1.0]  # for arriving in the second state
>>> stay_or_swap.optimal(reward), stay_or_swap.span(reward)
(array([1, 0]), 2.0)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulators.mdp import planning
from simulators.records import Floats, Ints

__all__ = ["MDP"]

_SUM = 1e-9
_CANCELLED = 1e-13


@dataclass(frozen=True, eq=False)
class MDP:
    """A world of S states and A actions without a reward of its own: the rewards are what is compared in it.

    A reward is R[s, a, s'] [S, A, S], or [..., S, A, S] for many at once; [S, A] is a reward of the action alone and
    [S] of the state arrived at. Methods return a number for one reward and an array over the leading axes for many.
    What a reward holds on transitions that never happen (P = 0) matters to no method of this class.

    Attributes:
        transition: P[s, a, s'] [S, A, S], each row a distribution over s'. Kept read-only.
        discount: g in [0, 1]. With 1 an infinite sum of rewards need not exist, and within 1e-8 of it is lost in
            rounding: the methods below then raise.
        start: Distribution of the first state [S]; uniform by default.

    Raises:
        ValueError: The transitions are not [S, A, S], not finite, negative or don't sum to 1 (named with their place);
            the discount is outside [0, 1]; the start is no distribution over the states.

    Source: mdp-substrate.
    """

    transition: Floats
    discount: float = 0.95
    start: Floats = None  # type: ignore[assignment]
    _memory: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        transition = _transition(self.transition)
        start = _start(self.start, transition)
        if not (isinstance(self.discount, Real) and 0 <= self.discount <= 1):
            raise ValueError(f"discount must lie in [0, 1], not {self.discount!r}")
        for name, array in (("transition", transition), ("start", start)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        object.__setattr__(self, "discount", float(self.discount))

    def __repr__(self) -> str:
        return f"MDP(states={self.states}, actions={self.actions}, discount={self.discount:g})"

    @property
    def states(self) -> int:
        """S."""
        return self.transition.shape[0]

    @property
    def actions(self) -> int:
        """A."""
        return self.transition.shape[1]

    def remember(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """`compute()`, computed once for this world and kept under `key`; it must not be changed by anybody."""
        if key not in self._memory:
            self._memory[key] = compute()
        return self._memory[key]

    def rewards(self, reward: ArrayLike) -> Floats:
        """The reward as checked float64 [..., S, A, S]; [S, A] and [S] are spread out.

        Raises:
            ValueError: Another shape, a value that is not finite (named with its place) or beyond 1e150, or nothing but
                values below 1e-140.
        """
        try:
            array = np.asarray(reward, dtype=np.float64)
        except (TypeError, ValueError, OverflowError) as reason:
            raise ValueError(f"reward must be numbers, in rows of one length; {reason}") from None
        full = self.transition.shape
        if array.ndim == 1 and array.shape == full[2:]:
            array = np.broadcast_to(array, full)
        elif array.ndim == 2 and array.shape == full[:2]:
            array = np.broadcast_to(array[..., None], full)
        if array.shape[-3:] != full:
            raise ValueError(f"reward has shape {array.shape}; this world needs {full}, {full[:2]} or {full[2:]}")
        square = np.vdot(array, array)
        if not 1e-280 <= square < math.inf:
            _refuse(array)
        return array

    def expected(self, reward: ArrayLike) -> Floats:
        """Expected reward of each action, r[s, a] = sum over s' of P R: [..., S, A]; 0 where that is rounding."""
        return self.mean(self.rewards(reward))

    def mean(self, rewards: Floats) -> Floats:
        """`expected` of rewards [..., S, A, S] that are checked already.

        A sum below 1e-13 of the sum of its magnitudes is rounding, and made 0: so a reward that is spread over next
        states with expectation 0 tells no policies apart, as in exact arithmetic.
        """
        r = np.vecdot(rewards, self.transition)
        small = np.abs(r) <= _CANCELLED * math.sqrt(np.vdot(rewards, rewards))
        if small.any():
            r[small & (np.abs(r) <= _CANCELLED * np.vecdot(np.abs(rewards), self.transition))] = 0.0
        return r

    def _flat(self, reward: ArrayLike) -> tuple[Floats, tuple[int, ...]]:
        self._needs_discount("values")
        r = self.expected(reward)
        return r.reshape(-1, *r.shape[-2:]), r.shape[:-2]

    def _needs_discount(self, what: str) -> None:
        if self.discount > planning.LARGEST_DISCOUNT:
            raise ValueError(
                f"with a discount of {self.discount:.12g} returns are not finite, or lost in rounding; "
                f"{what}: needs a discount below 1, of at most 1 - 1e-8"
            )

    def value(self, reward: ArrayLike, policy: ArrayLike | None = None) -> Floats:
        """Value of each state under a policy, V = (I - g P_pi)^-1 r_pi: [..., S].

        Args:
            reward: See the class.
            policy: Actions [S], or probabilities [S, A]; uniform over the actions by default.

        Raises:
            ValueError: The policy is none, or the discount is 1.
        """
        r, leading = self._flat(reward)
        pi = self.probabilities(policy)
        system = np.eye(self.states) - self.discount * (pi[:, None] @ self.transition)[:, 0]
        return np.linalg.solve(system, np.vecdot(r, pi).T).T.reshape(*leading, self.states)

    def returns(self, reward: ArrayLike, policy: ArrayLike | None = None) -> Any:
        """Expected discounted return J = start . V of a policy (see `value`)."""
        return _number(self.value(reward, policy) @ self.start)

    def optimal(self, reward: ArrayLike) -> Ints:
        """An optimal policy, actions [..., S], by policy iteration; of equally good actions the first.

        Equally good means within 1e-11 max|r| / (1 - g). The worst policy is `optimal` of the negative reward.
        """
        r, leading = self._flat(reward)
        return planning.best(self.transition, self.discount, r)[0].reshape(*leading, self.states)

    def best_actions(self, reward: ArrayLike) -> NDArray[np.bool_]:
        """All actions that an optimal policy may take, Booleans [..., S, A]: equally good ones as in `optimal`."""
        r, leading = self._flat(reward)
        q = r + self.discount * (self._best(r)[1] @ self.transition.reshape(-1, self.states).T).reshape(r.shape)
        good = q >= q.max(axis=-1, keepdims=True) - planning.slack(r, self.discount)[:, None, None]
        return good.reshape(*leading, self.states, self.actions)

    def span(self, reward: ArrayLike) -> Any:
        """Return of the best policy minus return of the worst; exactly 0 for a reward that tells no policies apart."""
        r, leading = self._flat(reward)
        return _number(self._span(r, *self._best(r)).reshape(leading))

    def occupancy(self, policy: ArrayLike | None = None) -> Floats:
        """Discounted visits d[s, a] of a policy [S, A]: they sum to 1/(1 - g), and J = sum of r d."""
        self._needs_discount("occupancy")
        pi = self.probabilities(policy)
        system = np.eye(self.states) - self.discount * (pi[:, None] @ self.transition)[:, 0].T
        return np.linalg.solve(system, self.start)[:, None] * pi

    def regret(self, true: ArrayLike, proxy: ArrayLike, *, symmetric: bool = False) -> Any:
        """What optimising `proxy` costs under `true`: (J1(p1) - J1(p2)) / span(true), p the optimal policies.

        Args:
            true: The reward that is meant; see the class.
            proxy: The reward that is optimised; leading axes broadcast with those of `true`.
            symmetric: The mean of this and of the same with the two rewards swapped.

        Returns:
            Share of the span in [0, 1]; 0 where `true` tells no policies apart.
        """
        (r1, lead1), (r2, lead2) = self._flat(true), self._flat(proxy)
        (p1, v1), (p2, v2) = self._best(r1), self._best(r2)
        leading = np.broadcast_shapes(lead1, lead2)
        i, j = _pairs(lead1, leading), _pairs(lead2, leading)
        loss = self._loss(r1, p1, v1, i, p2[j])
        if symmetric:
            loss = (loss + self._loss(r2, p2, v2, j, p1[i])) / 2
        return _number(loss.reshape(leading))

    def worst_case_regret(self, true: ArrayLike, proxy: ArrayLike) -> Any:
        """The most that can be lost under `true` while losing nothing under `proxy`, as a share of span(true).

        max { J1(p) - J1(q) : J2(q) >= J2(p) } / span(true) over all policies p, q; exact (`planning.worst_case`).

        Args:
            true: The reward that is meant; see the class.
            proxy: The reward that is watched; leading axes broadcast with those of `true`.

        Returns:
            Share in [0, 1]; 0 where `true` tells no policies apart, otherwise 1 where `proxy` does not.
        """
        (r1, lead1), (r2, lead2) = self._flat(true), self._flat(proxy)
        leading = np.broadcast_shapes(lead1, lead2)
        pair = r1[_pairs(lead1, leading)], r2[_pairs(lead2, leading)]
        return _number(planning.worst_case(self.transition, self.discount, self.start, *pair).reshape(leading))

    def _best(self, r: Floats) -> tuple[Ints, Floats]:
        return planning.best(self.transition, self.discount, r)

    def _span(self, r: Floats, _: Ints, value: Floats) -> Floats:
        span = (value + self._best(-r)[1]) @ self.start
        return np.where(span > planning.slack(r, self.discount), span, 0.0)

    def _loss(self, r: Floats, policy: Ints, value: Floats, pairs: Ints, other: Ints) -> Floats:
        """Share of the span of each r[pairs] that the `other` policies lose."""
        span = self._span(r, policy, value)[pairs]
        reached = planning.evaluate(self.transition, self.discount, r[pairs], other)
        lost = (value[pairs] - reached) @ self.start
        return np.clip(np.where(span > 0, lost / np.where(span > 0, span, 1.0), 0.0), 0.0, 1.0)

    def probabilities(self, policy: ArrayLike | None = None) -> Floats:
        """A policy (actions [S] or probabilities [S, A]; uniform if None) as checked probabilities [S, A]."""
        if policy is None:
            return np.full((self.states, self.actions), 1 / self.actions)
        pi = np.asarray(policy)
        if pi.shape == (self.states,) and pi.dtype.kind in "iu" and ((pi >= 0) & (pi < self.actions)).all():
            return np.eye(self.actions)[pi]
        if pi.shape != (self.states, self.actions):
            raise ValueError(f"a policy is actions 0..{self.actions - 1} [S] or probabilities [S, A], not {pi.shape}")
        return _distributions("policy", pi.astype(np.float64), "sa")


def _number(array: Floats) -> Any:
    return float(array) if array.ndim == 0 else array


def _pairs(own: tuple[int, ...], leading: tuple[int, ...]) -> Ints:
    """Index into the flat rewards of shape `own` for each pair of the broadcast shape."""
    return np.broadcast_to(np.arange(math.prod(own)).reshape(own), leading).ravel()


def _transition(given: ArrayLike) -> Floats:
    array = np.array(given, dtype=np.float64)
    if array.ndim != 3 or array.shape[0] != array.shape[2] or array.size == 0:
        raise ValueError(f"transition has shape {array.shape}; it must be [S, A, S], P[s, a, s']")
    return _distributions("transition", array, "sa")


def _start(given: ArrayLike | None, transition: Floats) -> Floats:
    if given is None:
        return np.full(len(transition), 1 / len(transition))
    array = np.array(given, dtype=np.float64)
    if array.shape != transition.shape[:1]:
        raise ValueError(f"start has shape {array.shape}; it must be one probability per state, {transition.shape[:1]}")
    return _distributions("start", array, "s")


def _distributions(name: str, array: Floats, axes: str) -> Floats:
    """The array, if every row along its last axis is a distribution."""
    if not np.isfinite(array).all() or (array < 0).any():
        place = tuple(int(i) for i in np.argwhere(~(np.isfinite(array) & (array >= 0)))[0])
        raise ValueError(f"{name} holds {array[place]} at {place}; probabilities are finite and at least 0")
    total = array.sum(axis=-1)
    if (np.abs(total - 1) > _SUM).any():
        place = tuple(int(i) for i in np.argwhere(np.abs(total - 1) > _SUM)[0])
        named = ", ".join(f"{a}={i}" for a, i in zip(axes, place, strict=False)) or "all states"
        raise ValueError(f"{name} sums to {total[place]:.12g} over {named}; probabilities must sum to 1")
    return array


def _refuse(array: Floats) -> None:
    """Say which value of a reward cannot be used, if any: squares of what is too large or too small are no numbers."""
    bad = ~(np.abs(array) <= 1e150)
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"reward holds {array[place]} at {place}; rewards must be finite and below 1e150")
    if not bad.any() and array.any() and np.abs(array).max() < 1e-140:
        raise ValueError(f"rewards are at most {np.abs(array).max():g}, which is lost in rounding; scale them up")
