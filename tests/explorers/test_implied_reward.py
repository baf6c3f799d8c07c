"""Implied reward: the sentence says what the frame says, and the code repeats it."""

import polars as pl
import pytest

from lab import studies
from lab.explorers import explorer
from lab.explorers.implied_reward import SUCCESS, reading, study

ASKED = explorer("implied-reward")


def row(variant, success, distance, lift, low=None):
    return {"variant": variant, "group_size": 8, "success": success, "kind": "exact", "distance": distance,
            "low": distance if low is None else low, "high": distance, "lift": lift}  # fmt: skip


def test_the_sentence_names_the_furthest_and_who_climbs_the_true_reward():
    here = pl.DataFrame([row("a", 0.1, 0.2, 1.5), row("b", 0.1, 0.0, 1.0), row("a", 0.5, 0.9, 2.0)])
    assert reading(here, 8, 0.5) == (
        "One prompt succeeds in 10%, another in 50%, groups of 8: on average **a** climbs a reward that lies 0.20 from "
        "the true one (0: the same, 1: none at all, 1.41: no relation); it counts a right answer "
        "to the first 1.5 times as much as one to "
        "the second, not once; **b** climbs the true reward."
    )


def test_the_sentence_names_the_nearest_where_none_is_right():
    here = pl.DataFrame([row("a", 0.1, 0.2, 1.5), row("b", 0.1, 0.05, 1.1)])
    assert reading(here, 8, 0.5).endswith("not once; **b** climbs one 0.05 away.")


def test_a_distance_within_its_interval_of_zero_is_none():
    here = pl.DataFrame([row("a", 0.1, 0.01, 1.0, low=0.0)])
    assert reading(here, 8, 0.5).endswith("groups of 8: **a** climbs the true reward.")


def test_beside_a_prompt_that_is_nearly_solved_the_sentence_is_of_one_in_the_middle():
    here = pl.DataFrame([row("a", 0.1, 0.0, 1.0), row("a", 0.5, 0.3, 0.5)])
    assert reading(here, 8, 0.9).startswith("One prompt succeeds in 50%, another in 90%, groups of 8: on average **a**")


def test_variants_that_refuse_such_rewards_are_said_to():
    picture = ASKED.picture(ASKED.state(variants=["mapo"], sizes=[4], group_size=4))
    assert "these variants have no implied reward here" in picture.sentence
    assert picture.frame["distance"].null_count() == picture.frame.height == len(SUCCESS)


def test_the_frame_is_what_the_door_says_and_the_code_repeats_it():
    state = ASKED.state(variants=["grpo", "dr_grpo"], sizes=[4, 2], group_size=8, beside=0.4)
    picture, space = ASKED.picture(state), {}
    exec(compile(picture.code, "code", "exec"), space)
    assert space["both"].equals(picture.frame)
    assert picture.frame["group_size"].unique(maintain_order=True).to_list() == [2, 4, 8]
    direct = studies.implied_reward_study(["dr_grpo"], [8], [0.1], beside=0.4)
    found = picture.frame.filter(variant="dr_grpo", group_size=8, success=0.1)
    assert found["distance"][0] == pytest.approx(direct["distance"][0], abs=1e-12)
    assert found["lift"][0] == pytest.approx(1.0), "without a division by the spread no prompt weighs more"
    assert [panel.figure.__name__ for panel in picture.panels] == ["implied_over_success", "implied_lift"]


def test_where_groups_are_drawn_their_number_and_the_seed_count():
    one = study(["reinforce-pp"], [4], 0.5, 1024, 0)
    assert set(one["kind"]) == {"drawn"}
    assert not one.equals(study(["reinforce-pp"], [4], 0.5, 1024, 1))


@pytest.mark.parametrize("question", ASKED.questions)
def test_every_question_is_a_state_whose_address_is_read_back(question):
    state = ASKED.question(question)
    assert ASKED.state(**ASKED.questions[question]) == state
    assert ASKED.read(ASKED.written(state)) == (state, [])
