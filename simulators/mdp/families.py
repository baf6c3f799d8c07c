"""Tabular MDPs to compare rewards in: random ones, grids and chains; random rewards, potentials and redistributions.

Every function that draws takes a NumPy generator, or a seed for one. `environment(seed, index)` gives the generator of
one environment of an experiment, from which its transitions and then its rewards are drawn.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from simulators.errors import check_count
from simulators.mdp.mdp import MDP
from simulators.records import Floats

__all__ = [
    "chain", "deterministic", "dirichlet", "environment", "goal_grid", "grid", "random_potential",
    "random_redistribution", "random_reward", "shaped", "sparse", "trivial", "two_states",
]  # fmt: skip

Source = np.random.Generator | int

_TRIVIAL = 1e-6
_DRAWS = 1000


def environment(seed: int, index: int = 0) -> np.random.Generator:
    """The generator of one environment of an experiment (source: mdp-substrate, seeds)."""
    return np.random.default_rng(seed * 100_003 + index)


def two_states() -> MDP:
    """The worked example: action 0 stays, action 1 swaps; discount 0.5, start in the first state (S=2, A=2)."""
    return MDP([[[1, 0], [0, 1]], [[0, 1], [1, 0]]], discount=0.5, start=[1, 0])  # type: ignore[arg-type]


def sparse(
    states: int = 32, actions: int = 4, discount: float = 0.95, *, terminal: bool = False, source: Source = 0
) -> MDP:
    """The random worlds of STARC's experiment: few successors per action, uneven probabilities.

    z ~ N(0, 1) [S, A, S]; P is the softmax over s' of those z above 1.0 (S < 50), 1.5 (S < 100) or 1.8; a row with none
    above is uniform. About five successors per action.

    Args:
        states: S.
        actions: A.
        discount: g.
        terminal: One state, drawn at random, keeps every action in place.
        source: Generator or seed.

    Source: mdp-substrate, environment (the rest has probability 0 here, 1e-9 in the authors' code).
    """
    rng = _sizes(states, actions, source)
    z = rng.standard_normal((states, actions, states))
    kept = z > (1.0 if states < 50 else 1.5 if states < 100 else 1.8)
    weight = np.where(kept | ~kept.any(axis=-1, keepdims=True), np.exp(z), 0.0)
    weight[~kept.any(axis=-1)] = 1.0
    transition = weight / weight.sum(axis=-1, keepdims=True)
    if terminal:
        end = int(rng.integers(states))
        transition[end] = np.eye(states)[end]
    return MDP(transition, discount)


def dirichlet(
    states: int = 16, actions: int = 4, discount: float = 0.9, *, concentration: float = 0.5, source: Source = 0
) -> MDP:
    """Every transition possible: each row a draw of the symmetric Dirichlet distribution [S, A, S]."""
    rng = _sizes(states, actions, source)
    return MDP(rng.dirichlet(np.full(states, concentration), (states, actions)), discount)


def deterministic(states: int = 16, actions: int = 4, discount: float = 0.9, *, source: Source = 0) -> MDP:
    """Every action has one successor, drawn uniformly [S, A, S]."""
    rng = _sizes(states, actions, source)
    return MDP(np.eye(states)[rng.integers(states, size=(states, actions))], discount)


def grid(size: int = 4, discount: float = 0.9, *, goal: int | None = None, slip: float = 0.0) -> MDP:
    """A size x size grid, state = row * size + column; actions up, right, down, left; walls bounce.

    Args:
        size: Cells along a side, at least 1.
        discount: g.
        goal: A state that is never left; the last one by default, -1 for none.
        slip: Probability that one of the three other moves happens instead.
    """
    n = check_count("size", size, least=1)
    row, column = np.divmod(np.arange(n * n), n)
    step = np.array([[-1, 0], [0, 1], [1, 0], [0, -1]])
    rows, columns = (np.clip(x[:, None] + step[:, i], 0, n - 1) for i, x in enumerate((row, column)))
    successor = rows * n + columns
    end = n * n - 1 if goal is None else goal
    if end >= n * n:
        raise ValueError(f"goal={goal}; the grid has states 0..{n * n - 1}")
    if not 0 <= slip <= 1:
        raise ValueError(f"slip must lie in [0, 1], not {slip!r}")
    if end >= 0:
        successor[end] = end
    moves = np.eye(n * n)[successor]
    return MDP((1 - slip) * moves + slip / 3 * (moves.sum(axis=1, keepdims=True) - moves), discount)


def goal_grid(size: int = 3, discount: float = 0.9) -> tuple[MDP, Floats, dict[str, Floats]]:
    """From one corner of a `grid` to the other: the world, its sparse reward, and heuristics of unequal worth.

    Args:
        size: Cells along a side, at least 2.
        discount: g.

    Returns:
        The world, which starts in state 0; the true reward [S, A, S], 1 on entering the goal; heuristics [S, A, S] by
        name: "helpful" pays the drop in distance to the goal, "reversed" its negative, "farmable" 0.5 for every step
        that starts in state 1.

    Source: barfi in the catalogue.
    """
    n = check_count("size", size, least=2)
    plain = grid(n, discount)
    mdp = MDP(plain.transition, discount, np.eye(n * n)[0])
    row, column = np.divmod(np.arange(n * n), n)
    distance = (2 * n - 2.0) - row - column
    true, farm = np.zeros(mdp.transition.shape), np.zeros(mdp.transition.shape)
    true[:-1, :, -1], farm[1] = 1.0, 0.5
    drop = np.broadcast_to((distance[:, None] - distance)[:, None], true.shape).copy()
    return mdp, true, {"helpful": drop, "reversed": -drop, "farmable": farm}


def chain(states: int = 8, discount: float = 0.9) -> MDP:
    """States in a row, actions left and right; the ends bounce (A=2)."""
    n = check_count("states", states, least=1)
    here = np.arange(n)
    return MDP(np.eye(n)[np.stack([np.maximum(here - 1, 0), np.minimum(here + 1, n - 1)], axis=1)], discount)


def trivial(mdp: MDP, reward: ArrayLike) -> Any:
    """Whether a reward hardly tells policies apart: span <= 1e-6 max|r| / (1 - g) (mdp-substrate, guard).

    Args:
        mdp: The world.
        reward: R [..., S, A, S], [S, A] or [S].

    Returns:
        True or False, or an array of them over the leading axes.
    """
    largest = np.abs(mdp.expected(reward)).max(axis=(-2, -1))
    found = mdp.span(reward) <= _TRIVIAL * largest / (1 - mdp.discount)
    return found if np.ndim(found) else bool(found)


def random_reward(mdp: MDP, source: Source = 0, *, state_only: bool = False) -> Floats:
    """A random reward of STARC's experiment, redrawn while it is `trivial`.

    N(0, 1) entries; one in five is sparse (only entries above 3.0, 3.5 or 3.8 by size, two less when state-only), then
    7 in 10 are scaled by 10u, 3 in 10 shifted by 10u, and half get a potential of size 10u; u uniform.

    Args:
        mdp: The world.
        source: Generator or seed.
        state_only: One number per state arrived at.

    Returns:
        R [S, A, S].

    Raises:
        ValueError: No reward tells policies apart in this world (a single action, say).

    Source: mdp-substrate, random reward and triviality guard.
    """
    rng = _generator(source)
    for _ in range(_DRAWS):
        reward = _recipe(mdp, rng, state_only)
        if not trivial(mdp, reward):
            return reward
    raise ValueError(f"{_DRAWS} random rewards in {mdp} all leave every policy equally good; give it more actions")


def _recipe(mdp: MDP, rng: np.random.Generator, state_only: bool) -> Floats:
    shape = mdp.transition.shape
    drawn = rng.standard_normal(shape[2:] if state_only else shape)
    reward = np.array(np.broadcast_to(drawn, shape))
    if rng.random() < 0.2:
        high = (3.0 if mdp.states < 50 else 3.5 if mdp.states < 100 else 3.8) - 2.0 * state_only
        reward[reward <= high] = 0.0
    if rng.random() < 0.7:
        reward *= 10 * rng.random()
    if rng.random() < 0.3:
        reward += 10 * rng.random()
    if rng.random() < 0.5:
        reward = shaped(mdp, reward, random_potential(mdp, rng))
    return reward


def random_potential(mdp: MDP, source: Source = 0) -> Floats:
    """phi = N(0, 1) * 10u + u' [S], with u and u' uniform."""
    rng = _generator(source)
    return rng.standard_normal(mdp.states) * 10 * rng.random() + rng.random()


def shaped(mdp: MDP, reward: ArrayLike, potential: ArrayLike) -> Floats:
    """Potential shaping R + g phi[s'] - phi[s]: every return moves by the same -start . phi, no policy changes rank.

    Args:
        mdp: The world.
        reward: R [..., S, A, S], [S, A] or [S].
        potential: phi [S], or [..., S] for many.
    """
    phi = np.asarray(potential, dtype=np.float64)
    return mdp.rewards(reward) + mdp.discount * phi[..., None, None, :] - phi[..., :, None, None]


def random_redistribution(mdp: MDP, source: Source = 0, scale: float = 1.0) -> Floats:
    """A change D [S, A, S] over next states that no policy notices: N(0, scale²), less its mean under P."""
    noise = scale * _generator(source).standard_normal(mdp.transition.shape)
    change = noise - np.vecdot(noise, mdp.transition)[..., None]
    return np.where(np.abs(change) > 1e-12 * np.abs(noise), change, 0.0)  # where one next state is certain


def _generator(source: Source) -> np.random.Generator:
    return source if isinstance(source, np.random.Generator) else np.random.default_rng(source)


def _sizes(states: int, actions: int, source: Source) -> np.random.Generator:
    check_count("states", states, least=1)
    check_count("actions", actions, least=1)
    return _generator(source)
