"""Marks and sums of the what-if tables at their edges."""

import numpy as np
import pytest

from lab.studies.what_if import FLIPPED, UNUSED, advantage_summary, advantage_table, what_if


def test_a_reward_at_the_true_mean_has_no_sign_to_flip() -> None:
    seen = what_if(["grpo"], np.array([[[0.5], [0.0], [0.0], [0.0]]]), [], true_mean=0.5)
    assert seen.advantage[0, 0, 0, 0] > 1, "the group's mean is below the true one"
    assert seen.mark[0, 0, 0].tolist() == [0, 0, 0, 0]
    below = what_if(["grpo"], np.array([[[0.5 - 1e-6], [0.0], [0.0], [0.0]]]), [], true_mean=0.5)
    assert below.mark[0, 0, 0].tolist() == [FLIPPED, 0, 0, 0]


def test_an_advantage_of_zero_flips_nothing() -> None:
    seen = what_if(["grpo"], np.array([[[1.0], [1.0]]]), [], true_mean=0.5)
    assert seen.mark[0, 0].tolist() == [[0, 0]]


def test_a_rollout_that_takes_no_part_is_marked_as_such() -> None:
    seen = what_if(["mc-grpo"], np.array([[[0.0], [0.5], [1.0]]]), [], true_mean=0.9)
    assert (seen.mark[0, 0, 0] == UNUSED).sum() == 1


@pytest.mark.parametrize(("rule", "phantom"), [("reinforce_pp", True), ("grpo", False)])
def test_a_phantom_is_told_group_by_group(rule: str, phantom: bool) -> None:
    table = advantage_table([rule], [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]], true_mean=0.5)
    assert advantage_summary(table)["phantom"].to_list() == [phantom]
    mixed = advantage_table([rule], [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]], true_mean=0.5)
    assert advantage_summary(mixed)["phantom"].to_list() == [False]
