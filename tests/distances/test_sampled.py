"""EPIC from samples: the exact distance when everything is listed, near it when drawn, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab import distances
from lab.distances.sampled import epic_of_samples, sampled_epic
from lab.errors import InputError
from simulators.mdp import families
from simulators.mdp.mdp import MDP
from tests.distances.worlds import potentials, rewards, seeds, worlds

WORLD = families.dirichlet(6, 3, 0.9, source=0)
A, B = np.random.default_rng(0).standard_normal((2, 6, 3, 6))


def listed(mdp: MDP) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """Every transition once, and every action with every next state once."""
    everything = np.indices(mdp.transition.shape).reshape(3, -1)
    return tuple(everything), tuple(np.indices((mdp.actions, mdp.states)).reshape(2, -1))


@given(data=st.data(), mdp=worlds())
@settings(max_examples=40)
def test_with_every_transition_listed_it_is_exact(data: st.DataObject, mdp: MDP) -> None:
    a, b = data.draw(rewards(mdp)), data.draw(rewards(mdp))
    ours = epic_of_samples(a, b, *listed(mdp), discount=mdp.discount)
    assert ours == pytest.approx(distances.compute("epic", mdp, a, b), abs=1e-7)


@given(data=st.data(), mdp=worlds(), seed=seeds)
@settings(max_examples=40)
def test_potentials_vanish_in_the_smallest_sample(data: st.DataObject, mdp: MDP, seed: int) -> None:
    a, b = data.draw(rewards(mdp)), data.draw(rewards(mdp))
    shaped = families.shaped(mdp, a, data.draw(potentials(mdp))) + 3.0
    few = {"samples": 7, "means": 2, "seed": seed}
    before, after = sampled_epic(mdp, a, b, **few), sampled_epic(mdp, shaped, b, **few)
    kept = np.ptp(a) > 0  # a reward without spread is nothing but rounding after shaping
    assert not kept or after == pytest.approx(before, abs=1e-6) or before in (0.0, 0.5)


def test_the_error_falls_with_the_samples() -> None:
    exact, spread = distances.compute("epic", WORLD, A, B), []
    for samples, means in ((64, 16), (1024, 256), (16384, 4096)):
        found = [sampled_epic(WORLD, A, B, samples=samples, means=means, seed=s) for s in range(20)]
        spread.append(np.sqrt(np.mean((np.array(found) - exact) ** 2)))
    assert spread[2] < spread[1] / 2 < spread[0] / 4
    assert spread[2] < 0.01


def test_distributions_are_those_of_epic() -> None:
    uneven = {"state_dist": np.arange(1, 7) / 21, "action_dist": [0.7, 0.2, 0.1]}
    exact = distances.compute("epic", WORLD, A, B, **uneven)
    assert sampled_epic(WORLD, A, B, samples=20_000, means=4096, **uneven) == pytest.approx(exact, abs=0.02)
    assert abs(exact - distances.compute("epic", WORLD, A, B)) > 0.02


def test_rewards_of_states_that_cannot_be_listed() -> None:
    """States are points of the plane: the distance to a goal, beside the same with a potential."""
    rng = np.random.default_rng(1)
    states, after, drawn = rng.standard_normal((3, 500, 2))

    def goal(s: np.ndarray, a: np.ndarray, t: np.ndarray) -> np.ndarray:
        return -np.linalg.norm(t - 1, axis=-1)

    def shaped(s: np.ndarray, a: np.ndarray, t: np.ndarray) -> np.ndarray:
        return 2 * goal(s, a, t) + 0.9 * t.sum(-1) - s.sum(-1)

    batch, means = (states, np.zeros(500), after), (np.zeros(500), drawn)
    assert epic_of_samples(goal, shaped, batch, means, discount=0.9) < 1e-7
    assert epic_of_samples(goal, lambda s, a, t: -goal(s, a, t), batch, means, discount=0.9) == pytest.approx(1.0)


def test_rewards_without_spread() -> None:
    assert sampled_epic(WORLD, np.zeros(6), np.ones(6)) == 0.0
    assert sampled_epic(WORLD, np.zeros(6), A) == 0.5
    assert sampled_epic(WORLD, A, A) == 0.0
    assert sampled_epic(WORLD, A, -A) == pytest.approx(1.0)


def test_what_can_not_be_sampled() -> None:
    batch, means = listed(WORLD)
    for call, words in (
        (lambda: sampled_epic(WORLD, A, B, samples=0), "samples"),
        (lambda: sampled_epic(WORLD, A, B, state_dist=[1.0]), "state_dist"),
        (lambda: epic_of_samples(A, B, batch, means, discount=2), "discount"),
        (lambda: epic_of_samples(A[0], B, batch, means, discount=0.9), r"R \[S, A, S\]"),
        (lambda: epic_of_samples(A, B, ([0], [0, 1], [0]), means, discount=0.9), "coverage needs"),
        (lambda: epic_of_samples(A, B, batch, ([], []), discount=0.9), "means needs"),
        (lambda: epic_of_samples(lambda s, a, t: np.nan * s, B, batch, means, discount=0.9), "NaN"),
        (lambda: epic_of_samples(lambda s, a, t: 0.0, B, batch, means, discount=0.9), r"shape \(\)"),
    ):
        with pytest.raises(InputError, match=words):
            call()
