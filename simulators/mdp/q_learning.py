"""Tabular Q-learning in a chain, on any reward, with the reward that is meant kept beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulators.compiled import kernel
from simulators.errors import check_count
from simulators.mdp.chains import Chain
from simulators.random import prompt_key, step_key, uniform
from simulators.records import Floats, Ints

__all__ = ["TIE", "Learned", "learn"]

#: Action values nearer than this to the best count as equally good.
TIE = 1e-10

Bools = NDArray[np.bool_]

_ZERO, _ONE, _TWO = np.uint64(0), np.uint64(1), np.uint64(2)


@dataclass(frozen=True, eq=False)
class Learned:
    """What Q-learning did; S runs, E episodes.

    Attributes:
        q: Action values at the end [S, F, L + 1, A]; F = 1, or 2^K by the bits of the K events remembered.
        meant: Discounted sum of the reward that is meant [S, E].
        trained: Discounted sum of the reward that was trained on, counted pay included [S, E].
        steps: Steps taken [S, E].
        reached: Whether the goal was reached [S, E].
        idle: Steps that changed no position [S, E].
        events: How often each event happened [S, E, K].
        trail: Position * 3 + action of each step, -1 behind the end [S, E, T]; [S, 0, 0] unless asked for.
    """

    q: Floats
    meant: Floats
    trained: Floats
    steps: Ints
    reached: Bools
    idle: Ints
    events: Ints
    trail: Ints

    @property
    def policy(self) -> Ints:
        """The greedy action of each state [S, F, L + 1], the first of those equally good."""
        return (self.q >= self.q.max(axis=-1, keepdims=True) - TIE).argmax(axis=-1)


def learn(
    chain: Chain, reward: ArrayLike, *, episodes: int = 3000, seeds: int | Sequence[int] = 8, first: ArrayLike = 0.0,
    pay: ArrayLike = 0.0, beta: float = 0.0, fading: ArrayLike | None = None, remember: ArrayLike = False,
    alpha: float = 0.2, explore: float = 0.1, record: bool = False,
) -> Learned:  # fmt: skip
    """Q(s, a) += α (r + g max Q(s′, ·) − Q(s, a)), acting greedily but for a share `explore` of random actions.

    Nothing follows the goal; a cut-off episode is no end. Of equally good actions one is drawn.

    Args:
        chain: The world.
        reward: The reward trained on, R [L + 1, 3, L + 1], [L + 1, 3] or [L + 1].
        episodes: E.
        seeds: Number of runs S (seeds 0 to S - 1), or their seeds.
        first: Action values at the beginning, a number, one per position [L + 1] or [L + 1, 3].
        pay: What the n-th occurrence of an event within an episode adds, times n^-beta: a number for all, one for each
            event [K], or for each episode and event [E, K].
        beta: How fast that decays.
        fading: Factor of the n-th occurrence, in the place of n^-beta [T].
        remember: Whether the learner sees that an event has happened in the episode, for all or for each [K]; with none
            of them it sees the position alone.
        alpha: Step size in (0, 1].
        explore: Share of random actions in [0, 1].
        record: Keep the trail.

    Returns:
        `Learned`.

    Raises:
        ValueError: A shape that does not fit, or a number outside its range.
    """
    runs = np.asarray(range(check_count("seeds", seeds, least=1)) if isinstance(seeds, int) else seeds, dtype=np.uint64)
    for name, share in (("alpha", alpha), ("explore", explore)):
        if not 0 <= share <= 1:
            raise ValueError(f"{name}={share!r}; it must lie in [0, 1]")
    known = np.array(np.broadcast_to(remember, chain.events), np.bool_)
    memories = 1 << chain.events if known.any() else 1
    q = np.empty((runs.size, memories, *chain.mdp.transition.shape[:2]))
    q[...] = _table(first, q.shape[2:])
    q[:, :, chain.end] = 0.0
    size = runs.size, check_count("episodes", episodes, least=1)
    meant, trained, reached = np.empty(size), np.empty(size), np.empty(size, np.bool_)
    steps, idle, events = (np.zeros(shape, np.int64) for shape in (size, size, (*size, chain.events)))
    factors = [float(n) ** -beta for n in range(1, chain.horizon + 1)] if fading is None else fading
    fades = np.asarray(factors, dtype=np.float64)
    if fades.shape != (chain.horizon,) or not np.isfinite(fades).all():
        raise ValueError(f"fading has shape {fades.shape}; it must be finite, one for each step {(chain.horizon,)}")
    trail = np.full((*size, chain.horizon) if record else (size[0], 0, 0), -1)
    _learn(
        *_outcomes(chain, chain.mdp.rewards(reward)), chain.end, _pays(pay, size[1], chain.events),
        fades, chain.discount, chain.horizon, alpha, explore, runs, known, q, meant, trained, steps, reached,
        idle, events, trail,
    )  # fmt: skip
    return Learned(q, meant, trained, steps, reached, idle, events, trail)


def _table(first: ArrayLike, shape: tuple[int, ...]) -> Floats:
    """Action values at the beginning [L + 1, 3]."""
    given = np.asarray(first, dtype=np.float64)
    given = given[:, None] if given.ndim == 1 else given
    if not np.isfinite(given).all() or given.shape not in ((), shape, (shape[0], 1)):
        raise ValueError(f"first has shape {np.shape(first)}; it must be finite numbers [], {shape[:1]} or {shape}")
    return np.broadcast_to(given, shape)


def _pays(pay: ArrayLike, episodes: int, events: int) -> Floats:
    """Pay of each event in each episode [E, K]."""
    given = np.asarray(pay, dtype=np.float64)
    if not np.isfinite(given).all() or given.shape not in ((), (events,), (episodes, events)):
        raise ValueError(f"pay has shape {given.shape}; it must be finite, [], {(events,)} or {(episodes, events)}")
    return np.array(np.broadcast_to(given, (episodes, events)))


def _outcomes(chain: Chain, reward: Floats) -> tuple[Any, ...]:
    """Next states, running probabilities, both rewards and events of the M possible outcomes, each [L + 1, 3, M]."""
    transition = chain.mdp.transition
    most = int((transition > 0).sum(axis=-1).max())
    after = np.argsort(transition <= 0, axis=-1, kind="stable")[..., :most]
    chance, meant, trained, event = (
        np.ascontiguousarray(np.take_along_axis(table, after, axis=-1))
        for table in (transition, chain.reward, reward, chain.event)
    )
    return after, chance.cumsum(axis=-1), meant, trained, event


@kernel
def _act(row: Any, explore: float, key: Any, t: Any) -> int:
    """A random action with probability `explore`, else one of the best [A]."""
    u = uniform(key, t, _ONE)
    if uniform(key, t, _ZERO) < explore:
        return min(int(u * row.size), row.size - 1)
    top, ties = row[0], 0
    for a in range(row.size):
        top = max(top, row[a])
    for a in range(row.size):
        ties += row[a] >= top - TIE
    left = min(int(u * ties), ties - 1)
    for a in range(row.size):
        left -= row[a] >= top - TIE
        if left < 0:
            return a
    return 0


@kernel
def _outcome(running: Any, level: float) -> int:
    """Index of the outcome in whose stretch of the running probabilities [M] the level falls."""
    m = 0
    while m < running.size - 1 and running[m] <= level:
        m += 1
    return m


@kernel
def _learn(
    after: Any, running: Any, meant: Any, reward: Any, event: Any, end: Any, pay: Any, fades: Any, discount: float,
    horizon: int, alpha: float, explore: float, seeds: Any, remember: Any, q: Any, earned: Any, trained: Any,
    steps: Any, reached: Any, idle: Any, events: Any, trail: Any,
) -> None:  # fmt: skip
    """Every run's episodes; fills q and all behind it."""
    for i, e in np.ndindex(earned.shape):
        key = prompt_key(step_key(seeds[i], np.uint64(e), _ZERO), _ZERO)
        s, f, factor, t = 0, 0, 1.0, 0
        earned[i, e], trained[i, e] = 0.0, 0.0
        while t < horizon and not end[s]:
            a = _act(q[i, f, s], explore, key, np.uint64(t))
            m = _outcome(running[s, a], uniform(key, np.uint64(t), _TWO))
            if trail.shape[1] > 0:
                trail[i, e, t] = s * q.shape[3] + a
            r, k, known = reward[s, a, m], event[s, a, m], f
            if k >= 0:
                events[i, e, k] += 1
                r += pay[e, k] * fades[events[i, e, k] - 1]
                known = f | (1 << k) if remember[k] else f
            now = after[s, a, m]
            best = q[i, known, now].max()
            q[i, f, s, a] += alpha * (r + discount * best - q[i, f, s, a])
            earned[i, e] += factor * meant[s, a, m]
            trained[i, e] += factor * r
            idle[i, e] += now == s
            factor *= discount
            s, f, t = now, known, t + 1
        steps[i, e], reached[i, e] = t, end[s]
