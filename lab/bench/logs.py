"""Opening a training log and saying what went wrong in it; beside Polars that only reads the files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl

from lab.bench.harness import Row, alternate, benchmark

RUNS = 3
POLARS = "Polars, read alone"
GROUP = 8
ROWS = 128  # of one file, that of a step
SCALARS = 20_000
SMALL, LARGE = 64_000, 256_000
#: Rollouts that are opened in a process of their own each, for time and memory.
SIZES = (100_000, 1_000_000, 10_000_000)
STEPS = 781  # of one file of these: about 100,000 rollouts

_ALONE = """
import resource, sys, time, lab
start = time.perf_counter()
lab.diagnose(sys.argv[1]).findings
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def rollouts(folder: Path, rows: int) -> Path:
    """A log of TRL with as many rollouts: two rewards of 0 or 1, groups of 8, a file per step; advantages of GRPO."""
    home = folder / f"rows-{rows}" / "completions"
    home.mkdir(parents=True)
    dice = np.random.default_rng(0)
    for step in range(1, rows // ROWS + 1):
        step_rows(step, dice).write_parquet(home / f"completions_{step:05d}.parquet")
    return home.parent


def long_log(folder: Path, rows: int) -> Path:
    """A log of many steps in each file, those of the first again and again with other texts."""
    home = folder / f"long-{rows}" / "completions"
    home.mkdir(parents=True)
    dice = np.random.default_rng(0)
    first = pl.concat(step_rows(step, dice) for step in range(1, min(STEPS, rows // ROWS) + 1))
    for start in range(0, rows // ROWS, STEPS):
        texts = [pl.format("{}: {}", pl.lit(start), name).alias(name) for name in ("prompt", "completion")]
        block = first.with_columns(pl.col("step") + start, *texts).head(rows - start * ROWS)
        block.write_parquet(home / f"completions_{start:05d}.parquet")
    return home.parent


def step_rows(step: int, dice: np.random.Generator) -> pl.DataFrame:
    """The rollouts of one step, as TRL writes them."""
    prompts = ROWS // GROUP
    chance = dice.uniform(0.1, 0.9, (prompts, 1))
    right, form = (dice.random((2, prompts, GROUP)) < chance).astype(float)
    total = right + form
    advantage = (total - total.mean(1, keepdims=True)) / (total.std(1, ddof=1, keepdims=True) + 1e-4)
    asked = [f"What is {step} + {prompt}?" for prompt in range(prompts) for _ in range(GROUP)]
    written = [f"{step}, {row}: the sum is {answer}." for row, answer in enumerate(dice.integers(0, 10**6, ROWS))]
    columns = {"step": [step] * ROWS, "prompt": asked, "completion": written}
    return pl.DataFrame(columns | {"correct": right.ravel(), "format": form.ravel(), "advantage": advantage.ravel()})


def scalars(folder: Path, steps: int) -> Path:
    """A `trainer_state.json` alone, with five metrics of each step."""
    dice = np.random.default_rng(0).normal(1, 0.05, (steps, 5))
    names = ("reward", "reward_std", "grad_norm", "entropy", "loss")
    entries = [{"step": step, **dict(zip(names, row, strict=True))} for step, row in enumerate(dice.tolist(), 1)]
    file = folder / "trainer_state.json"
    file.write_text(json.dumps({"global_step": steps, "log_history": entries}))
    return file


def diagnosed(path: Path) -> Any:
    """All findings of a log."""
    import lab

    return lab.diagnose(path).findings


def alone(path: Path) -> tuple[float, float]:
    """Seconds that a process of its own takes to open a log and say what it found, and GiB that it holds at most."""
    said = subprocess.run([sys.executable, "-c", _ALONE, str(path)], capture_output=True, text=True, check=True)
    seconds, held = map(float, said.stdout.split())
    return seconds, held / 2 ** (30 if sys.platform == "darwin" else 20)


@benchmark(
    "logs", "a log opened and diagnosed: 20,000 steps of metrics, 256,000 rollouts in 2,000 files, 10,000,000 rows"
)
def logs() -> list[Row]:
    """Ratios are to files that are only read, to the limits that are aimed at, and to time that is linear in rows."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        return [*_metrics(scalars(folder, SCALARS)), *_files(folder), *_alone(folder)]


def _metrics(file: Path) -> list[Row]:
    seconds = alternate({"json": lambda: json.loads(file.read_text()), "lab": lambda: diagnosed(file)}, RUNS)
    return [_beside(f"{SCALARS} steps of metrics, diagnosed", seconds["lab"], "s", 1.0, RUNS),
            Row("the same, JSON read alone", seconds["json"], "s", "", None, RUNS)]  # fmt: skip


def _files(folder: Path) -> list[Row]:
    import lab

    small, large = rollouts(folder, SMALL), rollouts(folder, LARGE)
    tasks = {
        POLARS: lambda: pl.read_parquet(large / "completions" / "*.parquet"),
        "loaded": lambda: lab.load(large),
        "diagnosed": lambda: diagnosed(large),
        "small": lambda: diagnosed(small),
    }
    seconds = alternate(tasks, RUNS)
    what = f"{LARGE} rollouts in {LARGE // ROWS} files"
    rates = {name: (LARGE if name != "small" else SMALL) / 1000 / taken for name, taken in seconds.items()}
    read = rates[POLARS]
    return [
        Row(f"{what}, {POLARS}", read, "rows/ms", "", None, RUNS),
        Row(f"{what}, lab, loaded", rates["loaded"], "rows/ms", POLARS, rates["loaded"] / read, RUNS),
        Row(f"{what}, lab, diagnosed", rates["diagnosed"], "rows/ms", f"{SMALL} rows",
            rates["diagnosed"] / rates["small"], RUNS),
        _beside(f"{what}, lab, diagnosed", seconds["diagnosed"], "s", 4.0, RUNS),
    ]  # fmt: skip


def _alone(folder: Path) -> list[Row]:
    """Rows per time beside those of the smallest log: 1 where the time is linear in rows."""
    rows, first = list[Row](), None
    for size in SIZES:
        seconds, held = alone(long_log(folder, size))
        rate = size / 1000 / seconds
        first = first or rate
        what = f"{size} rollouts, lab, diagnosed in a new process"
        rows += [Row(what, rate, "rows/ms", f"{SIZES[0]} rows", rate / first, 1),
                 _beside(f"{size} rollouts, lab, most memory", held, "GiB", 2.0, 1)]  # fmt: skip
    return rows


def _beside(name: str, value: float, unit: str, limit: float, runs: int) -> Row:
    return Row(name, value, unit, f"{limit:g} {unit}", limit / value, runs)
