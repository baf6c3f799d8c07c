"""Train and Compare at each variant's own best learning rate: chosen by `lab.tune`, repeated by the code."""

import polars as pl
import pytest

import lab
from lab.errors import InputError
from lab.explorers import explorer
from lab.explorers.runs import rates, tuned

SMALL = {"variants": ["grpo", "dr_grpo"], "steps": 50, "runs": 4}


@pytest.fixture(scope="module")
def state():
    return explorer("compare").state(**SMALL, fair=True)


def test_each_variant_has_the_rate_that_tuning_chose(state):
    world = lab.world("bandit", prompts=state["prompts"])
    options = {"steps": 50, "group_size": 8}
    best = {name: lab.tune(world, name, **options).filter(pl.col("best"))["lr"].item() for name in SMALL["variants"]}
    assert rates(state) == best and set(tuned(state)["variant"]) == set(best)
    assert best["dr_grpo"] > best["grpo"], "its gradient is shorter, so it takes a larger rate"


def test_the_picture_has_the_curve_and_says_so(state):
    picture = explorer("compare").picture(state)
    assert "Each trained at its own best learning rate (grpo " in picture.sentence
    assert "first step" not in picture.sentence
    assert any(getattr(panel, "name", "") == "tuning" for panel in picture.panels)
    space = {}
    exec(compile(picture.code, "compare: code", "exec"), space)
    assert space["summary"].equals(picture.frame)


def test_without_it_the_sentence_names_the_longer_step():
    picture = explorer("compare").picture(explorer("compare").state(**SMALL))
    assert "first step was" in picture.sentence and "own best" not in picture.sentence


def test_the_learning_rate_is_not_asked_for_where_each_has_its_own(state):
    assert "lr" not in explorer("compare").written(state) and "lr" not in explorer("train").written(state | {})
    assert "lr" in explorer("train").written(explorer("train").defaults)


def test_traces_stand_beside_each_other_once():
    world = lab.world("bandit", prompts=2)
    one, other = (lab.train(world, name, steps=3, seeds=2) for name in ("grpo", "dr_grpo"))
    both = lab.train(world, ["grpo", "dr_grpo"], steps=3, seeds=2)
    assert one.beside(other).frame.equals(both.frame)
    with pytest.raises(InputError, match="'grpo' is in both"):
        one.beside(one)
