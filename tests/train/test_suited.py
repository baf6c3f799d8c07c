"""What is left out takes what suits the world, and by every door the same."""

from types import MappingProxyType

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import lab
from lab.cli import app
from lab.errors import InputError, UnknownNameError
from lab.experiment import Config, replay, run, side_by_side
from lab.training.train import refused
from lab.world_registry import declaration, fixed, names, resolved, suited
from simulators import Bandit, ToyLM

SHORT = {"steps": 3, "seeds": 2}


@pytest.mark.parametrize("name", ["bandit", "delayed", "queries", "preferences", "toy-lm", "lengths"])
def test_a_name_a_world_a_configuration_and_the_shell_train_alike(name, tmp_path):
    variant = "simpo-reg" if name == "preferences" else "grpo"
    by_name = lab.train(name, variant, **SHORT).frame
    assert by_name.equals(lab.train(lab.world(name), variant, **SHORT).frame)
    kept = run(Config(world=name, variants=[variant], **SHORT), "config", runs=tmp_path).frame
    line = ["run", "--world", name, "--variant", variant, "--steps", "3", "--seeds", "2", "--name", "shell"]
    done = CliRunner().invoke(app, [*line, "--runs", str(tmp_path)])
    assert done.exit_code == 0, done.output
    shell = lab.store.find("shell", tmp_path).frame
    for found in (kept, shell):
        assert found.select(by_name.columns).sort("seed", "step").equals(by_name.sort("seed", "step"))
    explicit = {"lr": 1.0, "group_size": 8} | suited(name)
    assert by_name.equals(lab.train(name, variant, **SHORT, **explicit).frame)


def test_what_suits_a_world_is_in_the_configuration():
    assert Config(world="delayed", variants=["grpo"]).lr == 20.0
    assert Config(world="toy-lm:prompts=2", variants=["grpo"]).lr == 16.0
    assert Config(world="delayed", variants=["grpo"], lr=3.0).lr == 3.0
    assert Config(variants=["grpo"]).lr == 1.0
    small = Config(world="small-lm", variants=["grpo"])
    assert (small.optimizer, small.lr, small.evaluate) == ("adam", 0.0003, 50)
    assert Config(world="small-lm:model=here", variants=["grpo"]).evaluate == 0


def test_a_group_size_that_is_fixed_is_refused_in_the_same_words_by_every_door(tmp_path):
    world, words = lab.world("preferences"), "group_size=8; world 'preferences' knows group_size=2 alone, leave it out"
    doors = [
        lambda: lab.train(world, "simpo-reg", group_size=8),
        lambda: lab.train("preferences", "simpo-reg", group_size=8),
        lambda: Config(world="preferences", variants=["simpo-reg"], group_size=8),
        lambda: replay(world, "simpo-reg", seed=0, step=0, group_size=8),
        lambda: side_by_side(world, ["simpo-reg"], seed=0, group_size=8),
        lambda: refused(world, ["simpo-reg"], group_size=8),
    ]
    for door in doors:
        with pytest.raises(InputError) as error:
            door()
        assert str(error.value) == words
    line = ["run", "--world", "preferences", "--variant", "simpo-reg", "--group-size", "8", "--runs", str(tmp_path)]
    assert words in str(CliRunner().invoke(app, line).exception)
    with pytest.raises(InputError, match="draws 1 more rollouts"):
        lab.train(world, "mc-grpo", **SHORT)
    assert lab.train(world, "simpo-reg", group_size=2, **SHORT).frame.height == 6


def test_replay_and_side_by_side_go_the_way_that_training_went():
    world = ToyLM("copy", prompts=2, vocabulary=4, length=4)
    trace = lab.train(world, "grpo", steps=4, seeds=[5], measure="full", threads=1)
    seen = replay(world, "grpo", seed=5, step=3)
    norm = float(np.sqrt((np.asarray(seen.moment.gradient) ** 2).sum()))
    assert norm == pytest.approx(trace.frame.filter(step=3)["grad_norm"][0], rel=1e-9)
    beside = side_by_side(world, ["grpo", "rloo"], seed=5, step=3)["grpo"]
    assert all(np.array_equal(w, seen.moment.weights[score]) for score, w in beside.weights.items())


def test_a_class_of_ones_own_says_what_suits_it():
    class Steep(Bandit):
        name = "steep"
        suits = MappingProxyType({"lr": 7.0, "group_size": 3})

    world = Steep(success=[0.2, 0.8])
    assert suited(world) == {"lr": 7.0, "group_size": 3} and fixed(world) == ()
    assert resolved(world, {"lr": 1.0}) == {"lr": 1.0, "group_size": 3}
    plain = lab.train(Bandit(success=[0.2, 0.8]), "grpo", lr=7.0, group_size=3, **SHORT).frame
    assert lab.train(world, "grpo", **SHORT).frame.equals(plain)
    Steep.suits = {"learning_rate": 3.0}
    with pytest.raises(UnknownNameError, match="learning_rate"):
        lab.train(world, "grpo", **SHORT)


def test_the_table_of_worlds_has_all_of_them():
    table = lab.worlds()
    assert table["name"].to_list() == names() and table.filter(pl.col("about") == "").is_empty()
    bandit = table.row(by_predicate=pl.col("name") == "bandit", named=True)
    assert bandit["provides"] == ["greedy_rewards"] and "prompts=8" in bandit["settings"]
    preferences = table.row(by_predicate=pl.col("name") == "preferences", named=True)
    assert preferences["run"] == "group_size=2, lr=20.0" and preferences["fixed"] == ["group_size"]
    assert all(declaration(name).label for name in names())
