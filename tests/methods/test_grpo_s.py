"""Hardness, responsiveness and the shadow reward at their edges."""

import numpy as np
import pytest

from lab import advantages
from lab.advantages.grpo_s import hardness, responsiveness
from lab.errors import InputError
from lab.rewards.shadow import shadow_policy, shadow_reward

REWARDS = np.random.default_rng(0).random((4, 6, 2))


def test_one_prompt_per_category_is_plain_grpo() -> None:
    plain = advantages.compute("grpo", REWARDS, ddof=0, eps=1e-8)
    assert advantages.compute("grpo-s", REWARDS, task=[0, 1, 2, 3]) == pytest.approx(plain, rel=1e-12)


def test_the_coefficient_belongs_to_the_prompt() -> None:
    ratio = advantages.compute("grpo-s", REWARDS) / advantages.compute("grpo", REWARDS, ddof=0, eps=1e-8)
    assert ratio == pytest.approx(np.repeat(ratio[:, :1], 6, axis=1), rel=1e-9)
    assert np.ptp(ratio[:, 0]) > 1e-3


def test_bounds_of_the_hardness_are_reached_at_the_ends() -> None:
    assert hardness(np.array([0.0] + [1.0] * 10**4))[0] == pytest.approx(1.462, abs=1e-3)
    assert hardness(np.array([1.0] + [0.0] * 10**4))[0] == pytest.approx(0.684, abs=1e-3)


def test_an_outlier_is_left_out_and_nothing_left_means_no_change() -> None:
    gap = np.array([1.0, 1.1, 0.9, 1.0, -8.0])
    kept, mean = 1.0, gap.mean()
    assert responsiveness(gap) == pytest.approx((1 + np.exp(-mean)) / (1 + np.exp(-kept)))
    assert responsiveness(gap, tau=-1.0).tolist() == [1] * 5


def test_a_component_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match="similarity=2; there are 2"):
        advantages.compute("grpo-s", REWARDS, similarity=2)


def test_shadow_rewards_reproduce_any_frequencies() -> None:
    seen, reference = np.array([0.7, 0.2, 0.1]), np.array([0.2, 0.3, 0.5])
    for beta in (0.5, 2.0):
        learnt = shadow_reward(seen, reference, beta=beta, lr=0.2)
        assert shadow_policy(learnt, reference, beta) == pytest.approx(seen, abs=1e-6)
