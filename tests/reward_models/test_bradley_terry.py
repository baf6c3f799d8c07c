"""Rewards learned from comparisons: the likelihood's own maximum, the truth in the limit, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

import lab
from lab import distances
from lab.errors import InputError
from lab.reward_models import bradley_terry, learned_reward, prefer
from simulators.mdp import families
from simulators.mdp.episodes import counts, walk


def likelihood(weights: np.ndarray, x: np.ndarray, y: np.ndarray, ridge: float) -> float:
    chance = 1 / (1 + np.exp(-(x @ weights)))
    return float(-(y * np.log(chance) + (1 - y) * np.log(1 - chance)).sum() + 0.5 * ridge * weights @ weights)


@given(seed=st.integers(0, 10_000), ridge=st.sampled_from([0.01, 0.1, 1.0]), shares=st.booleans())
@settings(max_examples=30)
def test_newton_finds_what_a_general_optimiser_finds(seed: int, ridge: float, shares: bool) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((30, 4)), rng.random(30)
    y = y if shares else (y < 0.5).astype(float)
    found = bradley_terry(x, y, ridge=ridge)
    assert np.allclose(found, minimize(likelihood, np.zeros(4), (x, y, ridge), tol=1e-12).x, atol=1e-4)
    chance = 1 / (1 + np.exp(-(x @ found)))
    assert np.abs(x.T @ (y - chance) - ridge * found).max() < 1e-6
    assert np.allclose(bradley_terry(-x, 1 - y, ridge=ridge), found), "the order within a pair does not matter"


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_preferences_that_contradict_nobody_have_an_answer(scale: float) -> None:
    x = scale * np.random.default_rng(0).standard_normal((40, 3))
    right = np.array([1.0, -2.0, 0.5])
    found = bradley_terry(x, x @ right > 0, ridge=1e-3)
    assert np.isfinite(found).all()
    assert (np.sign(found) == np.sign(right)).all()


def test_one_comparison_by_hand() -> None:
    """One feature, difference 1, ridge 1: w = 1 - σ(w)."""
    (found,) = bradley_terry([[1.0]], [True], ridge=1.0)
    assert found == pytest.approx(1 - 1 / (1 + np.exp(-found)), abs=1e-9)


@pytest.mark.parametrize("of", ["state", "action", "transition"])
def test_many_comparisons_teach_the_reward(of: str) -> None:
    mdp = families.sparse(4, 2, 0.9, source=1)
    rng = np.random.default_rng(0)
    reward = {"state": rng.normal(size=4), "action": rng.normal(size=(4, 2)), "transition": rng.normal(size=(4, 2, 4))}
    few, many = (learned_reward(mdp, reward[of], n, of=of, horizon=4, ridge=1e-3) for n in (10, 3000))
    near, far = (distances.compute("starc", mdp, reward[of], found.reward) for found in (many, few))
    assert near < 0.2
    assert near < far / 2
    assert np.shape(many.reward) == reward[of].shape
    assert 0.6 < many.right < 0.95


def test_without_noise_only_equal_returns_are_a_coin() -> None:
    rng = np.random.default_rng(0)
    assert prefer([1.0, 2.0], [0.0, 3.0], temperature=0, rng=rng).tolist() == [True, False]
    assert 0.45 < prefer(np.zeros(5000), np.zeros(5000), temperature=0, rng=rng).mean() < 0.55
    assert np.mean(prefer(np.ones(5000), np.zeros(5000), rng=rng)) == pytest.approx(1 / (1 + np.exp(-1)), abs=0.03)
    assert prefer(np.full(9, 1e6), np.zeros(9), temperature=1e-3, rng=rng).all()
    mdp = families.grid(3, 0.9)
    assert learned_reward(mdp, np.arange(9.0), 30, temperature=0).right == 1.0
    assert learned_reward(mdp, np.zeros(9), 30).right == 1.0


def test_the_same_seed_is_the_same_reward_and_more_comparisons_only_add() -> None:
    mdp = families.grid(3, 0.9)
    first, again, longer = (learned_reward(mdp, np.arange(9.0), n, seed=5) for n in (20, 20, 40))
    assert np.array_equal(first.reward, again.reward)
    assert np.array_equal(first.preferred, longer.preferred[:20])


def test_counts_are_those_of_a_loop() -> None:
    mdp = families.sparse(5, 3, 0.9, source=2)
    drawn = walk(mdp, 7, 6, rng=np.random.default_rng(0))
    assert (mdp.transition[drawn.states[:, :-1], drawn.actions, drawn.states[:, 1:]] > 0).all()
    found = counts(mdp, drawn, "transition")
    for i, (states, actions) in enumerate(zip(*drawn, strict=True)):
        by_hand = np.zeros((5, 3, 5))
        for t, a in enumerate(actions):
            by_hand[states[t], a, states[t + 1]] += 1
        assert np.array_equal(found[i], by_hand)
    assert np.array_equal(counts(mdp, drawn, "action"), found.sum(-1))
    assert np.array_equal(counts(mdp, drawn), found.sum((1, 2)))


def test_what_can_not_be_learned_from() -> None:
    assert lab.reward_models.bradley_terry is bradley_terry
    mdp = families.grid(2)
    for call, words in (
        (lambda: bradley_terry([1.0], [True]), r"difference must be \[M, F\]"),
        (lambda: bradley_terry([[1.0]], [2.0]), "between 0 and 1"),
        (lambda: bradley_terry([[np.nan]], [True]), "must be finite"),
        (lambda: bradley_terry([[1.0]], [True], ridge=0), "ridge"),
        (lambda: learned_reward(mdp, np.zeros(4), 0), "comparisons"),
        (lambda: learned_reward(mdp, np.zeros(4), temperature=-1), "temperature"),
    ):
        with pytest.raises(InputError, match=words):
            call()
    with pytest.raises(ValueError, match="'state'"):
        learned_reward(mdp, np.zeros(4), of="stat")
    with pytest.raises(ValueError, match="horizon"):
        learned_reward(mdp, np.zeros(4), horizon=0)
