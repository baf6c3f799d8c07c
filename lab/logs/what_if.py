"""What other rules would have made of the same rewards: signs, groups that wake up, the reward that is climbed.

>>> import lab
>>> what_if(lab.diagnose(lab.logs.bundled()["two_rewards"]), ["dr_grpo", "gdpo"])["flipped"].to_list()
[0, 0, 97]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lab import rewards
from lab.errors import InputError, MissingFieldError
from lab.logs.columns import column
from lab.logs.facts import Facts, some_steps
from lab.logs.rules import MAX_TOKENS
from lab.logs.table import RolloutTable
from lab.logs.tallies import LOGGED, SIGN_ZERO, changes
from lab.logs.texts import place, whole
from lab.registry import find
from lab.registry import rules as registered

__all__ = ["Beside", "some_steps", "transformed", "transforms", "what_if", "woken"]

Array = NDArray[np.float64]

#: What stands in for the logged advantages where there are none, and its name among the variants.
BASE, STAND_IN = "grpo", "grpo on the logged rewards"


def what_if(found: Facts, rules: Sequence[str], *, transform: str = "") -> pl.DataFrame:
    """Rules beside the log, on its own rewards or on what a reward rule makes of them.

    Args:
        found: The facts of a log (`lab.diagnose`).
        rules: Advantage rules; those that cannot be computed have no row.
        transform: A reward rule through which the rewards pass first; "": none.

    Returns:
        The log (`logged`; GRPO on the rewards as they are, where it has no advantages), then the rules. Columns
        variant; changed, flipped, silenced, woken, compared and share (rollouts, as in `Facts.changes`); groups,
        groups_woken and groups_silenced (they get an advantage where the log gives none, and the other way round);
        distance: how far the reward that is climbed lies from the logged one, 0 (the same) over 1.41 (no relation) to 2
        (the opposite), 1 where it is 0 everywhere, null where no group has different rewards. It is the STARC distance
        over the log's own rollouts: an offset of each group and a positive factor do not count.

    Raises:
        UnknownNameError: No such rule. InputError, MissingFieldError: The reward rule cannot use these rewards.
    """
    return Beside(found, tuple(rules), transform).frame


def woken(found: Facts, rules: Sequence[str], *, transform: str = "") -> pl.DataFrame:
    """The groups that get an advantage under a rule where the log gives none, and the other way round.

    Args:
        found: The facts of a log (`lab.diagnose`).
        rules: Advantage rules.
        transform: As in `what_if`.

    Returns:
        Columns variant, step, group, now ("woken" or "silenced"), cause (why its rewards are equal; null where they are
        not), prompt (its beginning).
    """
    return Beside(found, tuple(rules), transform).woken


@dataclass(frozen=True)
class Beside:
    """The log and other rules beside it, computed once for both frames; see `what_if` and `woken`."""

    found: Facts
    rules: tuple[str, ...]
    transform: str = ""

    @cached_property
    def given(self) -> dict[str, Array]:
        """Advantages [rows], the log's own first."""
        passed = transformed(self.found, self.transform) if self.transform else self.found.table
        other = Facts(passed, self.rules, self.found.lengths)
        base, logged = _logged(self.found)
        return {base: logged} | {name: other.by_variant[name].to_numpy() for name in other.variants}

    @cached_property
    def awake(self) -> dict[str, NDArray[np.bool_]]:
        """Whether each group has an advantage that is not zero."""
        group = _numbers(self.found.table)
        return {name: _awake(values, group) for name, values in self.given.items()}

    @property
    def frame(self) -> pl.DataFrame:
        """What `what_if` says."""
        totals, group = self.found.table.frame["reward"].to_numpy(), _numbers(self.found.table)
        base, logged = next(iter(self.given.items()))
        before, rows = self.awake[base], []
        for name, now in self.awake.items():
            woken, silenced = int((now & ~before).sum()), int((before & ~now).sum())
            rows.append((name, len(now), woken, silenced, _distance(totals, self.given[name], group)))
        schema = {"variant": pl.String, "groups": pl.Int64, "groups_woken": pl.Int64, "groups_silenced": pl.Int64,
                  "distance": pl.Float64}  # fmt: skip
        signs = changes(self.given, logged)
        return pl.DataFrame(rows, schema=schema, orient="row").join(signs, on="variant", how="left",
                                                                    maintain_order="left")  # fmt: skip

    @property
    def woken(self) -> pl.DataFrame:
        """What `woken` says."""
        groups = self.found.groups
        groups = groups.select("step", "group", "cause", "prompt", *place(groups))
        (base, before), *others = self.awake.items()
        parts = [groups.head(0).select(pl.lit(base).alias("variant"), "step", "group", pl.lit("").alias("now"), "cause",
                                       "prompt", *place(groups))]  # fmt: skip
        for name, now in others:
            kind = pl.Series("now", np.where(now, "woken", "silenced"))
            told = groups.with_columns(kind, pl.lit(name).alias("variant")).filter(pl.Series(now != before))
            parts.append(told.select(parts[0].columns))
        return whole(pl.concat(parts)).with_columns(pl.col("prompt").str.head(160))


