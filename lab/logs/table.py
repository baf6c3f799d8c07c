"""What every imported log becomes: one tidy frame of real rollouts, with what was inferred said in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lab.errors import InputError
from lab.logs.columns import column, pieces
from lab.logs.texts import whole

__all__ = ["Batch", "RolloutTable"]

Array = NDArray[np.float64]

_BROKEN = {"step": pl.Int64, "group": pl.Int64, "rollout": pl.Int64, "column": pl.String, "value": pl.String}
_MOST_PADDING = 32  # places for each rollout, where groups of different sizes are laid out side by side
_ROOM = 10_000  # places that are always there, and rollouts that are laid out once


@dataclass(frozen=True)
class Batch:
    """Steps with the same number of prompts, as arrays.

    Attributes:
        steps: Step numbers [S].
        rewards: Reward components [S, P, G, K]; NaN where a reward is missing.
        advantages: Logged advantages [S, P, G]; NaN where none was logged.
        present: Whether there is such a rollout [S, P, G]; where groups are of different sizes, the shorter ones are
            padded, with NaN for rewards and advantages. Its true places in order are the rows of the table's frame.
    """

    steps: NDArray[np.int64]
    rewards: Array
    advantages: Array
    present: NDArray[np.bool_]


@dataclass(frozen=True)
class RolloutTable:
    """Rollouts of a training log, one row each, ordered by step, group and rollout.

    A log of metrics alone has a frame without rows. What the trainer evaluated stands apart from what it learnt from.

    Attributes:
        frame: Columns step, prompt, group (0, 1, ... within the step), rollout (0 ... G-1), completion, the reward
            columns, reward (their weighted sum; null where every component is missing), advantage (null where none was
            logged), then whatever else the log has. Of a long log (Parquet, more than 1,000,000 rollouts or 512 MiB of
            text) prompt and completion hold what tells the texts apart (`lab.logs.texts.SHORT`), and `_file` and `_row`
            say where they stand; `with_texts` reads them again.
        reward_columns: The K reward components.
        reward_weights: Weight of each component [K].
        group_size: Rollouts per prompt G; None where the groups are of different sizes, or there are none.
        notes: What was read, inferred, assumed and left out, one sentence each.
        source: The folder or file that was read.
        metrics: The trainer's own metrics, one row per step (step, metric columns); without rows where none were found.
        repeats: Steps that only repeat the rows of the step before and were left out.
        trainer: Whose log it is ("trl", say); presets of rules named `<rule>@<trainer>` are that trainer's.
        tokens: One row per token, where the log has them: step, group, rollout, token (0, 1, ...), and their columns.
        evaluation: Rollouts of evaluations, with the columns of `frame`; they stand in no statistic. Without rows where
            the log has none.
        broken: Rewards that are infinite, advantages that are NaN or infinite; they are null in `frame`. Columns step,
            group, rollout, column, value ("nan", "inf", "-inf").
        order: Place of each row of `frame` in the order of the log [rows]; None where that is the same order.
    """

    frame: pl.DataFrame
    reward_columns: tuple[str, ...]
    reward_weights: tuple[float, ...]
    group_size: int | None
    notes: tuple[str, ...] = ()
    source: Path | None = None
    metrics: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema={"step": pl.Int64}))
    repeats: tuple[int, ...] = ()
    trainer: str = ""
    tokens: pl.DataFrame | None = None
    evaluation: pl.DataFrame = field(default_factory=pl.DataFrame)
    broken: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_BROKEN))
    order: pl.Series | None = None

    @property
    def steps(self) -> NDArray[np.int64]:
        """Step numbers [S], ascending."""
        return self.frame["step"].unique(maintain_order=True).to_numpy()

    @property
    def prompts_per_step(self) -> dict[int, int]:
        """Step -> number of groups P."""
        counts = self.frame.group_by("step", maintain_order=True).agg(pl.col("group").n_unique())
        return dict(counts.iter_rows())

    @property
    def extra_columns(self) -> tuple[str, ...]:
        """Logged columns that are neither text of the rollout, nor reward, nor advantage."""
        last = self.frame.columns.index("advantage")
        return tuple(self.frame.columns[last + 1 :])

    @property
    def has_advantages(self) -> bool:
        """Whether the trainer's own advantages are in the log."""
        return self.frame["advantage"].null_count() < self.frame.height

    @property
    def rewards(self) -> Array:
        """Reward components of all steps [S, P, G, K].

        Raises:
            InputError: The steps have different numbers of prompts; `batches` or `at` give them.
        """
        return self._only_batch().rewards

    @property
    def advantages(self) -> Array:
        """Logged advantages of all steps [S, P, G]; errors as for `rewards`."""
        return self._only_batch().advantages

    def logged(self, name: str) -> pl.Series | None:
        """Numbers that the log has of its rollouts, such as `length` or `truncated` of `lab.logs.COLUMNS`.

        None where it has none, or where a reward goes by that name.
        """
        values = self.frame[name].alias("") if name in self.extra_columns else None
        return values if values is not None and (values.dtype.is_numeric() or values.dtype == pl.Boolean) else None

    def with_texts(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows of `frame` with their prompts and completions as text, which those of a long log are read again for.

        Raises:
            InputError: A file of the log has changed since, or is not there any more.
        """
        return whole(rows)

    def _only_batch(self) -> Batch:
        batches = list(self.batches())
        if len(batches) != 1:
            prompts, sizes = (", ".join(str(b.present.shape[i]) for b in batches) or "no" for i in (1, 2))
            raise InputError(
                f"the steps have {prompts} prompts and groups of {sizes} rollouts, which is no one array; take them "
                "from batches() or at(step)"
            )
        return batches[0]

    def at(self, step: int) -> Batch:
        """One step as a batch with S = 1.

        Raises:
            InputError: The log has no such step.
        """
        if step in self._by_step:
            return self._by_step[step]
        rows = self.frame.filter(pl.col("step") == step)
        if rows.is_empty():
            steps = self.steps
            known = f"{len(steps)} steps, {steps[0]} to {steps[-1]}" if len(steps) else "no rollouts of any step"
            raise InputError(f"step {step} is not in the log; it has {known}")
        found = self._batch(rows)
        return self._by_step.setdefault(step, found) if self._short else found

    def batches(self) -> Iterator[Batch]:
        """All steps, those with the same number of prompts and the same largest group together; mostly one batch.

        Raises:
            InputError: The groups of a step are of such different sizes that they cannot be laid out side by side.
        """
        yield from self._few if self._short else self._laid_out()

    def parts(self) -> Iterator[tuple[slice, RolloutTable]]:
        """Rows of consecutive whole steps, a million or so, and their table; of most logs all at once."""
        places = pieces(self.frame["step"])
        if len(places) == 1:
            yield slice(None), self
            return
        for start, rows in places:
            order = None if self.order is None else self.order.slice(start, rows)
            yield slice(start, start + rows), replace(self, frame=self.frame.slice(start, rows), order=order)

    def _laid_out(self) -> Iterator[Batch]:
        alike = [pl.col(c).max().over("step").alias(f"_{c}") for c in ("group", "rollout")]
        for _, rows in self.frame.group_by(alike, maintain_order=True):
            yield self._batch(rows)

    @property
    def _short(self) -> bool:
        """Whether rollouts are few enough to keep how they are laid out, for the next rule that is tried on them."""
        return self.frame.height <= _ROOM

    @cached_property
    def _few(self) -> tuple[Batch, ...]:
        return tuple(self._laid_out())

    @cached_property
    def _by_step(self) -> dict[int, Batch]:
        return {}

    def _batch(self, rows: pl.DataFrame) -> Batch:
        step = rows["step"].rle_id().to_numpy()
        place = (step, rows["group"].to_numpy(), rows["rollout"].to_numpy())
        shape = tuple(int(index.max()) + 1 for index in place)
        if np.prod(shape, dtype=float) > _MOST_PADDING * rows.height + _ROOM:
            raise InputError(
                f"step {rows['step'][0]}: {shape[1]} groups, the largest of {shape[2]} rollouts, are too uneven to be "
                "laid out side by side; incomplete='drop' leaves out those of another size"
            )
        parts = [column(c).cast(pl.Float64).fill_null(np.nan) for c in (*self.reward_columns, "advantage")]
        values = np.full((*shape, len(parts)), np.nan)
        values[place] = rows.select(part.alias(str(i)) for i, part in enumerate(parts)).to_numpy()
        present = np.zeros(shape, dtype=bool)
        present[place] = True
        return Batch(rows["step"].unique(maintain_order=True).to_numpy(), values[..., :-1], values[..., -1], present)
