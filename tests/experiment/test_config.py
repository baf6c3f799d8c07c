"""Configurations: what is accepted, and what is said of the rest."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.config import Config, options_of
from lab.errors import InputError, LabError
from lab.world_registry import settings, world
from simulators import Bandit
from simulators.random import uniforms


def test_it_survives_the_disk(tmp_path: Path) -> None:
    config = Config(
        world="bandit:law=student_t,noise=0.5",
        variants=["grpo", "grpo:eps=1e-6", {"name": "dapo", "label": "mine", "options": {"clip_high": 0.3}}],
        seeds=range(3, 7), reward_weights=[1.0], max_grad_norm=2, measure=None,
    )  # fmt: skip
    (tmp_path / "c.json").write_text(config.text())
    assert Config.read(tmp_path / "c.json") == config
    assert config.numbers == [3, 4, 5, 6]
    assert [v.label or v.name for v in config.variants] == ["grpo", "grpo:eps=1e-6", "mine"]


def test_differences_name_the_setting() -> None:
    assert Config(variants="grpo").differences(Config(variants="grpo", steps=3)) == ["steps: 300, there 3"]
    assert Config(variants=["grpo"]).differences(Config(variants="grpo")) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "variants: it is missing"),
        ({"variants": []}, "variants=[]"),
        ({"variants": ["grpo"], "stepps": 3}, "stepps: there is no such setting; nearest: 'steps'"),
        ({"variants": ["grpo"], "steps": -3}, "steps=-3: it should be a whole number of at least 0"),
        ({"variants": ["grpo"], "steps": "3"}, "steps='3': it should be a valid integer"),
        ({"variants": ["grpo"], "steps": 3.5}, "steps=3.5"),
        ({"variants": ["grpo"], "steps": True}, "steps=True"),
        ({"variants": ["grpo"], "seeds": 0}, "seeds=0: it should be a number of runs, at least 1"),
        ({"variants": ["grpo"], "seeds": []}, "seeds=[]"),
        ({"variants": ["grpo"], "seeds": [1, 1]}, "all different"),
        ({"variants": ["grpo"], "seeds": [-1]}, "at least 0"),
        ({"variants": ["grpo"], "lr": float("nan")}, "lr=nan: it should be a finite number of at least 0"),
        ({"variants": ["grpo"], "lr": float("inf")}, "lr=inf"),
        ({"variants": ["grpo"], "group_size": 0}, "group_size=0"),
        ({"variants": ["grpo"], "optimizer": "sdg"}, "optimizer='sdg': it should be one of sgd, momentum, adam"),
        ({"variants": ["grpo"], "max_grad_norm": 0}, "max_grad_norm=0: it should be a finite number above 0, or None"),
        ({"variants": [{"nam": "grpo"}]}, "variants.0.nam: there is no such setting; nearest: 'name'"),
        ({"variants": ["grpo:eps"]}, "should be option=value"),
        ({"variants": ["grpo"], "world": {"name": "bandit", "options": {"prompts": object()}}}, "JSON"),
    ],
)
def test_mistakes_are_named(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as error:
        Config(**wrong)
    assert said in str(error.value)
    assert "pydantic" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is damaged, it is not JSON"),
        ("[]", "is not a configuration"),
        ('{"variants": 3}', "variants=3"),
        ("\x00\xff", "is damaged"),
        ("[" * 100_000, "is damaged, it is not JSON"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError) as error:
        Config.read(path)
    assert said in str(error.value)
    assert str(path) in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json cannot be read: No such file"):
        Config.read(tmp_path / "none.json")


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,9}", fullmatch=True), st.integers() | st.floats(allow_nan=False)))
def test_options_are_read_as_written(options: dict[str, float]) -> None:
    text = "grpo:" + ",".join(f"{k}={v!r}" for k, v in options.items())
    assert options_of(text) == {"name": "grpo", "options": options}


def test_options_may_be_words() -> None:
    found = options_of("bandit: law=normal, seed=none, a=true , b=False")["options"]
    assert found == {"law": "normal", "seed": None, "a": True, "b": False}


@pytest.mark.parametrize("text", ["grpo:eps", "grpo:=3", "grpo:eps=", "grpo:eps=1,eps=2"])
def test_broken_options_are_quoted(text: str) -> None:
    with pytest.raises(InputError, match="should be option=value"):
        options_of(text)


def test_worlds_by_name() -> None:
    easy = world("bandit", prompts=3, arms=4)
    assert isinstance(easy, Bandit)
    assert easy.means.shape == (3, 1, 4)
    drawn = world("bandit", prompts=2, arms=3, seed=7, law="normal")
    assert (drawn.means == world("bandit", prompts=2, arms=3, seed=7).means).all()
    assert (drawn.means != world("bandit", prompts=2, arms=3, seed=8).means).all()
    own = uniforms(7, prompt=np.arange(2)[:, None], draw=np.arange(3))
    assert not np.isin(drawn.means, own).any()  # no number that the run of that seed draws
    assert world("bandit", success=[[0.2, 0.5]]).means.tolist() == [[[0.2, 0.5]]]
    assert json.dumps(settings("bandit"))


@pytest.mark.parametrize(
    ("name", "given_settings", "said"),
    [
        ("bandid", {}, "unknown world 'bandid'; nearest: 'bandit'"),
        ("bandit", {"arm": 3}, "setting of world 'bandit', 'arm'; nearest: 'arms'"),
        ("bandit", {"prompts": 0}, "prompts=0"),
        ("bandit", {"prompts": 0, "seed": 1}, "prompts=0"),
        ("bandit", {"law": "cauchy"}, "law='cauchy'; it must be one of bernoulli, normal"),
        ("bandit", {"success": [[0.2, 0.3], [0.1]]}, "rows of 2, 1 arms"),
        ("bandit", {"success": [[0.2, 1.3]]}, "1.3"),
        ("bandit", {"success": "high"}, "world 'bandit'"),
        ("bandit", {"noise": -1, "law": "normal"}, "world 'bandit'"),
    ],
)
def test_worlds_that_cannot_be(name: str, given_settings: dict[str, Any], said: str) -> None:
    with pytest.raises(LabError) as error:
        world(name, **given_settings)
    assert said in str(error.value)
