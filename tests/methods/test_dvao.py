"""DVAO beside the two combinations that it stands between."""

import numpy as np
import pytest

from lab import advantages
from lab.errors import InputError

REWARDS = np.random.default_rng(0).random((5, 6, 3))


def test_one_reward_is_grpo_with_population_deviation() -> None:
    plain = advantages.compute("grpo", REWARDS[..., :1], ddof=0, eps=1e-6)
    assert advantages.compute("dvao", REWARDS[..., :1]) == pytest.approx(plain, rel=1e-12)


def test_only_the_proportions_of_the_weights_matter() -> None:
    small = advantages.compute("dvao", REWARDS, weights=[0.1, 0.2, 0.3], eps=0.0)
    assert advantages.compute("dvao", REWARDS, weights=[1, 2, 3], eps=0.0) == pytest.approx(small, rel=1e-12)


def test_opposite_rewards_cancel_and_equal_ones_count_once() -> None:
    first = REWARDS[..., 0]
    assert np.abs(advantages.compute("dvao", np.stack([first, 1 - first], -1))).max() < 1e-12
    twice = advantages.compute("dvao", np.stack([first, first], -1), eps=0.0)
    assert twice == pytest.approx(advantages.compute("dvao", first, eps=0.0), rel=1e-12)


def test_a_missing_component_is_left_out() -> None:
    rewards = REWARDS.copy()
    rewards[:, 0, 1] = np.nan
    found = advantages.compute("dvao", rewards, missing="skip")
    assert np.isfinite(found).all()
    only = rewards[:, 0] - np.nanmean(rewards, axis=1)
    below = np.nanstd(rewards, axis=1).sum(-1) + 1e-6
    assert found[:, 0] == pytest.approx(np.nansum(only, axis=-1) / below)


def test_a_negative_weight_is_an_error() -> None:
    with pytest.raises(InputError, match="must be at least 0"):
        advantages.compute("dvao", REWARDS, weights=[1, -1, 1])
