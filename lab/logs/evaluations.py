"""Which rows of a log were evaluated and not trained on: marked by the reader, or told by the trainer's metrics.

Trainers log from a queue as long as a generation batch (TRL: `GRPOTrainer._logs`), so the rows that are evaluated after
a step push as many rows of the step's batch out of its file, and stand at its end until the next batch comes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lab.logs.columns import column
from lab.logs.contract import Known
from lab.logs.texts import key
from lab.text import listed

__all__ = ["evaluation_rows"]

_SAME = 1e-5  # of the largest reward: two means are of the same rows; trainers take theirs in single precision


def evaluation_rows(
    frame: pl.DataFrame, rewards: Sequence[str], weights: Sequence[float], metrics: pl.DataFrame, known: Known
) -> tuple[pl.DataFrame, pl.DataFrame, list[str]]:
    """The rows that were trained on, those of evaluations, and what was done.

    A reader marks them by a Boolean column `evaluation`. Without it they are the last rows of a step for which the
    trainer logged metrics `eval_...`: those whose mean rewards are `eval_rewards/<name>/mean`, where each reward has
    that metric; else those whose prompts stand in runs of another length, or whose mean reward is `eval_reward` where
    that of the whole step is not `reward`.
    """
    if "evaluation" in frame.columns and "evaluation" not in rewards and frame["evaluation"].dtype == pl.Boolean:
        marked = frame["evaluation"].fill_null(False)
        return _apart(frame.drop("evaluation"), marked, "")
    names = [c for c in metrics.columns if c.startswith("eval_")]
    steps = metrics.filter(pl.any_horizontal(pl.lit(False), *(column(c).is_not_null() for c in names)))["step"]
    if not len(steps) or known.groups or "prompt" not in frame.columns:
        return frame, frame.clear(), []
    by_parts = _by_their_means(frame, metrics, rewards)
    if by_parts.any():
        return _apart(frame, by_parts, " (their mean rewards are those logged there beside eval_reward)")
    size, odd = _of_another_length(frame, steps, known)
    what = "eval_reward" if "eval_reward" in names else names[0]
    if odd.any() or what != "eval_reward" or "reward" not in metrics.columns:
        return _apart(frame, odd, f" ({what} is logged there)")
    parts = [column(c) * w for c, w in zip(rewards, weights, strict=True)]
    largest = pl.max_horizontal(part.abs() for part in parts)
    total = frame.select(pl.sum_horizontal(parts).alias("total"), largest.alias("largest"))
    there, unclear = _by_their_mean(frame["step"].to_numpy(), total.to_numpy(), metrics, size)
    rows, evaluated, said = _apart(
        frame, pl.Series(there), " (their mean reward is the eval_reward that is logged there)"
    )
    hint = f"Rows of step {listed(unclear)} may be of an evaluation: their mean reward is not the logged one."
    return rows, evaluated, [*said, *([hint] if unclear else [])]


def _apart(frame: pl.DataFrame, marked: pl.Series, why: str) -> tuple[pl.DataFrame, pl.DataFrame, list[str]]:
    evaluated = frame.filter(marked)
    if evaluated.is_empty():
        return frame, evaluated, []
    steps = evaluated["step"].unique(maintain_order=True).to_list()
    where = f"step {steps[0]}" if len(steps) == 1 else f"steps {listed(steps)}"
    said = f"{evaluated.height} rows of {where} are evaluation rows{why}: they are kept apart from the training."
    return frame.filter(~marked), evaluated, [said]


def _by_their_means(frame: pl.DataFrame, metrics: pl.DataFrame, rewards: Sequence[str]) -> pl.Series:
    """Whether each row was evaluated, as the mean of each reward tells.

    Evaluations go through the same prompts each time, so the rows of two of them end alike; of one evaluation there
    must be one number of rows alone whose mean rewards are those of the metrics `eval_rewards/<name>/mean`. One that
    is longer than the queue fills the file: its means are not those that the trainer logged of the step's batch, as
    they are in all files of other steps.
    """
    names = [f"eval_rewards/{name}/mean" for name in rewards]
    if not set(names) <= set(metrics.columns):
        return pl.repeat(False, frame.height, eager=True)
    logged = metrics.drop_nulls(names).select("step", *map(column, names)).iter_rows()
    means = {step: values for step, *values in logged}
    rows = frame.select("step", key(frame, "prompt").alias("prompt"), key(frame, "completion").alias("completion"),
                        *map(column, rewards))  # fmt: skip
    steps = {part["step"][0]: part.drop("step") for part in rows.partition_by("step", maintain_order=True)}
    sizes = _sizes({step: part for step, part in steps.items() if step in means}, means, rewards)
    own = _own(steps, metrics, rewards)
    others = [own[step] for step in own if step not in sizes]
    if others and all(others):
        sizes |= {step: steps[step].height for step in sizes if not sizes[step] and own.get(step) is False}
    return pl.concat(_marks(steps, sizes))


def _marks(steps: Mapping[int, pl.DataFrame], sizes: Mapping[int, int]) -> list[pl.Series]:
    """So many rows at the end of each step; a step that repeats the rows of the one before is marked as that is."""
    marks: list[pl.Series] = []
    before: pl.DataFrame | None = None
    for step, part in steps.items():
        texts = part.select("prompt", "completion")
        last = pl.int_range(part.height, eager=True) >= part.height - sizes.get(step, 0)
        marks.append(marks[-1] if before is not None and texts.equals(before) else last)
        before = texts
    return marks


def _sizes(
    steps: Mapping[int, pl.DataFrame], means: Mapping[int, Sequence[float]], rewards: Sequence[str]
) -> dict[int, int]:
    """How many rows at the end of each step have the mean rewards of its evaluation."""
    same = _alike([part["prompt"].to_list() for part in steps.values()])
    return {step: _size(part, rewards, means[step], same) for step, part in steps.items()}


def _alike(prompts: Sequence[list[Any]]) -> Sequence[int] | None:
    """How many rows at the end have the same prompts in all steps; None where there are not two."""
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
    """Whether the mean of the last 1, 2, ... rows is the given one, of each reward [N, K]."""
    values = rows.select(column(name).cast(pl.Float64) for name in rewards).to_numpy()[::-1]
    there = np.isfinite(values)
    values = np.where(there, values, 0)
    with np.errstate(all="ignore"):
        return _close(values.cumsum(0) / there.cumsum(0), np.asarray(means), values)


def _of_another_length(frame: pl.DataFrame, steps: pl.Series, known: Known) -> tuple[int, pl.Series]:
    """The size of a group, and the rows at the end of these steps whose prompts stand in runs of another length."""
    run = frame.select("step", pl.struct("step", key(frame, "prompt")).rle_id().alias("run")).with_columns(
        pl.len().over("run").alias("length"), pl.col("step").is_in(steps.implode()).alias("there")
    )
    lengths = run.filter(~pl.col("there")) if not run["there"].all() else run
    size = known.group_size or int(lengths.unique("run")["length"].mode().max())  # type: ignore[arg-type]
    odd = pl.col("there") & (pl.col("length") % size != 0)
    return size, run.select((odd.cast(pl.Int8).reverse().cum_min().reverse().over("step") == 1).alias("odd"))["odd"]


def _by_their_mean(
    steps: NDArray[Any], total: NDArray[Any], metrics: pl.DataFrame, size: int
) -> tuple[NDArray[np.bool_], list[int]]:
    """The last groups of a step whose mean is `eval_reward`, where that of the whole step is not `reward`.

    Only where the trainer logs every step: then `reward` is the mean of this step alone.

    Args:
        steps: Step of each row.
        total: Total reward of each row, and the size of its largest part [rows, 2].
        metrics: The trainer's metrics.
        size: Rows of a group.

    Returns:
        Whether each row is one of these; steps of which neither mean is that of any rows.
    """
    marked, unclear = np.zeros(len(steps), dtype=bool), []
    logged = metrics.drop_nulls("reward").select("step", "reward", "eval_reward", pl.col("step").diff().alias("since"))
    for step, reward, evaluated in (
        logged.filter(pl.col("since") == 1).drop_nulls().select("step", "reward", "eval_reward").rows()
    ):
        first, last = np.searchsorted(steps, [step, step + 1])
        values, sizes = np.nan_to_num(total[first:last]).T
        if not len(values) or _close(values.mean(), reward, sizes):
            continue
        means = np.cumsum(values[::-1])[size - 1 :: size] / np.arange(size, len(values) + 1, size)
        found = np.flatnonzero(_close(means, evaluated, sizes))
        if len(found):
            marked[last - size * (found[-1] + 1) : last] = True
        else:
            unclear.append(int(step))
    return marked, unclear


def _close(mean: Any, logged: Any, rewards: NDArray[Any]) -> Any:
    """Whether means of such rewards are the logged ones."""
    return np.abs(mean - logged) <= _SAME * np.maximum(1e-6, np.abs(rewards).max(0))
