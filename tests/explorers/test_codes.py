"""The Code of every explorer, run alone, gives the frame of its picture, in every question."""

import json
import subprocess
import sys
from typing import Any

import polars as pl
import pytest

from lab.explorers import explorer, names

FRESH = """
import json, sys
import polars as pl

space = {}
exec(compile(json.load(sys.stdin), "code", "exec"), space)
there = pl.read_ipc(sys.argv[1])
assert "streamlit" not in sys.modules and "lab.explorers.contract" not in sys.modules
frames = [getattr(found, "frame", found) for found in space.values()]  # of a trace too
print(any(isinstance(frame, pl.DataFrame) and frame.equals(there) for frame in frames))
"""


def repeats(code: str, frame: pl.DataFrame) -> bool:
    """Whether lines that start from nothing make this frame."""
    space: dict[str, Any] = {}
    exec(compile(code, "code", "exec"), space)
    found = [getattr(made, "frame", made) for made in space.values()]  # of a trace too
    return any(isinstance(each, pl.DataFrame) and each.equals(frame) for each in found)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", names())
def test_the_code_of_every_question_gives_its_frame(name):
    asked, wrong = explorer(name), []
    for question in asked.questions:
        picture = asked.picture(asked.question(question))
        wrong += [question] * (not repeats(picture.code, picture.frame))
    assert not wrong


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sign-flips", "tokens"])
def test_in_a_process_of_its_own_too(name, tmp_path):
    asked = explorer(name)
    picture = asked.picture(asked.state())
    picture.frame.write_ipc(tmp_path / "frame")
    command = [sys.executable, "-c", FRESH, str(tmp_path / "frame")]
    done = subprocess.run(command, input=json.dumps(picture.code), capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("True\n", "")
