"""Bandits from a few knobs: what each arm is worth, how noisy it is, and the world that is made by name."""

from __future__ import annotations

import numpy as np
import pytest

from simulators import Bandit, reward_laws
from simulators.bandit import HERE, bandit
from simulators.bandit.families import graded, noisy
from simulators.random import uniforms


def test_hardness_goes_from_a_half_to_eight_evenly_in_its_logarithm() -> None:
    world = graded(3, 5, heads=2)
    worth = np.array([0, 0.25, 0.5, 0.75, 1])
    assert np.allclose(world.means, np.repeat([[worth**0.5], [worth**2], [worth**8]], 2, axis=1), atol=1e-15)
    assert np.array_equal(graded(1, 2).means, [[[0, 1]]]) and graded().means.shape == (8, 1, 8)
    assert np.allclose(graded(1, 5).means[0, 0], worth**0.5)
    for wrong in ({"prompts": 0}, {"arms": 1}, {"heads": 0}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be at least"):
            graded(**wrong)


def test_noise_is_that_of_ordinary_draws_and_outliers_are_ten_times_as_wide() -> None:
    assert noisy("normal", 0.2) == reward_laws.normal(0.2) and noisy("normal") == reward_laws.normal(0.3)
    assert noisy("student_t", 0.2) == reward_laws.student_t(2.0, 0.2)
    assert noisy("contaminated_normal", 0.2) == reward_laws.contaminated_normal(0.1, 2.0, 0.2)
    assert noisy("log_normal", 0.2) == reward_laws.log_normal(0.2)
    assert noisy("bernoulli", 0.2) == reward_laws.bernoulli() and noisy("three_level", 5) == reward_laws.three_level()
    mine = reward_laws.normal(7.0)
    assert noisy(mine, 0.2) is mine and graded(1, 2, law="normal").laws == (reward_laws.normal(0.3),)


def test_the_world_by_name() -> None:
    plain = bandit()
    assert np.array_equal(plain.means, graded(8, 8).means) and plain.laws == (reward_laws.bernoulli(),)
    drawn = bandit(2, 3, law="normal", noise=0.5, seed=4)
    own = uniforms(4, step=2**63, prompt=np.array([[0], [1]]), draw=np.array([0, 1, 2]))
    assert np.array_equal(drawn.means[:, 0], own) and drawn.laws == (reward_laws.normal(0.5),)
    assert bandit(2, 3, law="normal").laws == (reward_laws.normal(0.3),)
    for given in ([[0.2, 0.5], [0.1, 0.9]], "0.2,0.5; 0.1,0.9", "0.2,0.5; 0.1,0.9;"):
        assert np.array_equal(bandit(success=given, law="normal", noise=1.0).means[:, 0], [[0.2, 0.5], [0.1, 0.9]])
    assert bandit(success=[0.2, 0.5]).means.shape == (1, 1, 2)
    with pytest.raises(ValueError, match="rows of 2, 1 arms"):
        bandit(success=[[0.2, 0.5], [0.1]])
    with pytest.raises(ValueError, match=r"write rewards as \"0\.2"):
        bandit(success="0.2,half")
    assert HERE.listed and set(HERE.settings) == {"prompts", "arms", "law", "noise", "seed", "success"}


def test_responses_are_the_arms_and_their_chance_of_a_reward() -> None:
    world = Bandit([[0.2, 0.7, 0.4]], logits=[0.0, np.log(2), 0.0])
    policy = world.init([3, 4])
    policy.parameters[1] = 9.0 * np.arange(3)  # of the first run alone
    found = world.responses(policy)
    assert found is not None
    chance, rewards, shares = found
    assert np.allclose(chance, [[0.25, 0.5, 0.25]]) and [r.tolist() for r in rewards] == [[0.0, 1.0]]
    assert np.allclose(shares[0], [[0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    for other in (Bandit(np.full((1, 2, 2), 0.5)), Bandit(means=[[0.2, 0.7]], law="normal")):
        assert other.responses(other.init([0])) is None
