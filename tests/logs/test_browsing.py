"""Groups and rollouts of a log: most telling first, found by their text, and why one teaches nothing."""

import numpy as np
import polars as pl
import pytest

import lab
from lab.errors import UnknownNameError
from lab.logs.browsing import ORDERS, groups_of, rollouts_of, why
from tests.logs.logs import made

# Step 1: spread, solved, never right; step 2: the second group has the larger deviation.
REWARDS = np.array([
    [[0.0, 1.0, 0.0, 1.0], [1.0] * 4, [0.0] * 4],
    [[0.0, 1.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0], [0.25] * 4],
])[..., None]  # fmt: skip
ADVANTAGE = REWARDS[..., 0] - REWARDS[..., 0].mean(-1, keepdims=True)


@pytest.fixture(scope="module")
def found():
    given = ADVANTAGE.copy()
    given[1, 0] *= -4  # inverted, and the largest of the log
    table = made(REWARDS, given)
    frame = table.frame.with_columns(
        pl.format("the answer of {} to {}?", "rollout", "group").alias("completion"),
        pl.when(pl.col("group") == 2).then(pl.lit("What is *(x?")).otherwise(pl.lit("sum")).alias("prompt"),
    )
    return lab.diagnose(lab.logs.RolloutTable(frame, table.reward_columns, table.reward_weights, 4))


def places(frame):
    return frame.select("step", "group").rows()


def test_the_most_telling_groups_stand_first(found):
    firsts = {order: places(groups_of(found, order=order, rule="dr_grpo"))[:2] for order in ORDERS}
    assert firsts == {
        "advantage": [(2, 0), (1, 0)], "flipped": [(2, 0), (1, 0)], "silent": [(1, 1), (1, 2)],
        "spread": [(1, 0), (2, 1)], "log": [(1, 0), (1, 1)],
    }  # fmt: skip


def test_a_step_has_its_groups_with_what_they_teach(found):
    here = groups_of(found, step=2, order="log", rule="dr_grpo")
    assert here["group"].to_list() == [0, 1, 2] and here["advantage"].to_list() == [3.0, 0.5, 0.0]
    assert here["turned"].to_list() == [4, 0, 0], "the trainer's signs of the first group are the opposite ones"
    assert here["learnt"].to_list() == ["yes", "yes", "no: every rollout has the same reward"]
    assert here["spread"][1] == 0.5


def test_text_is_found_in_prompts_and_completions_whatever_its_case(found):
    assert places(groups_of(found, find="wHAT IS *(X?")) == [(1, 2), (2, 2)]
    assert places(groups_of(found, find="of 3 to 1", order="log")) == [(1, 1), (2, 1)]
    assert places(groups_of(found, step=2, find="of 3 to 1")) == [(2, 1)]
    assert groups_of(found, find=".*").is_empty(), "text, and no pattern"


def test_an_unknown_order_is_named(found):
    with pytest.raises(UnknownNameError, match="unknown order of groups 'loudness'"):
        groups_of(found, order="loudness")


def test_a_group_has_its_rollouts_with_other_rules_beside(found):
    rows = rollouts_of(found, 1, 0, ["dr_grpo", "mapo"])
    assert rows["reward"].to_list() == [0.0, 1.0, 0.0, 1.0]
    assert rows["under dr_grpo"].to_list() == rows["advantage"].to_list() == [-0.5, 0.5, -0.5, 0.5]
    assert "under mapo" not in rows.columns, "it reads turns, which the log does not have"


def test_why_a_group_teaches_nothing_is_said(found):
    assert why(found, 1, 1) == "This group teaches nothing: every rollout has the highest reward of the log."
    assert why(found, 1, 2) == "This group teaches nothing: every rollout has the lowest reward of the log."
    assert why(found, 1, 0) == "Its rewards run from 0 to 1, its advantages from -0.5 to 0.5."


def test_phantom_advantages_are_told_as_rounding():
    table = made(np.full((1, 1, 4, 1), 0.3), np.full((1, 1, 4), 3e-4))
    assert why(lab.diagnose(table), 1, 0).endswith("advantages of up to 3.0e-04 are rounding.")


def test_without_logged_advantages_the_rule_stands_in(found):
    table = made(REWARDS)
    bare = lab.diagnose(lab.logs.RolloutTable(
        table.frame.with_columns(advantage=pl.lit(None, pl.Float64)), table.reward_columns, table.reward_weights, 4
    ))  # fmt: skip
    here = groups_of(bare, step=2, rule="dr_grpo", order="log")
    assert here["advantage"].to_list() == [0.75, 0.5, 0.0] and here["turned"].to_list() == [0, 0, 0]
    assert groups_of(bare, step=2)["advantage"].null_count() == 3
