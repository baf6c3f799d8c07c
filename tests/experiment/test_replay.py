"""One step of a run, computed again."""

from typing import Any

import numpy as np
import polars as pl
import pytest

import lab
from lab.experiment import replay
from lab.measures.gradient import norm
from lab.training.jobs import job_of, seeds_of
from lab.training.loop import Settings
from simulators import Bandit
from simulators.bandit.families import graded

WORLD = graded(3, 4)
HEADS = Bandit(means=np.linspace(0.1, 0.9, 2 * 2 * 3).reshape(2, 2, 3))


@pytest.mark.parametrize("measure", ["basic", "full"])
@pytest.mark.parametrize("name", ["grpo", "mc-grpo", "reinforce_pp", "dapo", "remax", "bnpo", "gpg", "dr_grpo@verl"])
def test_it_is_the_step_of_the_run(name: str, measure: str) -> None:
    options: dict[str, Any] = {"group_size": 5, "lr": 2.0}
    if measure == "full":
        options |= {"epochs": 2, "optimizer": "momentum"}
    trace = lab.train(WORLD, name, steps=12, seeds=[3, 4, 9], measure=measure, **options)
    row = trace.frame.filter(seed=4, step=9).to_dicts()[0]
    found = replay(WORLD, name, seed=4, step=9, **options)
    assert float(np.sqrt((found.moment.gradient**2).sum())) == pytest.approx(row["grad_norm"], rel=1e-12)
    assert float(found.truth.value[0, : WORLD.prompts].mean()) == pytest.approx(row["value"], rel=1e-12)
    assert found.frame["reward"].mean() == pytest.approx(row["reward"], rel=1e-12)
    assert np.sqrt((found.prompt_norm**2).sum()) == pytest.approx(row["grad_norm"], rel=1e-9)


def test_the_frame_has_a_row_per_rollout() -> None:
    frame = replay(WORLD, "mc-grpo", seed=0, step=0, group_size=4).frame
    assert frame.columns == ["slot", "prompt", "rollout", "action", "reward", "advantage", "true_advantage", "keep"]
    assert frame.height == 3 * 5
    assert frame.filter(~pl.col("keep")).height == 3
    assert frame["action"].dtype == pl.Int64


def test_several_components_and_tokens() -> None:
    frame = replay(HEADS, "gdpo", seed=1, step=3, group_size=4).frame
    assert frame.columns[3:7] == ["action", "reward", "reward_1", "reward_2"]
    assert (frame["reward"] == frame["reward_1"] + frame["reward_2"]).all()
    assert frame["action"].str.contains(r"^[0-2] [0-2]$").all()


def test_prompts_sampled_again_number_their_rollouts_on() -> None:
    frame = replay(graded(3, 2), "dapo", seed=0, step=60, group_size=2, lr=4.0).frame
    assert frame.height > 6
    assert frame.select("prompt", "rollout").is_unique().all()
    assert frame.select("slot", "rollout").is_unique().all() and set(frame["slot"]) == {0, 1, 2}


@pytest.mark.parametrize("name", ["dino-r1", "grqo", "matched-dense", "grpo-kl"])
def test_the_shares_of_prompts_add_up_to_the_gradient_of_every_score_and_of_the_penalty(name: str) -> None:
    place, settings = lab.world("queries"), Settings(group_size=8, lr=1.0, measure=None)
    job = job_of(place, lab.variant(name), seeds_of([0]), settings, steps=2)
    walk = job.run(lambda: False).walk
    walk.policy.parameters[:, -2:] += 0.7  # the objectness has left its reference
    moment = walk.look()
    shares = walk.shares(moment)
    assert len(shares) == place.prompts and all(norm(share)[0] > 0 for share in shares)
    assert np.sum(shares, axis=0) == pytest.approx(moment.gradient, rel=1e-9, abs=1e-15)
    penalised = moment.weights["logp"].any() if "logp" in moment.weights else False
    assert penalised == (walk.variant.kl is not None or name == "grpo-kl")


def test_the_shares_of_four_scenes() -> None:
    seen = replay(lab.world("queries"), "dino-r1", seed=0, step=2, group_size=24, lr=0.05)
    assert seen.prompt_norm.round(3).tolist() == [0.057, 0.044, 0.08, 0.054]


def test_the_present_policy_is_not_moved() -> None:
    one, two = (replay(WORLD, "grpo", seed=2, step=5) for _ in range(2))
    assert one.frame.equals(two.frame)
    assert (one.prompt_norm == two.prompt_norm).all()
