"""Which rows of a log were evaluated and not trained on: marked by the reader, or told by the trainer's metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lab.logs.columns import column
from lab.logs.contract import Known
from lab.logs.texts import key
from lab.text import listed

__all__ = ["evaluation_rows"]

_SAME = 1e-5  # two means are of the same rows if they differ by less, relative to the larger of 1 and the logged one


def evaluation_rows(
    frame: pl.DataFrame, rewards: Sequence[str], weights: Sequence[float], metrics: pl.DataFrame, known: Known
) -> tuple[pl.DataFrame, pl.DataFrame, list[str]]:
    """The rows that were trained on, those of evaluations, and what was done.

    A reader marks them by a Boolean column `evaluation`. Without it they are the last rows of a step for which the
    trainer logged metrics `eval_...`, if their prompts stand in runs of another length, or if their mean reward is
    `eval_reward` and that of the whole step is not `reward`.
    """
    if "evaluation" in frame.columns and "evaluation" not in rewards and frame["evaluation"].dtype == pl.Boolean:
        marked = frame["evaluation"].fill_null(False)
        return _apart(frame.drop("evaluation"), marked, "")
    names = [c for c in metrics.columns if c.startswith("eval_")]
    steps = metrics.filter(pl.any_horizontal(pl.lit(False), *(column(c).is_not_null() for c in names)))["step"]
    if not len(steps) or known.groups or "prompt" not in frame.columns:
        return frame, frame.clear(), []
    size, odd = _of_another_length(frame, steps, known)
    what = "eval_reward" if "eval_reward" in names else names[0]
    if odd.any() or what != "eval_reward" or "reward" not in metrics.columns:
        return _apart(frame, odd, f" ({what} is logged there)")
    total = frame.select(pl.sum_horizontal(column(c) * w for c, w in zip(rewards, weights, strict=True)).alias("total"))
    there, unclear = _by_their_mean(frame["step"].to_numpy(), total.to_series().to_numpy(), metrics, size)
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

    Returns:
        Whether each row is one of these; steps of which neither mean is that of any rows.
    """
    marked, unclear = np.zeros(len(steps), dtype=bool), []
    logged = metrics.drop_nulls("reward").select("step", "reward", "eval_reward", pl.col("step").diff().alias("since"))
    for step, reward, evaluated in (
        logged.filter(pl.col("since") == 1).drop_nulls().select("step", "reward", "eval_reward").rows()
    ):
        first, last = np.searchsorted(steps, [step, step + 1])
        values = np.nan_to_num(total[first:last])
        if not len(values) or _close(values.mean(), reward):
            continue
        means = np.cumsum(values[::-1])[size - 1 :: size] / np.arange(size, len(values) + 1, size)
        found = np.flatnonzero(_close(means, evaluated))
        if len(found):
            marked[last - size * (found[-1] + 1) : last] = True
        else:
            unclear.append(int(step))
    return marked, unclear


def _close(mean: Any, logged: float) -> Any:
    return np.abs(mean - logged) <= _SAME * max(1.0, abs(logged))
