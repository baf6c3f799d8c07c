"""One pair of rewards looked at closely: the second made from the first, and everything on the way between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lab import distances
from lab.errors import InputError, UnknownNameError, check_number, check_whole
from lab.reward_models import learned_reward
from simulators.mdp.mdp import MDP

if TYPE_CHECKING:
    import polars as pl

__all__ = ["CHANGES", "arriving", "between", "distance_shares", "reward_map", "reward_pair", "reward_walk"]

Array = NDArray[Any]

#: How much larger than the amount a reward is that both share where nothing happens.
_HIDDEN = 50.0

#: A share of the largest distance below which a distance is rounding.
_ROUNDING = 1e-6


class _Made(NamedTuple):
    """What a change is made with."""

    mdp: MDP
    state: int
    amount: float
    comparisons: int
    temperature: float
    seed: int


def _arrived(made: _Made, pay: Array | float) -> Array:
    return np.where(np.arange(made.mdp.states) == made.state, pay, 0.0)


def _potential(made: _Made, reward: Array) -> Array:
    from simulators.mdp.families import shaped

    phi = np.random.default_rng([made.seed, 0]).standard_normal(made.mdp.states)
    return shaped(made.mdp, reward, made.amount * phi)


def _redistribution(made: _Made, reward: Array) -> Array:
    from simulators.mdp.families import random_redistribution

    moved = random_redistribution(made.mdp, np.random.default_rng([made.seed, 1]), abs(made.amount))
    return np.where(made.mdp.transition > 0, reward + moved, reward)


def _impossible(made: _Made, reward: Array, size: float = 1.0) -> Array:
    noise = np.random.default_rng([made.seed, 2]).standard_normal(reward.shape)
    return np.where(made.mdp.transition > 0, reward, reward + size * made.amount * noise)


def _shared(made: _Made, reward: Array) -> Array:
    return _impossible(made, reward, _HIDDEN)


def _learned(made: _Made, reward: Array) -> Array:
    found = learned_reward(made.mdp, reward, made.comparisons, temperature=made.temperature, seed=made.seed)
    return made.mdp.rewards(found.reward)


#: Name -> what it does to a reward in words, and the function.
_CHANGES: dict[str, tuple[str, Callable[[_Made, Array], Array]]] = {
    "potential": ("add a potential", _potential),
    "scale": ("scale it", lambda m, r: r * 10**m.amount),
    "offset": ("pay for every step", lambda m, r: r + m.amount),
    "redistribution": ("redistribute over next states", _redistribution),
    "impossible": ("pay for what never happens", _impossible),
    "shortcut": ("reward a shortcut", lambda m, r: r + _arrived(m, m.amount)),
    "flip": ("flip one state", lambda m, r: r - 2 * r * _arrived(m, 1.0)),
    "learned": ("learn it from noisy comparisons", _learned),
    "opposite": ("turn it round", lambda m, r: -r),
    "shared": ("both pay for what never happens", _shared),
}

#: Changes of a reward by name, in words.
CHANGES: Mapping[str, str] = MappingProxyType({name: words for name, (words, _) in _CHANGES.items()})


def reward_pair(
    mdp: MDP, reward: ArrayLike, changes: Iterable[str] = (), *, state: int = 0, amount: float = 1.0,
    comparisons: int = 50, temperature: float = 1.0, seed: int = 0,
) -> tuple[Array, Array]:  # fmt: skip
    """A reward and a second one made from it.

    Args:
        mdp: The world.
        reward: The first reward, [S, A, S], [S, A] or [S].
        changes: Names in `CHANGES`, made one after the other. "shared" changes the first reward as well: to both it
            adds 50 times the amount of noise on transitions that never happen.
        state: Where "shortcut" pays for arriving, and whose reward "flip" turns round.
        amount: Size of the change: standard deviation of "potential", "redistribution" and "impossible", what
            "shortcut" and "offset" pay, the power of ten that "scale" multiplies by.
        comparisons: Of "learned".
        temperature: Noise of the comparisons in units of the return.
        seed: Another seed, other potentials, noise and comparisons.

    Returns:
        R1 and R2, each [S, A, S].

    Raises:
        UnknownNameError: No such change.
        InputError: No such state, or an amount that is not finite.
        ValueError: The reward does not fit the world.
    """
    first = mdp.rewards(reward)
    if not 0 <= state < mdp.states:
        raise InputError(f"state={state}; this world has the states 0..{mdp.states - 1}")
    check_number("amount", amount, np.isfinite, "a finite number")
    made = _Made(mdp, state, float(amount), comparisons, temperature, seed)
    second = first
    for name in changes:
        if name not in _CHANGES:
            raise UnknownNameError("change of a reward", name, _CHANGES)
        second = _CHANGES[name][1](made, second)
        first = _shared(made, first) if name == "shared" else first
    return np.array(first), np.array(second)


def arriving(mdp: MDP, reward: ArrayLike) -> Array:
    """What arriving in each state pays on average, [..., S]: over states and actions by how likely they lead there.

    A reward of the state arrived at is given back. Where nothing leads to a state the mean is over all transitions.
    """
    rewards = mdp.rewards(reward)
    weight = np.where(mdp.transition.sum(axis=(0, 1)) > 0, mdp.transition, 1.0)
    return np.asarray(np.einsum("...sat,sat->...t", rewards, weight) / weight.sum(axis=(0, 1)))


def between(mdp: MDP, first: ArrayLike, last: ArrayLike, steps: int = 32) -> Array:
    """R1 + t (R2 - R1) for t from 0 to 1 in equal steps: [steps + 1, S, A, S]."""
    share = np.linspace(0, 1, check_whole("steps", steps, least=1) + 1)[:, None, None, None]
    start, end = mdp.rewards(first), mdp.rewards(last)
    return np.asarray((1 - share) * start + share * end)


def reward_map(mdp: MDP, rewards: Mapping[str, ArrayLike]) -> pl.DataFrame:
    """Rewards as a map shows them, one row for each reward and state.

    Returns:
        Table reward, state, arriving (see `arriving`), value (of the state under an optimal policy), best (all actions
        that are optimal there), shared (whether one of them is optimal under the first reward too).

    Raises:
        InputError: No rewards. ValueError: A reward does not fit the world, or the discount is 1.
    """
    import polars as pl

    if not rewards:
        raise InputError("a map needs at least one reward")
    every = np.stack([mdp.rewards(r) for r in rewards.values()])
    best, optimal = mdp.best_actions(every), mdp.optimal(every)
    value = np.concatenate([mdp.value(r, p) for r, p in zip(every, optimal, strict=True)])
    columns = {
        "reward": np.repeat(list(rewards), mdp.states), "state": np.tile(np.arange(mdp.states), len(every)),
        "arriving": arriving(mdp, every).ravel(), "value": value,
        "best": [np.flatnonzero(row).tolist() for row in best.reshape(-1, mdp.actions)],
        "shared": (best & best[:1]).any(axis=-1).ravel(),
    }  # fmt: skip
    return pl.DataFrame(columns, schema_overrides={"reward": pl.String, "best": pl.List(pl.Int64)})


def reward_walk(
    mdp: MDP, first: ArrayLike, last: ArrayLike, names: Sequence[str] = ("val-l2-l2",), *, steps: int = 32
) -> pl.DataFrame:
    """From one reward to another in equal steps, R = R1 + t (R2 - R1): distance from R1 and what mistaking them costs.

    Args:
        mdp: The world.
        first: R1 [S, A, S], [S, A] or [S].
        last: R2.
        names: Distances, see `lab.distances.names()`.
        steps: Number of equal steps.

    Returns:
        Table step, share (t), regret (share of what R1 has to give that is lost by optimising R), back (the same with R
        and R1 swapped), mean_regret (of both), worst_case (most that can be lost of R1 without losing any of R), and
        one column per distance.

    Raises:
        UnknownNameError: No such distance. ValueError: A reward does not fit the world, or the discount is 1.

    Source: starc, protocol.
    """
    import polars as pl

    way, step = between(mdp, first, last, steps), np.arange(steps + 1)
    regret, back = mdp.regret(way[0], way), mdp.regret(way, way[0])
    columns = {
        "step": step, "share": step / steps, "regret": regret, "back": back,
        "mean_regret": (regret + back) / 2, "worst_case": mdp.worst_case_regret(way[0], way),
    }  # fmt: skip
    return pl.DataFrame(columns | distances.compare(mdp, way[0], way, names))


def distance_shares(distance: Mapping[str, float], names: Iterable[str]) -> pl.DataFrame:
    """Distances of one pair, nearest first, beside the largest that each can be.

    Args:
        distance: Values by name, such as a row of `reward_walk`.
        names: Distances that have a largest value.

    Returns:
        Table distance, value, maximum, share (of the maximum), apart (whether it is more than rounding).

    Raises:
        InputError: A distance without a largest value. UnknownNameError: No such distance.
    """
    import polars as pl

    rows = []
    for name in names:
        largest = distances.distance(name).maximum
        if largest is None:
            raise InputError(f"the values of {name!r} have no largest one; see lab.distances.table()")
        share = distance[name] / largest
        rows.append((name, distance[name], largest, share, share > _ROUNDING))
    columns = ["distance", "value", "maximum", "share", "apart"]
    return pl.DataFrame(rows, schema=columns, orient="row").sort("share", maintain_order=True)
