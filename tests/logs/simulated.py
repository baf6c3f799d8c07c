"""Runs of the lab's own worlds, written as logs: nothing is wrong with them, so nothing may be found.

`python -m tests.logs.simulated 100` draws a hundred of each world and prints what is found above a note.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

import lab
from lab.measures.rollouts import rollout_table
from lab.methods import variant
from lab.training.loop import Walk
from lab.training.settings import settings_of
from lab.world_registry import made

#: Worlds with sampled prompts and answers. Judges with biases, proxies that can be gamed and rewards that are seen
#: only now and then are not among them: there something is wrong on purpose.
HEALTHY = ("agents", "bandit", "captions", "delayed", "graphs", "hidden-lm", "lengths", "queries", "toy-lm", "turns")
MEASURED = {"reward": "reward", "grad_norm": "grad_norm", "entropy": "entropy", "kl_start": "kl"}


def simulated(name: str, seed: int, folder: Path, *, steps: int = 60, method: str = "dr_grpo") -> Path:
    """A log of one run: rollouts of each step in the lab's own form, and its metrics beside them."""
    world, chosen = made(name), variant(method)
    settings = settings_of(world, {"steps": steps, "seeds": [seed], "measure": list(MEASURED)})
    walk, rows = Walk(world, chosen, [seed], settings), []
    for step in range(1, steps + 1):
        moment = walk.look()
        rows.append(_rows(rollout_table(moment, None, world), step))
        walk.advance(moment)
    trace = lab.train(world, chosen, settings=settings).frame
    metrics = trace.select(pl.col("step") + 1, *(pl.col(c).alias(n) for c, n in MEASURED.items() if c in trace.columns))
    metrics.write_csv(folder / f"{name}-{seed}.metrics.csv")
    return lab.save_log(pl.concat(rows), folder / f"{name}-{seed}.csv")


def _rows(table: pl.DataFrame, step: int) -> pl.DataFrame:
    """A step's rollouts under the names of the log's own form."""
    parts = [c for c in table.columns if c.startswith("reward_")] or ["reward"]
    text = [pl.col(n).alias(c) for n, c in (("question", "prompt"), ("text", "completion")) if n in table.columns]
    prompt = [] if text else [pl.format("prompt {}", "prompt").alias("prompt")]
    return table.select(
        pl.lit(step).alias("step"),
        (pl.col("slot") * 1000 + pl.col("prompt").rank("dense")).alias("group"),
        "rollout",
        *(pl.col(c).alias(f"reward/{c}") for c in parts),
        "advantage",
        *text,
        *prompt,
    )


def found(name: str, runs: int, **options: int | str) -> Iterator[tuple[int, list[lab.logs.Finding]]]:
    """Seed and findings of runs of a world."""
    with TemporaryDirectory() as folder:
        for seed in range(runs):
            yield seed, list(lab.diagnose(simulated(name, seed, Path(folder), **options), []).findings)  # type: ignore[arg-type]


if __name__ == "__main__":
    for world in sys.argv[2:] or HEALTHY:
        worse = [
            (seed, f.severity, f.kind, str(f))
            for seed, findings in found(world, int(sys.argv[1]))
            for f in findings
            if f.severity != "note"
        ]
        alarms = sum(one[1] == "alarm" for one in worse)
        sys.stdout.write(f"{world}: {alarms} alarms, {len(worse) - alarms} warnings\n")
        for one in worse:
            sys.stdout.write(f"  seed {one[0]}, {one[1]} {one[2]}: {one[3]}\n")
