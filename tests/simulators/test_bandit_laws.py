"""A bandit whose heads have different reward laws."""

import numpy as np
import pytest

from simulators import Bandit
from simulators.reward_laws import normal


def test_each_head_draws_from_its_own_law() -> None:
    mixed = Bandit(means=[[[0.0, 1.0], [-3.0, 3.0]]], law=["bernoulli", normal(0.5)], logits=[[-2.0, 2.0]])
    rollouts = mixed.rollout(mixed.init([0]), 20_000, 0)
    sure, noisy = rollouts.rewards[0, 0].T
    assert np.array_equal(sure, rollouts.actions[0, 0, :, 0])
    error = noisy - np.array([-3.0, 3.0])[rollouts.actions[0, 0, :, 1]]
    assert abs(error.mean()) < 0.02
    assert abs(error.std() - 0.5) < 0.02


def test_one_law_is_the_same_law_for_every_head() -> None:
    means = np.random.default_rng(0).random((3, 2, 4))
    one, two = Bandit(means=means, law="log_normal"), Bandit(means=means, law=["log_normal", "log_normal"])
    first, second = (world.rollout(world.init([5]), 4, 2).rewards for world in (one, two))
    assert np.array_equal(first, second)
    assert repr(one) == repr(two)


@pytest.mark.parametrize("laws", [["normal"], ["normal"] * 3])
def test_laws_must_be_as_many_as_heads(laws: list[str]) -> None:
    with pytest.raises(ValueError, match="one for each of the 2 heads"):
        Bandit(means=np.zeros((1, 2, 2)), law=laws)


def test_only_bernoulli_heads_need_probabilities() -> None:
    with pytest.raises(ValueError, match="success must be from 0 to 1, not -3 to 3"):
        Bandit(means=[[[-3.0, 3.0], [0.0, 1.0]]], law=["bernoulli", "normal"])