def _logged(found: Facts) -> tuple[str, Array]:
    """The advantages that the others are compared with, and their name."""
    if found.table.has_advantages:
        return LOGGED, found.table.frame["advantage"].to_numpy()
    return STAND_IN, Facts(found.table, (BASE,), found.lengths).by_variant[BASE].to_numpy()


def _numbers(table: RolloutTable) -> NDArray[np.integer]:
    """The number of each rollout's group within the log."""
    return table.frame.select(pl.struct("step", "group").rle_id()).to_series().to_numpy()


def _awake(values: Array, group: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Whether each group has an advantage that is not zero."""
    loud = np.abs(np.nan_to_num(values)) > SIGN_ZERO
    return np.bincount(group, weights=loud) > 0


def _distance(true: Array, climbed: Array, group: NDArray[np.integer]) -> float | None:
    """STARC distance of two rewards of the same rollouts."""
    x, y = (_centred(np.nan_to_num(values, posinf=0.0, neginf=0.0), group) for values in (true, climbed))
    sizes = np.linalg.norm(x), np.linalg.norm(y)
    if not sizes[0] > SIGN_ZERO:
        return None
    if not sizes[1] > SIGN_ZERO:
        return 1.0  # a reward of zero
    return float(np.linalg.norm(x / sizes[0] - y / sizes[1]))


def _centred(values: Array, group: NDArray[np.integer]) -> Array:
    counts = np.bincount(group)
    return values - (np.bincount(group, weights=values) / counts)[group]


def transforms() -> list[str]:
    """Reward rules that read nothing but rewards and, some of them, lengths: a log can pass through them."""
    return [name for name, rule in registered("reward").items() if set(rule.required) <= {"mask"}]


def transformed(found: Facts, name: str) -> RolloutTable:
    """The log with its rewards passed through a reward rule, groups of the same size together.

    Raises:
        UnknownNameError: No such reward rule. MissingFieldError: It reads what the log does not have. InputError: It
            cannot use these rewards, or some are missing.
    """
    lacking = [field for field in find("reward", name).required if field != "mask" or found.lengths is None]
    if lacking:
        told = "the lengths of the responses" if "mask" in lacking else ", ".join(lacking)
        raise MissingFieldError(f"reward rule {name!r} reads {told}, which the log does not have")
    table = found.table
    given = table.frame.select(column(p).cast(pl.Float64).alias(str(i)) for i, p in enumerate(table.reward_columns))
    if given.null_count().sum_horizontal().item() or not np.isfinite(given.to_numpy()).all():
        raise InputError(f"{name} needs a number for each part of each reward; some are missing or not finite here")
    made = _passed(found, name, given.to_numpy())
    whole = made.shape[1] == given.width
    columns = table.reward_columns if whole else tuple(f"{name} {i + 1}" for i in range(made.shape[1]))
    weights = table.reward_weights if whole else (1.0,) * made.shape[1]
    frame = table.frame.drop(table.reward_columns).with_columns(
        *(pl.Series(part, made[:, i]) for i, part in enumerate(columns)),
        pl.Series("reward", made @ np.asarray(weights)),
    )
    lead = ["step", "prompt", "group", "rollout", "completion", *place(table.frame)]
    order = [*lead, *columns, "reward", "advantage", *table.extra_columns]
    note = f"The rewards passed through the reward rule {name}."
    return replace(table, frame=frame.select(map(column, dict.fromkeys(order))), reward_columns=columns,
                   reward_weights=weights, notes=(*table.notes, note))  # fmt: skip


def _passed(found: Facts, name: str, given: Array) -> Array:
    """The rewards [rows, K] after the rule."""
    group = _numbers(found.table)
    sizes = np.bincount(group)[group]
    blocks = {int(size): sizes == size for size in np.unique(sizes)}
    made = {size: _block(found, name, given[rows].reshape(-1, size, given.shape[1]), rows)
            for size, rows in blocks.items()}  # fmt: skip
    out = np.empty((len(given), next(iter(made.values())).shape[-1]))
    for size, rows in blocks.items():
        out[rows] = made[size].reshape(-1, out.shape[1])
    return out


def _block(found: Facts, name: str, given: Array, rows: NDArray[np.bool_]) -> Array:
    """The rewards of groups of one size after the rule, with the lengths that it reads."""
    fields, reads = {}, find("reward", name).fields
    if found.lengths is not None and "lengths" in reads:
        fields["lengths"] = found.lengths[rows].reshape(given.shape[:2])
    elif found.lengths is not None and "mask" in reads:
        longest = max(int(found.lengths.max()), 1)
        if longest * len(given) * given.shape[1] > MAX_TOKENS:
            raise InputError(f"{name} lays out every token, and this log has room for more than {MAX_TOKENS:,} of them")
        fields["mask"] = np.arange(longest) < found.lengths[rows].reshape(given.shape[:2])[..., None]
    return rewards.apply(name, given, **fields)
