"""A world, two rules, a reader of logs and a figure, each by one file beside the tree, are found at every door."""

import os
import subprocess
import sys

import pytest

FILES = {
    "world": '''
import lab
from simulators import Bandit

@lab.world(label="three shells", listed=True)
def shells():
    """Which shell hides the pea?"""
    return Bandit(success=[[0.2, 0.5, 0.8]])
''',
    "advantage": """
import lab

@lab.advantage(name="thirds", properties={"shift", "permutation", "zero_sum", "silent", "groupwise"})
def thirds(rewards):
    return (rewards - rewards.mean(axis=-1, keepdims=True)) / 3
""",
    "reward": """
from lab.composites import method
from lab.registry import register

@register("reward", "doubled")
def doubled(rewards):
    return 2 * rewards

method("thirds-of-double", advantage="dr_grpo", reward="doubled")
""",
    "reader": """
import polars as pl

import lab
from lab.logs import Known, Raw

@lab.reader("pea", recognises=lambda path: path.suffix == ".pea", holds="one .pea file")
def read(path, steps):
    return Raw(pl.read_csv(path), Known(groups="uid", rewards=("score",)))
""",
    "figure": """
import plotly.graph_objects as go

from lab.figures.figure import figure

@figure(guide="One bar for each step.", columns=("step", "reward"))
def bars(frame, *, theme):
    return go.Figure(go.Bar(x=frame["step"], y=frame["reward"]))
""",
}

PEAS = "step,uid,score\n1,a,1.0\n1,a,0.0\n1,b,0.0\n1,b,1.0\n"

DOORS = """
import sys
from pathlib import Path
import lab
lab.plugins.inherit()
from lab.config import Config
world = lab.world("shells")
assert {"thirds", "thirds-of-double"} <= set(lab.variants()["name"])
assert "doubled" in lab.rewards.names() and lab.rewards.apply("doubled", [[1.0, 3.0]]).ravel().tolist() == [2, 6]
assert lab.advantages.compute("thirds", [[0.0, 3.0]]).tolist() == [[-0.5, 0.5]]
config = Config(world="shells", variants=["thirds", "thirds-of-double"], steps=2, seeds=2)
assert lab.check_world("shells").holds, lab.check_world("shells")
assert all(report.agrees for report in lab.advantages.check("thirds")), lab.advantages.check("thirds")
log = Path(sys.argv[1], "run.pea")
assert "pea" in lab.readers() and lab.load(log).group_size == 2
bars = next(m.bars for name, m in sys.modules.items() if name.startswith("advlab_plugin") and hasattr(m, "bars"))
trace = lab.train(world, config.variants[0].name, steps=2, seeds=1)
assert list(bars(trace.frame, theme="light").data[0].x) == [0, 1]
print("everywhere")
"""

PAGES = """
import sys
import lab
lab.plugins.inherit()
from lab.explorers import explorer
from lab.text import plain
from tests.pages.looking import look

own = ["thirds", "thirds-of-double"]
train = explorer("train")
offered = {each.name: each for each in train.properties}
assert offered["world"].shown("shells") == "three shells" and set(own) <= set(offered["variants"].options)
seen = train.picture(train.state(world="shells", variants=own, steps=50, runs=2))
assert "lab.world('shells')" in seen.code and set(own) == set(seen.frame["variant"])
rules = next(each for each in explorer("microscope").properties if each.name == "rules")
assert "thirds" in rules.options
log = look("my_run", {"log": "folder", "path": f"{sys.argv[1]}/run.pea", "view": "browse", "rules": "thirds~dr_grpo"})
assert not log.problems and not log.test.warning, (log.problems, log.test.warning)
assert plain("pea: one .pea file") in log.properties["path"].help and "thirds" in log.properties["rules"].options
print("listed")
"""


@pytest.fixture
def files(tmp_path):
    for name, text in FILES.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    (tmp_path / "run.pea").write_text(PEAS, encoding="utf-8")
    return [tmp_path / f"{name}.py" for name in FILES]


def python(root, *line, **environment):
    place = {**os.environ, "PYTHONPATH": str(root), **environment}
    done = subprocess.run([sys.executable, *map(str, line)], capture_output=True, text=True, cwd=root, env=place,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_is_found_in_python_and_in_the_batteries(root, files, tmp_path):
    found = python(root, "-c", DOORS, tmp_path, ADVLAB_PLUGINS=os.pathsep.join(map(str, files)))
    assert found.split()[-1] == "everywhere"


@pytest.mark.timeout(300)
def test_each_is_listed_on_the_pages_and_does_there_what_it_says(root, files, tmp_path):
    """The reward by the method that takes it."""
    found = python(root, "-c", PAGES, tmp_path, ADVLAB_PLUGINS=os.pathsep.join(map(str, files)))
    assert found.split()[-1] == "listed"


def test_each_is_found_on_the_shell(root, files, tmp_path):
    shell = ("-c", "from lab.cli import main; main()")
    own = [part for path in files for part in ("--plugins", path)]
    assert "Which shell hides the pea?" in python(root, *shell, "worlds", *own)
    listed = python(root, *shell, "variants", *own)
    assert "thirds" in listed and "thirds-of-double" in listed
    run = ("run", "--world", "shells", "--variant", "thirds", "--variant", "thirds-of-double", "--steps", "2")
    place = ("--seeds", "2", "--name", "mine", "--runs", tmp_path / "runs")
    assert "thirds-of-double" in python(root, *shell, *run, *place, *own)
