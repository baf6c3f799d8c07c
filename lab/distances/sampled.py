"""EPIC from samples: for rewards that can be asked but not listed, such as a network over pixels.

The same definition as `epic`, with two means taken over draws: the one that makes the canonical form, and the one over
the coverage distribution. Both rewards see the same draws, and a potential vanishes exactly, however few they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lab.distances.canonical import Array, distribution
from lab.errors import InputError, check_number, check_whole
from simulators.mdp.mdp import MDP

__all__ = ["epic_of_samples", "sampled_epic"]

Asked = Callable[[Any, Any, Any], ArrayLike]

_CHUNK = 1 << 20


def epic_of_samples(
    first: Asked | ArrayLike, second: Asked | ArrayLike, coverage: tuple[Any, Any, Any], means: tuple[Any, Any], *,
    discount: float,
) -> float:  # fmt: skip
    """EPIC distance over a batch of transitions.

    Args:
        first: `reward(states, actions, next_states) -> [n]` for arrays with n on the first axis; or R [S, A, S], to be
            asked with indices.
        second: Likewise.
        coverage: States, actions and next states of n transitions, drawn from the coverage distribution.
        means: Actions and next states of k draws from D_A and D_S, the same for every state; the first axis is k.
        discount: g in [0, 1].

    Returns:
        A number in [0, 1]; rewards without any spread over the batch are at 0 from each other, 0.5 from all others.

    Raises:
        InputError: Empty or uneven batches, a reward that gives another shape or a value that is not finite.

    Source: reward-distances, sample form (arXiv 2006.13900).
    """
    check_number("discount", discount, lambda x: 0 <= x <= 1, "a number from 0 to 1")
    batch, drawn = _even("coverage", coverage), _even("means", means)
    forms = [_form(r if callable(r) else _table(r), batch, drawn, float(discount)) for r in (first, second)]
    unit = [_unit(values - values.mean(), values) for values in forms]
    return float(0.5 * np.sqrt(np.mean((unit[0] - unit[1]) ** 2)))


def sampled_epic(
    mdp: MDP, first: ArrayLike, second: ArrayLike, *, samples: int = 4096, means: int = 256, seed: int = 0,
    state_dist: ArrayLike | None = None, action_dist: ArrayLike | None = None,
) -> float:  # fmt: skip
    """`epic` between tabular rewards, as it would be estimated: see how many samples it takes.

    Args:
        mdp: The world.
        first: R [S, A, S], [S, A] or [S].
        second: Likewise.
        samples: Transitions of the coverage batch n.
        means: Draws k of every mean over actions and next states.
        seed: Of the draws.
        state_dist: D_S [S]; uniform by default.
        action_dist: D_A [A]; uniform by default.

    Raises:
        InputError, ValueError: Numbers below 1, no distributions, or rewards that do not fit the world.
    """
    n, k = check_whole("samples", samples, least=1), check_whole("means", means, least=1)
    over_states = distribution("state_dist", state_dist, mdp.states)
    over_actions = distribution("action_dist", action_dist, mdp.actions)
    rng = np.random.default_rng(seed)
    here, after = rng.choice(mdp.states, (2, n), p=over_states)
    coverage = here, rng.choice(mdp.actions, n, p=over_actions), after
    drawn = rng.choice(mdp.actions, k, p=over_actions), rng.choice(mdp.states, k, p=over_states)
    return epic_of_samples(mdp.rewards(first), mdp.rewards(second), coverage, drawn, discount=mdp.discount)


def _form(reward: Asked, coverage: list[Array], means: list[Array], discount: float) -> Array:
    """R + g m(s') - m(s) - g mean m on the batch, with m(s) = mean over the draws of R(s, a_i, s'_i)."""
    here, action, after = coverage
    level = discount * _means(reward, means[1], means).mean()
    moved = discount * _means(reward, after, means) - _means(reward, here, means)
    return _answer(reward, here, action, after) + moved - level


def _means(reward: Asked, states: Array, means: list[Array]) -> Array:
    """m of each state [n], asked in blocks; states that are numbers are asked once each."""
    if states.ndim == 1 and states.dtype.kind in "iu":
        states, place = np.unique(states, return_inverse=True)
    else:
        place = np.arange(len(states))
    actions, after = means
    size, out = max(1, _CHUNK // len(actions)), []
    for start in range(0, len(states), size):
        block = states[start : start + size]
        every = np.tile(np.arange(len(actions)), len(block))
        asked = _answer(reward, np.repeat(block, len(actions), axis=0), actions[every], after[every])
        out.append(asked.reshape(len(block), -1).mean(axis=-1))
    return np.concatenate(out)[place]


def _answer(reward: Asked, *transitions: Array) -> Array:
    values = np.asarray(reward(*transitions), dtype=np.float64)
    if values.shape != (len(transitions[0]),) or not np.isfinite(values).all():
        raise InputError(
            f"a reward must give {len(transitions[0])} finite numbers for as many transitions, not shape {values.shape}"
            + ("" if np.isfinite(values).all() else " with NaN or infinity in it")
        )
    return values


def _unit(centred: Array, values: Array) -> Array:
    length = np.sqrt(np.mean(centred**2))
    return centred / length if length > 1e-12 * np.abs(values).max(initial=0.0) else np.zeros_like(centred)


def _table(reward: ArrayLike) -> Asked:
    array = np.asarray(reward, dtype=np.float64)
    if array.ndim != 3:
        raise InputError(f"a reward must be a function or R [S, A, S], not shape {array.shape}")
    return lambda s, a, t: array[s, a, t]


def _even(name: str, parts: tuple[Any, ...]) -> list[Array]:
    arrays = [np.asarray(part) for part in parts]
    sizes = {array.shape[:1] for array in arrays}
    if len(sizes) != 1 or sizes & {(), (0,)}:
        raise InputError(f"{name} needs parts with one number of rows, at least 1, not {[a.shape for a in arrays]}")
    return arrays
