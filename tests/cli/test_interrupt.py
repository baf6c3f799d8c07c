"""Ctrl-C in a terminal: the run stops at once, says how to go on, and goes on."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.store import Run

ADVLAB = [sys.executable, "-c", "from lab.cli import main; main()"]
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("chunk", ["20", "100000"])
@pytest.mark.parametrize("where", [["--threads", "2"], ["--processes", "2"]])
def test_interrupted_and_resumed(tmp_path: Path, where: list[str], chunk: str) -> None:
    run = ["run", "--seeds", "8", "--steps", "4000", "--chunk", chunk, "--optimizer", "adam", "--variant", "grpo"]
    assert subprocess.run([*ADVLAB, *run, "--name", "whole"], cwd=tmp_path, check=False).returncode == 0
    command = [*ADVLAB, *run, "--variant", "dapo", "--name", "part", "--save-seconds", "0.3", *where]
    child = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    while not list((tmp_path / "runs").glob("part/trace-grpo-*")):
        time.sleep(0.02)
        assert child.poll() is None
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130
    stopped = Run(tmp_path / "runs" / "part")
    kept, total = stopped.progress
    assert 0 < kept < total == 2 * 8 * 4000
    assert err.strip() == (
        f"Stopped; {kept} of {total} ({kept / total:.0%}) steps are kept, nothing of them is lost: "
        "`advlab run --resume part` goes on."
    )
    assert stopped.reached(stopped.cells[0]) == stopped.frame.filter(variant="grpo")["step"].n_unique()
    done = subprocess.run([*ADVLAB, "run", "--resume", "part"], cwd=tmp_path, check=False)
    assert done.returncode == 0
    part, whole = (Run(tmp_path / "runs" / name).frame for name in ("part", "whole"))
    assert part.filter(variant="grpo").equals(whole)
