"""The same rewards under other rules: signs, groups that wake up, and how far the climbed reward moves."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import lab
from lab.errors import InputError, MissingFieldError, UnknownNameError
from lab.logs.what_if import some_steps, transformed, transforms, what_if, woken
from tests.logs.logs import made

RIGHT = np.array([[0.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
CENTRED = RIGHT - RIGHT.mean(-1, keepdims=True)


def log(rewards, advantage=None):
    return lab.diagnose(made(np.asarray(rewards)[None], None if advantage is None else np.asarray(advantage)[None]))


def test_the_trainers_own_rule_changes_nothing():
    frame = what_if(log(RIGHT[..., None], CENTRED), ["dr_grpo"])
    assert frame["variant"].to_list() == ["logged", "dr_grpo"]
    for name in ("changed", "flipped", "woken", "silenced", "groups_woken", "groups_silenced"):
        assert frame[name].to_list() == [0, 0]
    assert frame["distance"].to_list() == pytest.approx([0, 0], abs=1e-7)


def test_opposite_advantages_are_flipped_and_climb_the_opposite():
    frame = what_if(log(RIGHT[..., None], -CENTRED), ["dr_grpo"])
    assert frame["flipped"].to_list() == [0, 8] and frame["share"][1] == pytest.approx(8 / 12)
    assert frame["distance"].to_list() == pytest.approx([2, 0], abs=1e-7)


def test_groups_wake_up_and_fall_silent():
    logged = CENTRED.copy()
    logged[0], logged[2] = 0.0, [-1, 1, 0, 0]
    found = log(RIGHT[..., None], logged)
    frame = what_if(found, ["dr_grpo"])
    assert frame.select("groups", "groups_woken", "groups_silenced").row(1) == (3, 1, 1)
    told = woken(found, ["dr_grpo"])
    assert told.select("variant", "group", "now", "cause").rows() == [
        ("dr_grpo", 0, "woken", None), ("dr_grpo", 2, "silenced", "hopeless"),
    ]  # fmt: skip


def test_advantages_that_know_nothing_of_the_reward_have_no_relation_to_it():
    found = log([[[0.0], [0.0], [1.0], [1.0]]], [[-1.0, 1.0, -1.0, 1.0]])
    assert what_if(found, [])["distance"].to_list() == pytest.approx([2**0.5])
    assert what_if(log(RIGHT[..., None], 0 * RIGHT), [])["distance"].to_list() == [1.0]
    assert what_if(log(0 * RIGHT[..., None], CENTRED), [])["distance"].to_list() == [None]


def test_without_logged_advantages_grpo_stands_in():
    table = made(RIGHT[None, ..., None])
    found = lab.diagnose(replace(table, frame=table.frame.with_columns(advantage=pl.lit(None, pl.Float64))))
    frame = what_if(found, ["grpo", "dr_grpo"])
    assert frame["variant"].to_list() == ["grpo on the logged rewards", "grpo", "dr_grpo"]
    assert frame["changed"].to_list() == [0, 0, 0]


def test_rewards_pass_through_a_rule_group_by_group_whatever_their_size():
    both = np.stack([RIGHT, 1 - RIGHT], -1)
    found = log(both, CENTRED)
    uneven = lab.diagnose(replace(found.table, frame=found.table.frame.slice(1), group_size=None))
    whole = lab.rewards.apply("harmonic-rpo", both)
    for one, wanted in ((found, whole.reshape(12, -1)), (uneven, whole.reshape(12, -1)[1:])):
        after = transformed(one, "harmonic-rpo")
        assert np.allclose(after.frame.select(after.reward_columns).to_numpy(), wanted)
        assert np.allclose(after.frame["reward"], wanted @ np.asarray(after.reward_weights))
        assert after.frame["advantage"].equals(one.table.frame["advantage"])


def test_a_rule_that_swaps_the_parts_turns_the_signs():
    found = log(np.stack([RIGHT, 0 * RIGHT], -1), CENTRED)
    frame = what_if(found, ["dr_grpo"], transform="conditioned")
    gated = lab.rewards.apply("conditioned", np.stack([RIGHT, 0 * RIGHT], -1)).sum(-1)
    assert frame["changed"][1] == int((np.sign(gated - gated.mean(-1, keepdims=True)) != np.sign(CENTRED)).sum())


def test_what_cannot_be_passed_through_is_said():
    found = log(RIGHT[..., None], CENTRED)
    with pytest.raises(MissingFieldError, match="'process' reads turn_rewards"):
        transformed(found, "process")
    with pytest.raises(MissingFieldError, match="'overlong' reads the lengths of the responses"):
        transformed(found, "overlong")
    with pytest.raises(UnknownNameError, match="harmonic-rpo"):
        transformed(found, "harmonic")
    holed = replace(found.table, frame=found.table.frame.with_columns(r0=pl.lit(None, pl.Float64)))
    with pytest.raises(InputError, match="mixed-r1 needs a number for each part"):
        transformed(lab.diagnose(holed), "mixed-r1")
    assert "process" not in transforms() and {"overlong", "harmonic-rpo"} <= set(transforms())


def test_of_a_long_log_some_steps_are_taken():
    table = made(np.broadcast_to(RIGHT[..., None], (20, 3, 4, 1)))
    found = lab.diagnose(table)
    assert some_steps(found, 240) is found
    few = some_steps(found, 60)
    assert few.table.frame["step"].unique().sort().to_list() == [1, 5, 9, 13, 17] and few.groups.height == 15
