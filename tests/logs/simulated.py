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
from simulators.records import Rollouts

#: Worlds in which what is paid is what is wanted; judges with a bias and metrics that can be gamed are left out.
HEALTHY = ("agents", "bandit", "captions", "delayed", "graphs", "hidden-lm", "lengths", "queries", "toy-lm", "turns")
MEASURED = {"reward": "reward", "grad_norm": "grad_norm", "entropy": "entropy", "kl_start": "kl"}


def simulated(name: str, seed: int, folder: Path, *, steps: int = 60, method: str = "dr_grpo") -> Path:
    """A log of one run: rollouts of each step in the lab's own form, and its metrics beside them.

    The divergence is per token, as trainers log it.
    """
    world, chosen = made(name), variant(method)
    settings = settings_of(world, {"steps": steps, "seeds": [seed], "measure": list(MEASURED)})
    walk, rows, tokens = Walk(world, chosen, [seed], settings), [], []
    for step in range(1, steps + 1):
        moment = walk.look()
        rows.append(_rows(rollout_table(moment, None, world), step))
        tokens.append(_tokens(moment.rollouts))
        walk.advance(moment)
    trace = lab.train(world, chosen, settings=settings).frame
    known = [pl.col(c).alias(n) for c, n in MEASURED.items() if c in trace.columns]
    metrics = trace.select(pl.col("step") + 1, *known)
    if "kl" in metrics.columns:
        metrics = metrics.with_columns(pl.col("kl") / pl.Series(tokens))
    metrics.write_csv(folder / f"{name}-{seed}.metrics.csv")
    return lab.save_log(pl.concat(rows), folder / f"{name}-{seed}.csv")


def _tokens(rollouts: Rollouts) -> float:
    """Mean tokens of a rollout."""
    return float(rollouts.logp.shape[-1] if rollouts.mask is None else rollouts.mask.sum(-1).mean())


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
