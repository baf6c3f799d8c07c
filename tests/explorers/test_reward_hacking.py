"""Reward hacking: where proxy and gold reward part, as the sentence tells it, and who ends highest where it is sure."""

import re

import polars as pl
import pytest

from lab import measures
from lab.explorers import explorer
from lab.explorers.kept import watched_by
from lab.explorers.reward_hacking import everywhere, highest, reading

ASKED = explorer("reward-hacking")


def parted(**changes):
    calm = {"variant": "calm", "step": None, "best": 9, "gold_best": 0.9, "gold_end": 0.9, "proxy_best": 0.5,
            "proxy_end": 0.6}  # fmt: skip
    lost = calm | {"variant": "lost", "step": 4, "best": 2, "gold_best": 0.8, "gold_end": 0.1, "proxy_end": 1.0}
    return pl.DataFrame([calm, lost | changes])


def trace(gaps):
    """Gold at the end of two variants: the second is lower by these gaps, seed by seed."""
    base = [0.2, 0.9, 0.4, 0.7]
    rows = [("a", s, 0, g, 0.5) for s, g in enumerate(base)]
    rows += [("b", s, 0, g - gap, 0.5) for s, (g, gap) in enumerate(zip(base, gaps, strict=True))]
    return pl.DataFrame(rows, schema=["variant", "seed", "step", "gold", "value"], orient="row")


def test_the_sentence_tells_of_the_one_that_loses_most_and_of_who_does_not_part():
    assert reading(parted()) == (
        "Under **lost** the proxy, which is trained on, and the gold reward, which is meant, part at step 4: the gold "
        "reward was best at step 2 (0.80) and ends at 0.10, while the proxy rises from 0.50 to 1.00. Under **calm** "
        "proxy and gold reward don't part."
    )
    assert "was best before any training (0.80)" in reading(parted(best=0))
    assert reading(parted().head(1)) == "Under **calm** proxy and gold reward don't part."


def test_who_ends_highest_is_told_where_it_is_sure_seed_by_seed():
    assert highest(trace([0.10, 0.11, 0.09, 0.10])) == " The gold reward ends highest under a (0.55).", "bands overlap"
    assert highest(trace([0.10, -0.09, 0.11, -0.05])) == ""
    assert highest(trace([0.1] * 4).filter(variant="a")) == ""


def test_steps_that_some_runs_have_not_done_are_left_out():
    whole = pl.concat([trace([0.1] * 4), trace([0.1] * 4).with_columns(step=pl.lit(1, pl.Int64)).head(3)])
    assert everywhere(whole).equals(trace([0.1] * 4))


def test_a_longer_first_step_is_named_and_the_code_repeats_the_trace():
    state = ASKED.state(variants=["grpo", "dr_grpo"], steps=25, runs=4)
    picture, space = ASKED.picture(state), {}
    exec(compile(picture.code, "code", "exec"), space)
    assert space["trace"].equals(picture.frame)
    first = picture.frame.filter(step=0).group_by("variant").agg(pl.col("grad_norm").mean()).sort("grad_norm")
    said = re.search(r"grpo's first step was ([\d.]+) times as long as dr_grpo's", picture.sentence)
    assert said and float(said[1]) == pytest.approx(first["grad_norm"][1] / first["grad_norm"][0], abs=0.05)
    alike = ASKED.picture(ASKED.state(variants=["grpo", "grpo@trl"], steps=25, runs=4))
    assert "first step" not in alike.sentence


def test_demonstrations_of_hacks_spread_and_the_code_repeats_the_trace():
    state = ASKED.state(training="imitation", refuse=-1.0, runs=4, demonstrations=100, families=[2])
    picture, space = ASKED.picture(state), {}
    exec(compile(picture.code, "code", "exec"), space)
    assert space["trace"].equals(picture.frame)
    row = measures.parting(picture.frame).filter(variant="hacks, 2 families").row(0, named=True)
    assert f"part at step {row['step']}: the gold reward" in picture.sentence
    assert "Under **earnest, 2 families** proxy and gold reward don't part." in picture.sentence
    assert picture.panels[0].options["parted"].height == 2


def test_stopped_between_two_arms_the_first_is_there():
    told, state = [], ASKED.state(training="imitation", runs=4, demonstrations=100, families=[2], shares=[100, 0])
    with watched_by(lambda *done: told.append(done), lambda: True):
        frame = ASKED.picture(state).frame
    assert told == [(0, 2), (1, 2)] and frame["variant"].unique().to_list() == ["hacks, 2 families"]
    assert ASKED.picture(state).frame["variant"].n_unique() == 2, "what was stopped is not kept"


def test_without_a_family_to_test_on_words_stand_in_for_the_picture():
    state = ASKED.state(training="imitation", families=[12], runs=4, demonstrations=100)
    picture = ASKED.picture(state)
    assert picture.sentence.startswith("With all twelve families trained on, none is left") and not picture.panels
    assert ASKED.picture(state | {"held_out": False}).panels


def test_only_what_matters_is_in_the_address():
    learned, shown = (ASKED.written(ASKED.state(training=name)) for name in ("reinforcement", "imitation"))
    assert {"variants", "group_size", "lr", "steps"} == learned.keys() - shown.keys()
    assert {"families", "shares", "demonstrations", "held_out"} == shown.keys() - learned.keys()


@pytest.mark.parametrize("question", ASKED.questions)
def test_every_question_is_a_state_whose_address_is_read_back(question):
    state = ASKED.question(question)
    assert ASKED.state(**ASKED.questions[question]) == state
    assert ASKED.read(ASKED.written(state)) == (state, [])
