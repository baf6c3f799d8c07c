"""Which rows of TRL's completions are an evaluation's: they stand at the end of the files of the steps that have one.

The trainer logs from a queue as long as a generation batch (`GRPOTrainer._logs`), so the rows that it evaluates after a
step push as many rows of the step's batch out of its file, and stay until the next batch comes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lab.logs.columns import column
from lab.text import listed

__all__ = ["marked"]

_CLOSE = 1e-5  # of the largest reward; the trainer's means are in single precision


def marked(frame: pl.DataFrame, metrics: pl.DataFrame, rewards: Sequence[str]) -> tuple[pl.DataFrame, list[str]]:
    """The frame with the Boolean column `evaluation`, and why; as it is where nothing tells these rows.

    Evaluations go through the same prompts each time, so the files of two of them end alike; of one evaluation there
    must be one number of rows alone whose mean rewards are those of the metrics `eval_rewards/<name>/mean`. One that
    is longer than the queue fills the file: its means are not those that the trainer logged of the step's batch, as
    they are in all files of other steps.

    Args:
        frame: Rows in the order of the log: step, prompt, completion, rewards.
        metrics: The trainer's metrics.
        rewards: Names of the rewards; each needs its metric.
    """
    names = [f"eval_rewards/{name}/mean" for name in rewards]
    numbers = all(frame[name].dtype.is_numeric() for name in rewards)
    if not names or not numbers or not set(names) <= set(metrics.columns) or "evaluation" in frame.columns:
        return frame, []
    means = {
        step: values for step, *values in metrics.drop_nulls(names).select("step", *map(column, names)).iter_rows()
    }
    steps = dict(
        zip(frame["step"].unique(maintain_order=True), frame.partition_by("step", maintain_order=True), strict=True)
    )
    there = {step: part for step, part in steps.items() if step in means}
    sizes = _alike([part["prompt"].to_list() for part in there.values()])
    found = {step: _size(part, rewards, means[step], sizes) for step, part in there.items()}
    own = _own(steps, metrics, rewards)
    if {step for step in own if step not in there} and all(own[step] for step in own if step not in there):
        found |= {step: there[step].height for step in there if not found[step] and own.get(step) is False}
    if not any(found.values()):
        return frame, []
    parts: list[pl.DataFrame] = []
    for step, part in steps.items():
        rows = part.select("prompt", "completion")
        again = bool(parts) and rows.equals(parts[-1].select("prompt", "completion"))
        last = pl.int_range(part.height, eager=True) >= part.height - found.get(step, 0)
        parts.append(part.with_columns((parts[-1]["evaluation"] if again else last).alias("evaluation")))
    at = listed(step for step, size in found.items() if size)
    said = f"The trainer logged eval_reward after step {at}: rows at the end of the file are what it evaluated."
    return pl.concat(parts), [said]


def _alike(prompts: Sequence[list[str]]) -> Sequence[int] | None:
    """How many rows at the end have the same prompts in all files; None where there are not two."""
    if len(prompts) < 2:
        return None
    ends = zip(*(reversed(rows) for rows in prompts), strict=False)
    return [sum(1 for _ in takewhile(lambda row: len(set(row)) == 1, ends))]


def _size(rows: pl.DataFrame, rewards: Sequence[str], means: Sequence[float], sizes: Sequence[int] | None) -> int:
    """Rows at the end that have these mean rewards: one of `sizes`, or a number of whole runs of prompts; else 0."""
    fitting = set(np.flatnonzero(_means(rows, rewards, means).all(1)) + 1)
    runs = rows["prompt"].rle_id().to_numpy()
    ends = {rows.height - int(i) for i in np.flatnonzero(np.diff(runs)) + 1} | {rows.height}
    chosen = fitting & ends if sizes is None else fitting & set(sizes)
    return int(chosen.pop()) if len(chosen) == 1 else 0


def _own(steps: Mapping[int, pl.DataFrame], metrics: pl.DataFrame, rewards: Sequence[str]) -> dict[int, bool]:
    """Whether the rows of each step have the mean rewards that the trainer logged of its batch."""
    names = [f"reward/{name}" for name in rewards]
    if not set(names) <= set(metrics.columns):
        return {}
    logged = metrics.drop_nulls(names).select("step", *map(column, names)).iter_rows()
    return {s: bool(_means(steps[s], rewards, means)[-1].all()) for s, *means in logged if s in steps}


def _means(rows: pl.DataFrame, rewards: Sequence[str], means: Sequence[float]) -> NDArray[np.bool_]:
    """Whether the mean of the last 1, 2, ... rows [N, K] is the given one."""
    values = rows.select(column(name).cast(pl.Float64) for name in rewards).to_numpy()[::-1]
    there = np.isfinite(values)
    with np.errstate(all="ignore"):
        running = np.where(there, values, 0).cumsum(0) / there.cumsum(0)
        near: NDArray[np.bool_] = np.abs(running - means) <= _CLOSE * max(
            1e-6, np.abs(np.where(there, values, 0)).max()
        )
    return near
