"""The facts of a training log that findings and pictures are made of, computed once and when they are needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lab.advantages.statistics import NO_SIGNAL
from lab.logs import tallies
from lab.logs.estimator import Estimator, estimate, sample
from lab.logs.rules import all_advantages, reproduction
from lab.logs.table import RolloutTable
from lab.logs.tallies import LOGGED

__all__ = ["Facts", "some_steps"]


@dataclass(frozen=True, eq=False)
class Facts:
    """What is counted and computed of a log; each part when it is first asked for.

    Attributes:
        table: The rollouts.
        compared: The variants that the log is compared with.
        lengths: Response lengths [rows], where they are known.
    """

    table: RolloutTable
    compared: tuple[str, ...]
    lengths: NDArray[Any] | None = None

    @cached_property
    def groups(self) -> pl.DataFrame:
        """One row per group.

        Columns step, group, prompt, reward (mean total), reward_low, reward_high, no_signal (the totals are all equal),
        equal_parts (each reward component is), phantom (equal_parts, yet an advantage), advantage_low and
        advantage_high as logged, rollouts (their number), reward_std (with ddof 0), cause (of no signal: one of
        `lab.logs.tallies.CAUSES`).
        """
        return tallies.groups(self.table)

    @cached_property
    def steps(self) -> pl.DataFrame:
        """One row per step that has rollouts.

        Columns step, prompts, reward, reward_std, missing (rollouts without any reward), no_signal and phantom (shares
        of groups), advantage_std and advantage_max (largest magnitude) as logged, and those of
        `lab.logs.tallies.BESIDE` that the trainer logged.
        """
        return tallies.steps(self.table, self.groups)

    @cached_property
    def rules(self) -> pl.DataFrame:
        """How well each rule reproduces the logged advantages, the closest first (`lab.logs.rules.reproduction`).

        Measured on a few hundred groups.
        """
        tried, rows = sample(self.table)
        return reproduction(tried, None if self.lengths is None else self.lengths[rows])

    @cached_property
    def estimator(self) -> Estimator | None:
        """Which estimator wrote the log; None without logged advantages."""
        return estimate(self.table, self.rules, self.lengths)

    @cached_property
    def _advantages(self) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
        return all_advantages(self.table, self.compared, self.lengths)

    @property
    def skipped(self) -> Mapping[str, str]:
        """Variant -> why it could not be computed."""
        return self._advantages[1]

    @property
    def by_rollout(self) -> pl.DataFrame:
        """One row per rollout: step, group, rollout, and its advantage as `LOGGED`."""
        return self.table.frame.select("step", "group", "rollout", pl.col("advantage").alias(LOGGED))

    @cached_property
    def by_variant(self) -> pl.DataFrame:
        """One row per rollout: step, group, rollout, then a column of advantages for `LOGGED` and for each variant.

        Null where there is none, or where the variant leaves the rollout out of the update.
        """
        return self.by_rollout.with_columns(
            pl.Series(name, values, pl.Float64, nan_to_null=True) for name, values in self._advantages[0].items()
        )

    @cached_property
    def changes(self) -> pl.DataFrame:
        """How many signs each variant would change.

        Columns variant, compared (rollouts), changed (other sign than logged), flipped (opposite sign), silenced
        (logged one, now zero or left out), woken (logged zero), share (changed of compared).
        """
        return tallies.changes(self._advantages[0], self.table.frame["advantage"].to_numpy())

    @cached_property
    def evaluated(self) -> Facts:
        """The same of the rollouts that were evaluated and not trained on; without rows where the log has none."""
        rows = self.table.evaluation
        return Facts(replace(self.table, frame=rows, evaluation=rows.clear(), tokens=None, order=None), self.compared)

    @property
    def no_signal(self) -> float:
        """Share of groups whose total rewards are all equal."""
        return float(self.groups["no_signal"].mean() or 0.0)  # type: ignore[arg-type]

    @property
    def phantoms(self) -> int:
        """Groups with equal rewards and an advantage all the same."""
        return int(self.groups["phantom"].sum())

    @property
    def phantom_size(self) -> float:
        """Largest magnitude among the advantages of these groups; 0 where there are none."""
        found = self.groups.filter("phantom").select("advantage_low", "advantage_high").to_numpy()
        return float(np.abs(found).max()) if found.size else 0.0

    @property
    def phantom_sign(self) -> str:
        """Sign of these advantages: "positive", "negative" or "mixed"; "" where there are none."""
        found = self.groups.filter("phantom")
        low, high = (found["advantage_low"] < -NO_SIGNAL).any(), (found["advantage_high"] > NO_SIGNAL).any()
        return "mixed" if low and high else "negative" if low else "positive" if high else ""

    @property
    def best(self) -> dict[str, Any] | None:
        """The row of `rules` that reproduces the logged advantages most closely; None without logged advantages."""
        return self.rules.row(0, named=True) if self.rules.height else None

    @property
    def variants(self) -> list[str]:
        """Names of the variants in `by_variant`, without the log's own."""
        return list(self._advantages[0])

    @property
    def what_if(self) -> str:
        """What other rules would have changed, as a sentence; empty where no group has anything to learn."""
        if self.groups["no_signal"].all() or self.changes.is_empty():
            return ""
        most, least = self.changes.row(0, named=True), self.changes.row(-1, named=True)
        if not most["changed"]:
            return "None of the variants would have changed the sign of a rollout."
        fewest: list[str] = self.changes.filter(pl.col("changed") == least["changed"])["variant"].to_list()
        return (
            f"Of the variants {most['variant']} changes the most signs: {most['changed']} of {most['compared']} "
            f"rollouts ({most['share']:.1%}); the fewest: {least['changed']} ({', '.join(fewest[:4])})."
        )

    def advantages(self, *variants: str) -> pl.DataFrame:
        """Tidy frame step, group, rollout, variant, advantage; all variants and `LOGGED` unless some are named."""
        chosen = list(variants) or [c for c in self.by_variant.columns if c not in ("step", "group", "rollout")]
        return self.by_variant.unpivot(
            chosen, index=["step", "group", "rollout"], variable_name="variant", value_name="advantage"
        )


def some_steps(found: Facts, most: int) -> Facts:
    """The facts of steps evenly spaced, as many as have about so many rollouts; of all where the log has no more."""
    steps, table = found.table.steps, found.table
    every = -(-table.frame.height // most)
    if every <= 1:
        return found
    rows = table.frame["step"].is_in(steps[::every].tolist())
    lengths = None if found.lengths is None else found.lengths[rows.to_numpy()]
    order = None if table.order is None else table.order.filter(rows)
    return Facts(replace(table, frame=table.frame.filter(rows), order=order), (), lengths)
