"""Tidy frames of a diagnosed training log, as its pictures draw them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from lab.errors import InputError
from lab.logs.estimator import estimated
from lab.logs.facts import Facts, some_steps
from lab.logs.tallies import LOGGED, SIGN_ZERO

__all__ = ["group_map_frame", "group_rows", "nearest_group", "recomputed"]


_MOST = 1_000_000  # rollouts of a long log that are compared in a picture


def group_map_frame(found: Facts) -> pl.DataFrame:
    """One row per group: step, group, reward, kind: "signal", "no signal" or "phantom" (see `Facts.groups`)."""
    kind = (
        pl.when("phantom")
        .then(pl.lit("phantom"))
        .when("no_signal")
        .then(pl.lit("no signal"))
        .otherwise(pl.lit("signal"))
    )
    return found.groups.select("step", "group", "reward", kind.alias("kind"))


def recomputed(found: Facts) -> pl.DataFrame:
    """Logged advantages beside those of the estimator that comes closest to them, of about a million rollouts.

    Returns:
        Columns step, group, rollout, logged, recomputed, rule, precision; rollouts without a logged advantage are left
        out, and there are no rows where nothing was logged or no rule applies.
    """
    by, some = found.estimator, some_steps(found, _MOST)
    rows = some.by_rollout
    if by is None or not by.rule:
        return rows.clear().with_columns(recomputed=0.0, rule=pl.lit(""), precision=pl.lit(""))
    given = estimated(some.table, by, some.lengths)
    said = {"rule": pl.lit("-" * (by.sign < 0) + by.rule), "precision": pl.lit(by.precision)}
    return rows.with_columns(recomputed=pl.Series(given), **said).drop_nulls("logged")


def nearest_group(found: Facts, step: int, group: int) -> tuple[int, int]:
    """The step of the log nearest to `step`, and the group of it nearest to `group`."""
    steps = found.groups["step"].unique().to_numpy()
    chosen = int(steps[np.abs(steps - step).argmin()])
    last = found.groups.filter(pl.col("step") == chosen)["group"].max()
    return chosen, min(max(group, 0), int(last))  # type: ignore[arg-type]


def group_rows(found: Facts, step: int, group: int, variants: Sequence[str]) -> pl.DataFrame:
    """One group, row by row: its rewards, the logged advantages, and those of other rules.

    Args:
        found: The facts of a log (`lab.diagnose`).
        step: Step of the log.
        group: Group within the step, from 0.
        variants: Rules to show, in this order; those that the diagnosis lacks are left out.

    Returns:
        Columns row (label), kind ("reward" or "advantage"), rollout, value (null where there is none) and
        wrong (the advantage has the opposite sign of the logged one; false without a logged one).

    Raises:
        InputError: The log has no such group.
    """
    here = (pl.col("step") == step) & (pl.col("group") == group)
    table, advantage = found.table.frame.filter(here), found.by_variant.filter(here)
    if table.is_empty():
        raise InputError(f"the log has no group {group} in step {step}")
    parts = list(found.table.reward_columns) if len(found.table.reward_columns) > 1 else []
    labels = [*(LOGGED for _ in range(found.table.has_advantages)), *(v for v in variants if v in found.variants)]
    logged = advantage[LOGGED]
    frames = [_row(name, "reward", table[name], table["rollout"], None) for name in [*parts, "reward"]]
    frames += [_row(name, "advantage", advantage[name], table["rollout"], logged) for name in labels]
    return pl.concat(frames)


def _row(name: str, kind: str, values: pl.Series, rollout: pl.Series, logged: pl.Series | None) -> pl.DataFrame:
    value = values.cast(pl.Float64)
    wrong = pl.Series([False] * len(value))
    if logged is not None:
        both = (value.abs() > SIGN_ZERO) & (logged.abs() > SIGN_ZERO)
        wrong = (both & ((value > 0) != (logged > 0))).fill_null(False)
    return pl.DataFrame(
        {
            "row": [name] * len(value),
            "kind": [kind] * len(value),
            "rollout": rollout,
            "value": value,
            "wrong": wrong,
        }
    )
