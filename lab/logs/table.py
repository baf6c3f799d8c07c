"""What every imported log becomes: one tidy frame of real rollouts, with what was inferred said in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lab.errors import InputError
from lab.logs.columns import column

__all__ = ["Batch", "RolloutTable"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Batch:
    """Steps with the same number of prompts, as arrays.

    Attributes:
        steps: Step numbers [S].
        rewards: Reward components [S, P, G, K]; NaN where a reward is missing.
        advantages: Logged advantages [S, P, G]; NaN where none was logged.
    """

    steps: NDArray[np.int64]
    rewards: Array
    advantages: Array


@dataclass(frozen=True)
class RolloutTable:
    """Rollouts of a training log, one row each, ordered by step, group and rollout.

    Attributes:
        frame: Columns step, prompt, group (0, 1, ... within the step), rollout (0 ... G-1), completion, the reward
            columns, reward (their weighted sum; null where every component is missing), advantage (null where none was
            logged), then whatever else the log has.
        reward_columns: The K reward components.
        reward_weights: Weight of each component [K].
        group_size: Rollouts per prompt G.
        notes: What was read, inferred, assumed and left out, one sentence each.
        source: The folder or file that was read.
        metrics: The trainer's own metrics, one row per step (step, metric columns); without rows where none were found.
        repeats: Steps that only repeat the rows of the step before and were left out.
        trainer: Whose log it is ("trl", say); presets of rules named `<rule>@<trainer>` are that trainer's.
        tokens: One row per token, where the log has them: step, group, rollout, token (0, 1, ...), and their columns.
    """

    frame: pl.DataFrame
    reward_columns: tuple[str, ...]
    reward_weights: tuple[float, ...]
    group_size: int
    notes: tuple[str, ...] = ()
    source: Path | None = None
    metrics: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema={"step": pl.Int64}))
    repeats: tuple[int, ...] = ()
    trainer: str = ""
    tokens: pl.DataFrame | None = None

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

    def _only_batch(self) -> Batch:
        batches = list(self.batches())
        if len(batches) != 1:
            sizes = ", ".join(str(b.rewards.shape[1]) for b in batches)
            raise InputError(
                f"the steps have {sizes} prompts, which is no one array; take them from batches() or at(step)"
            )
        return batches[0]

    def at(self, step: int) -> Batch:
        """One step as a batch with S = 1.

        Raises:
            InputError: The log has no such step.
        """
        rows = self.frame.filter(pl.col("step") == step)
        if rows.is_empty():
            steps = self.steps
            raise InputError(f"step {step} is not in the log; it has {len(steps)} steps, {steps[0]} to {steps[-1]}")
        return self._batch(rows, 1)

    def batches(self) -> Iterator[Batch]:
        """All steps, those with the same number of prompts together; mostly one batch."""
        prompts = pl.len().over("step") // self.group_size
        for _, rows in self.frame.with_columns(prompts.alias("_prompts")).group_by("_prompts", maintain_order=True):
            yield self._batch(rows, rows["step"].n_unique())

    def _batch(self, rows: pl.DataFrame, steps: int) -> Batch:
        shape = (steps, -1, self.group_size)
        parts = [column(c).cast(pl.Float64).fill_null(np.nan) for c in self.reward_columns]
        rewards = rows.select(parts).to_numpy()
        advantages = rows["advantage"].cast(pl.Float64).fill_null(np.nan).to_numpy()
        return Batch(
            rows["step"].unique(maintain_order=True).to_numpy(),
            rewards.reshape(*shape, len(self.reward_columns)),
            advantages.reshape(shape),
        )
