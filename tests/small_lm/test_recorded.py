"""A run of a language model on disk: its questions and texts, and every variant on its rollouts without the model."""

import numpy as np
import polars as pl
import pytest

import lab
from lab.config import Config
from lab.errors import InputError
from lab.executors import Threads
from lab.experiment import review, run
from lab.store import Run
from lab.training.loop import Settings, Walk
from simulators.small_lm.world import SmallLM

SIZES = {"prompts": 3, "layers": 1, "width": 8, "heads": 1, "accuracy": 0.0, "device": "cpu"}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADVLAB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield SmallLM("sorting", **SIZES)


@pytest.fixture(scope="module")
def found(world, tmp_path_factory) -> Run:
    config = Config(world={"name": "small-lm", "options": {"task": "sorting", **SIZES}}, variants=["grpo", "gdpo"],
                    steps=5, seeds=2, group_size=4, optimizer="adam", lr=1e-2, measure="full", sample_steps=2,
                    sample_seeds=1)  # fmt: skip
    return run(config, "texts", runs=tmp_path_factory.mktemp("runs"), executor=Threads(1))


def test_each_sample_answers_the_questions_of_the_first_step(world, found):
    first = world.rollout(world.init([0]), 4, 0)
    asked = [world.train[p].prompt for p in first.prompt[0]]
    for (_, seed, step), one in found.rollouts.group_by("variant", "seed", "step"):
        assert seed == 0 and step in (0, 4)
        assert one["question"].to_list() == [q for q in asked for _ in range(4)]
    start = found.rollouts.filter(variant="grpo", step=0)
    assert start["text"].to_list() == [world.text(a) for a in first.actions[0].reshape(12, -1)]
    later = found.rollouts.filter(variant="grpo", step=4)
    assert moved(start) < 1e-5 and moved(later) > 0.01


def moved(rows: pl.DataFrame) -> float:
    return float((rows["logp"].explode() - rows["logp_ref"].explode()).abs().max())


@pytest.mark.parametrize("name", ["grpo", "gdpo", "grpo-s", "grpo-kl", "ngrpo", "gspo"])
def test_a_variant_makes_of_recorded_rollouts_what_it_made_of_them_in_the_world(world, found, name):
    walk = Walk(world, lab.variant(name), [0], Settings(group_size=4))
    there = walk.look()
    moments, skipped = review(found.rollouts.filter(variant="grpo", step=0), [name])
    assert not skipped
    here = moments[name]
    length = here.weights["logp"].shape[-1]
    assert np.allclose(here.advantage, there.advantage, atol=1e-6)
    assert (
        np.allclose(here.weights["logp"], there.weights["logp"][..., :length], atol=1e-6)
        and not there.weights["logp"][..., length:].any()
    )


def test_variants_that_read_more_than_was_written_down_say_so(found):
    moments, skipped = review(found.rollouts.filter(variant="gdpo", step=4))
    assert len(moments) > 30 and not moments.keys() & skipped.keys()
    assert "reads greedy_rewards" in skipped["remax"] and "hidden" in skipped["thr"]
    assert all(m.weights["logp"].shape[:3] == (1, 3, 4) for m in moments.values())


def test_the_means_of_the_components_are_in_the_trace(found):
    start = found.frame.filter(variant="grpo", seed=0, step=0)
    rows = found.rollouts.filter(variant="grpo", step=0)
    for name in ("reward_1", "reward_2", "reward_3"):
        assert start[name][0] == pytest.approx(rows[name].mean())
    assert "reward_4" not in found.frame.columns
    assert start["reward"][0] == pytest.approx(rows["reward"].mean())


def test_what_is_no_step_of_a_language_model_is_refused(found):
    with pytest.raises(InputError, match="choose one by variant, seed, step"):
        review(found.rollouts)
    with pytest.raises(InputError, match="question, tokens, logp"):
        review(found.rollouts.filter(step=0, variant="grpo").drop("question", "tokens", "logp"))
