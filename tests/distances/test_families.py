"""Worlds and rewards to compare in: distributions of the card, pictures of grids, refusals."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import pytest

from simulators.mdp import families
from simulators.mdp.mdp import MDP


@pytest.mark.parametrize(("states", "threshold"), [(16, 1.0), (32, 1.0), (64, 1.5), (128, 1.8)])
def test_sparse_worlds_have_about_five_successors(states: int, threshold: float) -> None:
    """Of S normal numbers those above the threshold are kept; with none of them, all S."""
    below = NormalDist().cdf(threshold)
    seen = [(families.sparse(states, source=seed).transition > 0).sum(-1).mean() for seed in range(10)]
    error = np.std(seen, ddof=1) / np.sqrt(len(seen))
    assert abs(np.mean(seen) - states * (1 - below + below**states)) < 4 * error


def test_a_row_with_nothing_kept_is_uniform() -> None:
    uniform = families.sparse(2, 50, source=1).transition
    assert (uniform == 0.5).all(axis=-1).any()


def test_a_terminal_state_keeps_every_action() -> None:
    transition = families.sparse(8, 3, terminal=True, source=4).transition
    assert ((transition == np.eye(8)[:, None]).all(axis=(1, 2))).sum() == 1


@pytest.mark.parametrize("make", [families.sparse, families.dirichlet, families.deterministic])
def test_the_same_seed_is_the_same_world(make: Callable[..., MDP]) -> None:
    assert np.array_equal(make(source=3).transition, make(source=np.random.default_rng(3)).transition)
    assert not np.array_equal(make(source=3).transition, make(source=4).transition)
    with pytest.raises(ValueError, match="states must be at least 1"):
        make(0)


def test_a_grid_is_walked() -> None:
    mdp = families.grid(3, goal=8)
    here, path = 0, []
    for action in (0, 1, 2, 2, 3, 1, 1, 0):
        here = int(mdp.transition[here, action].argmax())
        path.append(here)
    assert path == [0, 1, 4, 7, 6, 7, 8, 8]
    assert families.grid(2, goal=-1).transition[3, 0].argmax() == 1
    with pytest.raises(ValueError, match=r"states 0\.\.3"):
        families.grid(2, goal=4)


def test_a_chain_is_walked() -> None:
    mdp = families.chain(3)
    assert mdp.transition.argmax(-1).tolist() == [[0, 1], [0, 2], [1, 2]]


def test_random_rewards_are_never_trivial() -> None:
    mdp = families.sparse(12, 3, 0.9, source=0)
    rng = families.environment(1, 2)
    drawn = [families.random_reward(mdp, rng, state_only=only) for only in (False, True) for _ in range(20)]
    assert not any(families.trivial(mdp, r) for r in drawn)
    assert families.trivial(mdp, np.ones((12, 3)))
    first, again = (families.random_reward(mdp, families.environment(1, 2)) for _ in range(2))
    assert np.array_equal(first, again)
    with pytest.raises(ValueError, match="more actions"):
        families.random_reward(families.sparse(3, 1), 0)


def test_redistribution_is_not_noticed() -> None:
    mdp = families.dirichlet(6, 2)
    change = families.random_redistribution(mdp, 0, scale=3.0)
    assert np.abs(mdp.expected(change)).max() < 1e-14
    assert 2 < change.std() < 4
