"""Exact planning in tabular MDPs, for many rewards at once: evaluation, policy iteration, worst-case regret.

Plain arrays, nothing checked: `simulators.mdp.MDP` is the door. Shapes: N rewards, S states, A actions; P[S, A, S] are
transition probabilities, r[N, S, A] expected rewards of an action, g < 1 the discount, policies are actions [N, S].
"""

from __future__ import annotations

import numpy as np

from simulators.records import Floats, Ints

__all__ = ["LARGEST_DISCOUNT", "ROUNDING", "best", "evaluate", "slack", "worst_case"]

#: What counts as equal: differences of returns below this share of the largest possible return max|r| / (1 - g).
ROUNDING = 1e-11

#: With a discount nearer to 1 differences of returns are lost in rounding.
LARGEST_DISCOUNT = 1 - 1e-8

_STEPS = 1000
_BLOCK = 1 << 22


def slack(r: Floats, discount: float) -> Floats:
    """Differences of returns that are rounding, for each reward: ROUNDING * max|r| / (1 - g) [N]."""
    return np.asarray(ROUNDING / (1 - discount) * np.abs(r).max(axis=(-2, -1)))


def evaluate(transition: Floats, discount: float, r: Floats, policy: Ints) -> Floats:
    """Value V = (I - g P_pi)^-1 r_pi of deterministic policies.

    Args:
        transition: P [S, A, S].
        discount: g < 1.
        r: Expected rewards [N, S, A, ...]; trailing axes are several rewards under the same policy.
        policy: Actions [N, S].

    Returns:
        Values [N, S, ...].
    """
    states = np.arange(transition.shape[0])
    chosen = r[np.arange(len(policy))[:, None], states, policy]
    system = -discount * transition[states, policy]
    system[:, states, states] += 1
    columns = chosen[..., None] if r.ndim == 3 else chosen
    return np.asarray(np.linalg.solve(system, columns), dtype=np.float64).reshape(chosen.shape)


def best(transition: Floats, discount: float, r: Floats) -> tuple[Ints, Floats]:
    """Optimal policies by policy iteration; of actions that are equally good (within `slack`) the first.

    Args:
        transition: P [S, A, S].
        discount: g < 1.
        r: Expected rewards [N, S, A].

    Returns:
        Policies [N, S] and their values [N, S].

    Raises:
        RuntimeError: No end after 1000 improvements, which only a discount within rounding of 1 can cause.
    """
    size = max(1, _BLOCK // transition.shape[0] ** 2)
    if len(r) <= size:
        return _iterate(transition, discount, r)
    blocks = [_iterate(transition, discount, r[i : i + size]) for i in range(0, len(r), size)]
    return np.concatenate([p for p, _ in blocks]), np.concatenate([v for _, v in blocks])


def _iterate(transition: Floats, discount: float, r: Floats) -> tuple[Ints, Floats]:
    policy, value = r.argmax(axis=-1), np.empty(r.shape[:2])
    tolerance, active = slack(r, discount)[:, None], np.arange(len(r))
    for _ in range(_STEPS):
        value[active] = evaluate(transition, discount, r[active], policy[active])
        q = _action_value(transition, discount, r[active], value[active])
        top = q.max(axis=-1)
        better = top > np.take_along_axis(q, policy[active][..., None], axis=-1)[..., 0] + tolerance[active]
        done = ~better.any(axis=-1)
        first = (q >= (top - tolerance[active])[..., None]).argmax(axis=-1)
        policy[active] = np.where(done[:, None], first, np.where(better, q.argmax(axis=-1), policy[active]))
        active = active[~done]
        if not len(active):
            return policy, value
    raise RuntimeError(f"policy iteration found no end: the discount {discount} is too near 1")


def _action_value(transition: Floats, discount: float, r: Floats, value: Floats) -> Floats:
    """Q = r + g P V [N, S, A]."""
    return r + discount * (value @ transition.reshape(-1, transition.shape[0]).T).reshape(r.shape)


def worst_case(transition: Floats, discount: float, start: Floats, r1: Floats, r2: Floats) -> Floats:
    """Largest share of span(r1) that is lost without losing any of r2, max { J1(p) - J1(q) : J2(q) >= J2(p) }.

    By linear duality this is min over l >= 0 of f(l) = span(r1 - l r2) / span(r1). Every pair of policies (p, q) is a
    line below f, [J1(p) - J1(q)] - l [J2(p) - J2(q)], and f is the highest of them. The lowest point of a falling and a
    rising line is tried next, until f meets the lines there: exact after finitely many policy iterations.

    Args:
        transition: P [S, A, S].
        discount: g < 1.
        start: Distribution of the first state [S].
        r1: True expected rewards [N, S, A].
        r2: Expected rewards that were not lost [N, S, A].

    Returns:
        Shares in [0, 1], [N]; 0 where span(r1) is 0, otherwise 1 where span(r2) is 0.

    Source: mdp-substrate, worst-case regret; starc, WR (which walks f by golden section instead).
    """
    model = (transition, discount, start)
    falling, rising = _line(*model, r1, r2, r1), _line(*model, r1, r2, -r2)
    span1, span2 = falling[0].copy(), -rising[1]
    some1, some2 = span1 > slack(r1, discount), span2 > slack(r2, discount)
    answer = np.where(some1, span1, 0.0)
    active = np.flatnonzero(some1 & some2 & (falling[1] > 0))
    for _ in range(_STEPS):
        if not len(active):
            break
        down, up = falling[:, active], rising[:, active]
        weight = (down[0] - up[0]) / (down[1] - up[1])
        floor = down[0] - weight * down[1]
        new = _line(*model, r1[active], r2[active], r1[active] - weight[:, None, None] * r2[active])
        height = new[0] - weight * new[1]
        answer[active] = np.minimum(answer[active], np.maximum(height, floor))
        falling[:, active] = np.where(new[1] > 0, new, down)
        rising[:, active] = np.where(new[1] > 0, up, new)
        going = (height - floor > 1e-13 * span1[active]) & (new[1] != 0)
        active = active[going]
    return np.clip(answer / np.where(some1, span1, 1.0), 0.0, 1.0)


def _line(transition: Floats, discount: float, start: Floats, r1: Floats, r2: Floats, r: Floats) -> Floats:
    """[J1(p) - J1(q), J2(p) - J2(q)] of the best policy p and the worst policy q of r: [2, N]."""
    policy, _ = best(transition, discount, np.concatenate([r, -r]))
    both = np.stack([r1, r2], axis=-1)
    returns = start @ evaluate(transition, discount, np.concatenate([both, both]), policy)
    return np.ascontiguousarray((returns[: len(r)] - returns[len(r) :]).T)
