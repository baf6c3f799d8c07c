"""Marks and sums of the what-if tables at their edges."""

import numpy as np
import pytest

import lab
from lab.studies.what_if import (
    FLIPPED,
    UNUSED,
    advantage_summary,
    advantage_table,
    after,
    rule_and_transform,
    what_if,
)


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


def test_only_a_curved_transform_of_rewards_moves_an_advantage():
    rewards, rules = [0.25, 0.3, 0.5, 2.0], ["grpo", after("grpo", "meanstd"), after("grpo", "tanh")]
    table = advantage_table(rules, rewards, true_mean=0.4)
    plain, straight, curved = (table.filter(variant=rule)["advantage"].to_numpy() for rule in rules)
    assert np.abs(plain - straight).max() < 1e-3
    assert np.abs(plain - curved).max() > 0.2
    assert curved == pytest.approx(lab.advantages.compute("grpo", np.tanh([rewards]))[0])
    assert table["reward"].to_list() == rewards * 3, "the rewards that are meant stand beside all of them"
    seen = what_if(rules, [[[r] for r in rewards]], [0.0, 1.0], true_mean=0.4)
    moved = lab.advantages.compute("grpo", np.tanh([[0.25, 1.0, 0.5, 2.0]]))[0]
    assert seen.advantage[2, 1 + 1 * 2 + 1, 0] == pytest.approx(moved)
    assert rule_and_transform("grpo") == ("grpo", "") and rule_and_transform(rules[2]) == ("grpo", "tanh")
