"""A file of one's own: its world and its rule are known by name on the shell, in configurations and on the pages."""

import os
import subprocess
import sys

import pytest

import lab
from lab.errors import InputError
from lab.experiment import Config

PLUGIN = '''
from typing import Annotated

import numpy as np

import lab
from simulators import Bandit
from simulators.declared import Range


@lab.world(label="my own levers", run={"lr": 3.0}, listed=True)
def levers(pulls: Annotated[int, Range(1, 9), "Pulls"] = 3, chance: Annotated[float, Range(0, 1), "Chance"] = 0.8):
    """Levers of one's own."""
    return Bandit(success=[[0.2, chance]] * pulls)


@lab.advantage(name="halves")
def halves(rewards):
    return (rewards - np.mean(rewards, axis=-1, keepdims=True)) / 2
'''

PAGE = """
import sys
from lab import plugins
plugins.inherit()
from streamlit.testing.v1 import AppTest
page = AppTest.from_string("from lab.pages.home import show\\nshow('train')", default_timeout=120)
page.query_params.update({"world": "levers", "pulls": "4", "variants": "grpo~halves", "steps": "50", "runs": "2"})
page.run()
assert not page.exception and not page.error and not page.warning, (page.exception, page.error, page.warning)
print(page.slider(key="train:pulls").value, page.number_input(key="train:lr").value)
print("lab.world('levers', pulls=4, chance=0.8)" in "".join(each.value for each in page.code))
"""


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "my_file.py"
    path.write_text(PLUGIN, encoding="utf-8")
    return path


@pytest.fixture
def python(root):
    """Python in a process of its own, which must end well unless told."""

    def run(*line, status=0, **environment):
        place = {"PYTHONPATH": str(root), **os.environ, **environment}
        done = subprocess.run([sys.executable, *map(str, line)], capture_output=True, text=True, cwd=root, env=place,
                              check=False)  # fmt: skip
        assert done.returncode == status, done.stderr
        return done.stdout + done.stderr

    return run


SHELL = ("-c", "from lab.cli import main; main()")


def test_the_shell_knows_the_world_and_the_rule_and_a_run_goes_on_with_them(python, plugin, tmp_path):
    own = ("--plugins", plugin)
    assert "Levers of one's own." in python(*SHELL, "worlds", *own)
    assert "pulls" in python(*SHELL, "worlds", "levers", *own)
    assert "halves" in python(*SHELL, "variants", "--no-presets", *own)
    run = ("run", "--world", "levers", "--set", "pulls=2", "--variant", "halves", "--steps", "4", "--seeds", "2")
    place = ("--name", "mine", "--runs", tmp_path)
    assert "halves" in python(*SHELL, *run, *place, "--processes", "2", *own)
    kept = lab.store.find("mine", tmp_path)
    assert kept.config.plugins == [str(plugin)] and kept.config.lr == 3.0 and kept.complete
    assert "halves" in python(*SHELL, "show", "mine", "--runs", tmp_path), "to be looked at, it needs no plugin"
    again = ("run", "--resume", "mine", "--runs", tmp_path)
    assert f"give it again, on the shell by --plugins {plugin}" in python(*SHELL, *again, status=2)
    assert "halves" in python(*SHELL, *again, *own)
    assert "unknown world 'levers'" in python(*SHELL, *run, *place, status=2)


def test_the_pages_have_its_controls_and_train_in_it(python, plugin):
    assert python("-c", PAGE, ADVLAB_PLUGINS=str(plugin)).split()[:3] == ["4", "3.0", "True"]


@pytest.mark.parametrize(
    ("text", "said"),
    [("x = 1\nx.y", "line 2: AttributeError"), ("def f(:", "line 1: SyntaxError"), (None, "is not there")],
)
def test_a_file_that_fails_is_named_with_the_line(text, said, tmp_path):
    path = tmp_path / "broken.py"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        lab.plugins.load(path)
    assert str(path) not in lab.plugins.loaded()


def test_a_configuration_never_runs_a_file(tmp_path):
    path = tmp_path / "foreign.py"
    path.write_text("raise SystemExit('it was run')", encoding="utf-8")
    config = Config(world="bandit", variants=["grpo"], steps=1, plugins=[str(path)])
    with pytest.raises(InputError, match=r"this run was made with .*foreign\.py; give it again"):
        lab.experiment.run(config, "foreign", runs=tmp_path)
