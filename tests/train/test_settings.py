"""The settings of a run: declared once, the same at every door."""

import inspect
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest

import lab
from lab.config import Config
from lab.errors import InputError, LabError, UnknownNameError
from lab.experiment import replay, run, side_by_side
from lab.sizes import free_memory
from lab.training.settings import SUITED, Settings, declared
from lab.world_registry import names, suited
from simulators import Bandit

WORLD = Bandit(means=np.linspace(0.1, 0.9, 2 * 2 * 3).reshape(2, 2, 3))
#: Nothing here is a default.
ALL = Settings(
    steps=7, seeds=[3, 5], group_size=5, lr=0.4, measure=["value", "cosine"], optimizer="adam", momentum=0.8,
    max_grad_norm=0.5, epochs=2, every=2, reward_weights=(1.0, 0.5), evaluate=0, reference_rollouts=0,
)  # fmt: skip


def test_settings_stay_as_they_were_made() -> None:
    with pytest.raises(FrozenInstanceError):
        ALL.steps = 8  # type: ignore[misc]


def test_settings_and_keywords_are_the_same_run() -> None:
    whole = lab.train(WORLD, "grpo", settings=ALL)
    assert lab.train(WORLD, "grpo", **Settings.values(ALL)).frame.equals(whole.frame)
    assert lab.train(WORLD, "grpo", settings=ALL, lr=0.3).frame.equals(
        lab.train(WORLD, "grpo", **{**Settings.values(ALL), "lr": 0.3}).frame
    )
    assert whole.frame["step"].unique().sort().to_list() == [0, 2, 4, 6]
    assert not whole.frame.equals(lab.train(WORLD, "grpo", settings=ALL, optimizer="sgd").frame)


def test_a_configuration_has_the_settings_as_they_are_declared() -> None:
    config = Config(variants="grpo")
    assert isinstance(config, Settings)
    assert Settings.values(config) == {name: setting.default for name, setting in declared().items()}
    parameters = inspect.signature(lab.train).parameters
    assert {n: p.default for n, p in parameters.items() if n in declared()} == Settings.values(config)


def test_a_step_of_a_run_on_disk_is_replayed(tmp_path: Path) -> None:
    config = Config(
        world={"name": "bandit", "options": {"prompts": 2, "arms": 3}}, variants=["grpo", "rloo:signflip=0.1"],
        **{**Settings.values(ALL), "reward_weights": [2.0]}, sample_steps=3,
    )  # fmt: skip
    done = run(config, "x", runs=tmp_path)
    for label in ("grpo", "rloo:signflip=0.1"):
        again = replay(done, label, seed=5, step=3)
        assert again.frame.equals(done.rollouts.filter(variant=label, seed=5, step=3).drop("variant", "seed", "step"))
    assert replay(done, seed=3, step=0).frame.equals(replay(done, "grpo", seed=3, step=0).frame)
    with pytest.raises(UnknownNameError, match=r"unknown variant of this run 'rlo'; nearest: 'rloo:signflip=0.1'"):
        replay(done, "rlo", seed=3, step=0)


def test_side_by_side_shows_the_policy_of_that_very_run() -> None:
    moments = side_by_side(WORLD, ["grpo", "rloo"], seed=5, step=6, settings=ALL)
    wanted = replay(WORLD, "grpo", seed=5, step=6, settings=ALL).moment
    assert np.array_equal(moments["grpo"].rollouts.logp, wanted.rollouts.logp)
    assert np.array_equal(moments["grpo"].gradient, wanted.gradient)
    assert np.array_equal(moments["rloo"].rewards, wanted.rewards)
    assert not np.array_equal(moments["rloo"].advantage, wanted.advantage)


def test_steps_of_every_seed_are_counted() -> None:
    seen: list[tuple[int, int]] = []
    lab.train(WORLD, ["grpo", "rloo"], steps=5, seeds=3, progress=lambda *at: seen.append(at))
    assert seen[-1] == (5 * 3 * 2, 5 * 3 * 2)


def test_a_setting_that_is_not_there_is_named() -> None:
    with pytest.raises(UnknownNameError, match="unknown setting of a run 'stepps'; nearest: 'steps'"):
        lab.train(WORLD, "grpo", stepps=3)
    with pytest.raises(InputError, match=r"settings=3; it must be a lab\.Settings"):
        lab.train(WORLD, "grpo", settings=3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 10**400}, {"seeds": 2**63}, {"seeds": 2**64}, {"seeds": [10**400]}, {"lr": 10**400}, {"measure": 5},
        {"reward_weights": 5}, {"reward_weights": "1"}, {"reward_weights": [10**400]}, {"group_size": np.inf},
        {"group_size": [8]}, {"options": {1: 2}}, {"options": {"name": 1}},
    ],
)  # fmt: skip
def test_whatever_is_given_is_refused_in_words(wrong: dict[str, object]) -> None:
    with pytest.raises(LabError):
        lab.train(WORLD, "grpo", **{"steps": 1, "seeds": 1, **wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize("step", ["x", -1, 2.5, None, np.nan, 10**400])
def test_a_step_that_no_run_has(step: object) -> None:
    with pytest.raises(InputError, match="step="):
        replay(WORLD, "grpo", seed=0, step=step)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ({"group_size": 10**10}, "group_size=10000000000, prompts=2, runs=1: this would need about 745 GiB; this"),
        ({"seeds": 10**9}, "runs=1000000000: this would need about 596 GiB; this machine has 7 GiB free"),
        ({"seeds": 2**62}, "this machine has 7 GiB free"),
        ({"steps": 10**12}, "steps=1000000000000, runs=1, every=1: this would need about 52,154 GiB; this"),
    ],
)
def test_memory_is_looked_at_before_it_is_taken(
    monkeypatch: pytest.MonkeyPatch, size: dict[str, int], said: str
) -> None:
    monkeypatch.setattr("lab.sizes.free_memory", lambda: 7 * 2.0**30)
    given = {"steps": 1, "seeds": 1, "group_size": 8, **size}
    with pytest.raises(InputError, match=said):
        lab.train(Bandit([[0.2, 0.8]] * 2), "grpo", **given)  # type: ignore[arg-type]


def test_what_a_configuration_cannot_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.sizes.free_memory", lambda: 7 * 2.0**30)
    with pytest.raises(InputError, match="seeds=1000000000: this would need about 60 GiB; this machine has 7 GiB"):
        Config(variants="grpo", seeds=10**9)
    with pytest.raises(InputError, match="it would make 1,000,000,000,000 files; take a larger chunk"):
        Config(variants="grpo", steps=10**15)
    with pytest.raises(InputError, match="group_size=100000000, prompts=8, runs=16: this would need about 477 GiB"):
        run(Config(variants="grpo", group_size=10**8), "x", runs=tmp_path)
    done = run(Config(variants="grpo", steps=3, seeds=1, sample_steps=10**8), "y", runs=tmp_path)
    assert done.rollouts["step"].unique().sort().to_list() == [0, 1, 2]


def test_the_system_tells_its_free_memory() -> None:
    assert 2**20 < free_memory() < 2**50


def test_help_knows_which_settings_worlds_have_values_for() -> None:
    assert set().union(*(suited(name) for name in names())) == SUITED
