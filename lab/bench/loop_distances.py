"""STARC distances as one writes them down first: loops over (s, a, s'), nothing shared, nothing stored.

The reference of the benchmark, and of the tests: the same definitions, one reward at a time.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CANONS", "distance"]

Array = NDArray[Any]
Form = dict[tuple[int, int, int], float]


def distance(name: str, transition: Array, discount: float, first: Array, second: Array) -> float:
    """Distance canon-n-m between two rewards [S, A, S] that are not trivial.

    Source: starc, STARC distance in three steps.
    """
    canon, n, m = name.split("-")
    forms = []
    for reward in (first, second):
        form = CANONS[canon](transition, discount, reward)
        length = 1.0 if n == "none" else norm(n, transition, form)
        forms.append({x: value / length for x, value in form.items()})
    return norm(m, transition, {x: forms[0][x] - forms[1][x] for x in forms[0]})


def norm(name: str, transition: Array, form: Form) -> float:
    """l1, l2, linf over all entries; w1, w2, winf weighted by the transition probability."""
    weight = {x: float(transition[x]) if name[0] == "w" else 1.0 for x in form}
    if name.endswith("inf"):
        return max(weight[x] * abs(value) for x, value in form.items())
    power = int(name[1])
    total = 0.0
    for x, value in form.items():
        total += weight[x] * abs(value) ** power
    return float(total ** (1 / power))


def _entries(reward: Array) -> Any:
    return itertools.product(*(range(n) for n in reward.shape))


def _shaped(discount: float, reward: Array, potential: Any, shift: Callable[[int, int], float]) -> Form:
    return {
        (s, a, t): float(reward[s, a, t] + discount * potential[t] - potential[s] - shift(s, t))
        for s, a, t in _entries(reward)
    }


def _nothing(s: int, t: int) -> float:
    return 0.0


def _expected(transition: Array, reward: Array) -> Array:
    r = np.zeros(reward.shape[:2])
    for s, a, t in _entries(reward):
        r[s, a] += transition[s, a, t] * reward[s, a, t]
    return r


def _value(transition: Array, discount: float, reward: Array) -> Array:
    mean = transition.mean(axis=1)
    return np.asarray(np.linalg.solve(np.eye(len(mean)) - discount * mean, _expected(transition, reward).mean(axis=1)))


def none(transition: Array, discount: float, reward: Array) -> Form:
    """The reward itself."""
    return {x: float(reward[x]) for x in _entries(reward)}


def epic(transition: Array, discount: float, reward: Array) -> Form:
    """R + g m(s') - m(s) - g mean m."""
    states, actions, _ = reward.shape
    m = [sum(reward[s, a, t] for a in range(actions) for t in range(states)) / actions / states for s in range(states)]
    mean = sum(m) / states
    return _shaped(discount, reward, m, lambda s, t: discount * mean)


def dard(transition: Array, discount: float, reward: Array) -> Form:
    """R + g q(s') - q(s) - g T(s, s')."""
    actions = reward.shape[1]
    q = _expected(transition, reward).mean(axis=1)

    def hop(s: int, t: int) -> float:
        both = (transition[s, a] @ reward[:, a] @ transition[t, a] for a in range(actions))
        return float(discount * sum(both) / actions)

    return _shaped(discount, reward, q, hop)


def valpotential(transition: Array, discount: float, reward: Array) -> Form:
    """R + g V(s') - V(s)."""
    return _shaped(discount, reward, _value(transition, discount, reward), _nothing)


def val(transition: Array, discount: float, reward: Array) -> Form:
    """r + g E[V(s')] - V(s)."""
    r, value = _expected(transition, reward), _value(transition, discount, reward)
    return {(s, a, t): float(r[s, a] + discount * transition[s, a] @ value - value[s]) for s, a, t in _entries(reward)}


def _moved(transition: Array, discount: float) -> Array:
    """M[(s, a), t] = g P(t | s, a) - 1[s = t]."""
    states, actions, _ = transition.shape
    m = discount * transition.reshape(-1, states)
    for s in range(states):
        for a in range(actions):
            m[s * actions + a, s] -= 1
    return m


def minimal_w(transition: Array, discount: float, reward: Array) -> Form:
    """r + g E[phi(s')] - phi(s) of least w2."""
    m, r = _moved(transition, discount), _expected(transition, reward)
    left = (r.ravel() + m @ np.linalg.lstsq(m, -r.ravel())[0]).reshape(r.shape)
    return {(s, a, t): float(left[s, a]) for s, a, t in _entries(reward)}


def minimal(transition: Array, discount: float, reward: Array) -> Form:
    """The equivalent reward of least l2: in proportion to P over s'."""
    m, r = _moved(transition, discount), _expected(transition, reward)
    square = (transition**2).sum(axis=-1)
    q = 1 / np.sqrt(square).ravel()
    left = (r.ravel() + m @ np.linalg.lstsq(q[:, None] * m, -q * r.ravel())[0]).reshape(r.shape)
    return {(s, a, t): float(transition[s, a, t] * left[s, a] / square[s, a]) for s, a, t in _entries(reward)}


def minimalpotential(transition: Array, discount: float, reward: Array) -> Form:
    """R + g phi(s') - phi(s) of least l2, by least squares over all (s, a, s')."""
    states = reward.shape[0]
    rows = np.zeros((reward.size, states))
    for k, (s, _, t) in enumerate(_entries(reward)):
        rows[k, t] += discount
        rows[k, s] -= 1
    return _shaped(discount, reward, np.linalg.lstsq(rows, -reward.ravel())[0], _nothing)


CANONS: dict[str, Callable[[Array, float, Array], Form]] = {
    f.__name__: f for f in (none, epic, dard, valpotential, val, minimal_w, minimal, minimalpotential)
}
