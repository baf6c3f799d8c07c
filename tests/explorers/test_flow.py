"""Flow: paths on the same noise, frames for the slider, variety beside reward; nothing is pretrained for long."""

import numpy as np
import polars as pl
import pytest

import lab
from lab.explorers import explorer
from lab.explorers.flow import reading
from lab.figures.denoising import denoising_paths, flow_quality
from lab.studies import denoising_study, reward_landscape

NAMES = ["flow-grpo", "grpo"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADVLAB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield lab.world("flow", prompts=2, denoising=3, width=4, pretraining=2)


@pytest.fixture(scope="module")
def found(world):
    each = [denoising_study(world, name, steps=2, group_size=6, prompt=1) for name in NAMES]
    return tuple(pl.concat(frames) for frames in zip(*each, strict=True))


def test_all_methods_start_from_the_same_noise_and_the_last_place_earns_the_reward(world, found):
    paths, _ = found
    assert paths.height == 2 * 6 * 4
    noise = [paths.filter(variant=name, position=0).select("x", "y").to_numpy() for name in NAMES]
    assert (noise[0] == noise[1]).all() and paths.filter(position=0)["advantage"].null_count() == 12
    ends = paths.filter(position=3)
    distance = ((ends.select("x", "y").to_numpy() - world.wanted[1]) ** 2).sum(-1)
    assert ends["reward"].to_numpy() == pytest.approx(np.exp(-distance / 2))
    assert ends.filter(variant="grpo")["advantage"].sum() == pytest.approx(0, abs=1e-9)


def test_quality_starts_alike_and_is_within_bounds(found):
    quality = found[1]
    assert quality["step"].to_list() == [0, 1, 2] * 2
    start = quality.filter(step=0).drop("variant")
    assert start[0].equals(start[1])
    assert quality["modes"].is_between(1, 8).all() and quality["within"].is_between(0, 1).all()


def test_stopped_at_once_it_shows_the_pretrained_flow(world):
    paths, quality = denoising_study(world, "flow-grpo", steps=5, group_size=4, stop=lambda: True)
    assert quality["step"].to_list() == [0] and paths["rollout"].n_unique() == 4


def test_the_landscape_is_highest_where_the_prompt_wants(world):
    top = reward_landscape(world, 1).sort("reward").row(-1, named=True)
    assert (top["x"], top["y"]) == pytest.approx(tuple(world.wanted[1]), abs=0.1)


def test_every_denoising_step_has_a_frame_of_its_own(world, found):
    drawn = denoising_paths(found[0], landscape=reward_landscape(world), modes=world.mixture.centres)
    assert [frame.name for frame in drawn.frames] == ["0", "1", "2", "3"]
    for k, frame in enumerate(drawn.frames):
        shown = {(x, y) for t in frame.data if t.mode == "markers" for x, y in zip(t.x, t.y, strict=True) if x}
        assert shown == set(found[0].filter(position=k).select("x", "y").rows())
    assert len(flow_quality(found[1]).data) == 4 * 2


def test_the_sentence_sets_the_modes_beside_the_reward():
    rows = [("a", 0, 0.2, 7.9), ("a", 9, 0.8, 1.5), ("b", 0, 0.2, 7.9), ("b", 9, 0.4, 6.0)]
    quality = pl.DataFrame(rows, schema=["variant", "step", "reward", "modes"], orient="row")
    assert "after 9 training steps **a** 0.80 with 1.5 modes, **b** 0.40 with 6.0 modes" in reading(quality)
    assert "no method has moved it yet" in reading(quality.filter(step=0))


def test_variants_that_cannot_train_a_flow_are_named_with_the_reason(monkeypatch, tmp_path):
    monkeypatch.setenv("ADVLAB_CACHE", str(tmp_path))
    asked = explorer("flow")
    offered = asked.offer(asked.state(variants=["flow-grpo"])).options["variants"]
    assert "flow-grpo" in offered and "grpo" in offered and "mapo" not in offered


def test_several_rewards_have_sectors_and_are_told_who_is_opposed(monkeypatch, tmp_path):
    monkeypatch.setenv("ADVLAB_CACHE", str(tmp_path))
    small = {"prompts": 2, "denoising": 3, "width": 4, "pretraining": 2}
    monkeypatch.setattr("lab.explorers.flow.settings", lambda state: {**small, "rewards": state["rewards"]})
    asked = explorer("flow")
    given = {"variants": ["diffusion-nft", "marble"], "steps": 0, "group_size": 4}
    one, several = (asked.draw(asked.state(**given, rewards=rewards)) for rewards in ("near", "near+right+ring"))
    assert [left.name for left in one.left_out] == ["marble"] and len(one.panels) == 2
    sectors = several.panels[1].frame
    assert sectors["reward"].unique(maintain_order=True).to_list() == ["near", "right", "ring"]
    assert sectors["variant"].unique(maintain_order=True).to_list() == given["variants"]
    sums = sectors.group_by("variant", "step").agg(pl.col("weight").sum())["weight"]
    assert sums.to_list() == pytest.approx([1.0] * 2)
    assert "The step opposes some reward's own gradient in" in several.sentence
    assert "balance_study" in several.code and "balance_study" not in one.code
