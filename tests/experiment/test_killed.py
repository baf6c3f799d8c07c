"""Runs whose process is killed, again and again, at random moments."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lab.config import Config
from lab.executors import Executor, Processes, Threads
from lab.experiment import run
from lab.store import Run

pytestmark = pytest.mark.slow

KILLS = 8
CHILD = """
import sys
from lab.experiment import Config, run
said = lambda *_: print("at work", flush=True)
run(Config.read(sys.argv[1]), sys.argv[2], runs=sys.argv[3], resume=True, progress=said)
"""
CONFIG = Config(
    world="bandit:prompts=4,arms=4,law=normal", variants=["grpo", "dapo", "mc-grpo"], seeds=6, steps=240, chunk=5,
    block=2, optimizer="adam", epochs=2, measure="full", sample_steps=60,
)  # fmt: skip


def contents(done: Run) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in done.path.iterdir() if p.suffix in (".parquet", ".json")}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(CONFIG, "whole", runs=tmp_path_factory.mktemp("runs"), executor=Threads(1))


def kills(config: Path, folder: Path, moments: Iterator[float]) -> int:
    """Start the run, kill it a moment after it has begun to work, start it again, until it ends; how often."""
    for killed in range(10 * KILLS):
        command = [sys.executable, "-c", CHILD, str(config), "whole", str(folder)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
        assert child.stdout is not None
        with child.stdout:
            child.stdout.readline()
            time.sleep(next(moments))
            if child.poll() is not None:
                assert child.returncode == 0
                return killed
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    raise AssertionError("the run does not end")


def test_killed_at_random_moments_the_rows_are_the_same(reference: Run, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(CONFIG.text())
    draw = random.Random(0)
    moments = iter(lambda: draw.uniform(0, 0.6), None)
    total = 0
    for attempt in range(KILLS):
        folder = tmp_path / str(attempt)
        total += kills(config, folder, moments)
        done = run(CONFIG, "whole", runs=folder, resume=True)
        assert done.frame.equals(reference.frame)
        assert contents(done) == contents(reference)
        assert not list(done.path.glob(".part-*"))
        if total >= KILLS:
            break
    assert total >= KILLS


def test_a_language_model_that_is_killed_goes_on_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setenv("ADVLAB_CACHE", str(tmp_path / "cache"))
    config = Config(
        world="small-lm:prompts=4,layers=1,width=16,heads=1,accuracy=0.0,device=cpu", variants=["grpo"], seeds=2,
        steps=40, chunk=2, optimizer="adam", lr=1e-3, group_size=4, epochs=2, evaluate=20, measure="full",
    )  # fmt: skip
    whole = run(config, "whole", runs=tmp_path / "never", executor=Threads(1))
    path, folder = tmp_path / "config.json", tmp_path / "often" / "whole"
    path.write_text(config.text())
    for chunks in (1, 4):
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(path), "whole", str(folder.parent)],
                                 stdout=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
        while child.poll() is None and len(list(folder.glob("trace-*"))) < chunks:
            time.sleep(0.005)
        assert child.poll() is None
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        assert chunks <= len(list(folder.glob("trace-*"))) < 20
    done = run(config, "whole", runs=folder.parent, resume=True)
    assert contents(done) == contents(whole)
    ends = [dict(np.load(r.path / "state-grpo-000.npz")) for r in (whole, done)]
    assert all(np.array_equal(ends[0][name], ends[1][name]) for name in ends[0])


@pytest.mark.parametrize("executor", [Threads(2), Processes(2)])
def test_rows_do_not_depend_on_the_executor(reference: Run, tmp_path: Path, executor: Executor) -> None:
    assert contents(run(CONFIG, "whole", runs=tmp_path, executor=executor)) == contents(reference)


def test_processes_that_are_stopped_end_and_can_be_resumed(reference: Run, tmp_path: Path) -> None:
    began = time.monotonic()
    run(CONFIG, "whole", runs=tmp_path, executor=Processes(2), stop=lambda: time.monotonic() > began + 5)
    assert contents(run(CONFIG, "whole", runs=tmp_path, resume=True)) == contents(reference)


def test_an_error_in_a_process_is_told(tmp_path: Path) -> None:
    small = Config(variants=["grpo"], seeds=2, steps=9, chunk=3)
    done = run(small, "small", runs=tmp_path)
    (done.path / "state-grpo-000.npz").write_bytes(b"damaged")
    (done.path / "trace-grpo-000-00002.parquet").unlink()
    with pytest.raises(ValueError, match=r"state-grpo-000\.npz is damaged"):
        run(small, "small", runs=tmp_path, resume=True, executor=Processes(1))
