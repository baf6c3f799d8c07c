"""From the steps of a log to its groups and their rollouts: what is most telling first, and nothing that is not asked.

>>> import lab
>>> found = lab.diagnose(lab.logs.bundled()["two_rewards"])
>>> groups_of(found, step=3, order="silent").columns[:4]
['step', 'group', 'advantage', 'learnt']
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import polars as pl

from lab.errors import UnknownNameError
from lab.logs.columns import column
from lab.logs.facts import Facts
from lab.logs.tallies import CAUSES, LOGGED, SIGN_ZERO
from lab.logs.texts import holding, is_short, place, whole

__all__ = ["ORDERS", "at_step", "groups_of", "rollouts_of", "why"]

#: What may come first among the groups, in words.
ORDERS: Mapping[str, str] = {
    "advantage": "largest advantage",
    "flipped": "most signs that the rule turns",
    "silent": "nothing to learn",
    "spread": "largest spread of rewards",
    "log": "as in the log",
}
_SHOWN = 160  # letters of a text in a table
_READ = 1000  # groups of a long log whose prompts are read again for a table


def at_step(found: Facts, step: int, rules: Sequence[str]) -> Facts:
    """The facts of one step, with the advantages of other rules; these look at no other step."""
    rows = found.table.frame["step"] == step
    lengths = None if found.lengths is None else found.lengths[rows.to_numpy()]
    return Facts(replace(found.table, frame=whole(found.table.frame.filter(rows))), tuple(rules), lengths)


def groups_of(
    found: Facts, *, step: int | None = None, find: str = "", order: str = "advantage", rule: str = ""
) -> pl.DataFrame:
    """Groups of a step or of the whole log, the most telling first.

    Args:
        found: The facts of a log (`lab.diagnose`).
        step: Step of the log; None: all of them.
        find: Only groups whose prompt, or one of whose completions, holds this text; case does not matter.
        order: One of `ORDERS`; equals stay in the order of the log.
        rule: Rule whose signs are compared with the logged ones, or that stands in where the log has no advantages.

    Returns:
        Columns step, group, advantage (largest magnitude), learnt ("yes", or why nothing), reward (mean), spread
        (deviation, ddof 0), turned (rollouts to which the rule gives the opposite sign), prompt (its beginning),
        rollouts. Of a long log the prompts of the first 1,000 groups are read, "…" stands for the others.

    Raises:
        UnknownNameError: No such order. InputError: The files of a long log are not there any more.
    """
    if order not in ORDERS:
        raise UnknownNameError("order of groups", order, ORDERS)
    here = found if step is None else at_step(found, step, ())
    groups = found.groups if step is None else found.groups.filter(pl.col("step") == step)
    if find:
        groups = groups.join(_holding(here, find), on=["step", "group"], how="semi", maintain_order="left")
    pushed = _pushed(here, rule) if step is not None else _pushed_anywhere(found, rule)
    told = groups.join(pushed, on=["step", "group"], how="left", maintain_order="left")
    learnt = pl.when("no_signal").then(pl.concat_str(pl.lit("no: "), _cause())).otherwise(pl.lit("yes"))
    keys = {"advantage": pl.col("advantage"), "flipped": pl.col("turned"), "silent": pl.col("no_signal"),
            "spread": pl.col("reward_std")}  # fmt: skip
    if order in keys:
        told = told.sort(keys[order], descending=True, nulls_last=True, maintain_order=True)
    told = _with_prompts(told)
    prompt = pl.col("prompt").cast(pl.String).str.slice(0, _SHOWN)
    return told.select("step", "group", "advantage", learnt.alias("learnt"), "reward",
                       pl.col("reward_std").alias("spread"), "turned", prompt, "rollouts")  # fmt: skip


def _with_prompts(groups: pl.DataFrame) -> pl.DataFrame:
    """The groups with the text of their prompts, those of a long log as far as anybody looks."""
    if not is_short(groups, "prompt"):
        return groups
    first, rest = whole(groups.head(_READ)), groups.slice(_READ).drop(place(groups))
    return pl.concat([first, rest.with_columns(pl.lit("…").alias("prompt"))])


def _cause() -> pl.Expr:
    return pl.col("cause").replace(dict(CAUSES)).fill_null("")


def _holding(found: Facts, find: str) -> pl.DataFrame:
    """The groups in which a text stands."""
    pattern = f"(?i){pl.select(pl.lit(find).str.escape_regex()).item()}"
    return holding(found.table.frame, pattern).select("step", "group").unique()


def _pushed(found: Facts, rule: str) -> pl.DataFrame:
    """Of each group the largest advantage, and how many signs a rule turns."""
    ruled = Facts(found.table, (rule,) if rule else (), found.lengths)
    frame = ruled.by_variant
    other = pl.col(rule) if rule in frame.columns else pl.lit(None, pl.Float64)
    logged = pl.col(LOGGED)
    both = (logged.abs() > SIGN_ZERO) & (other.abs() > SIGN_ZERO)
    turned = (both & ((logged > 0) != (other > 0))).sum() if rule in frame.columns else pl.lit(None, pl.Int64)
    told = logged if found.table.has_advantages else other
    largest = told.abs().max().alias("advantage")
    return frame.group_by("step", "group", maintain_order=True).agg(largest, turned.cast(pl.Int64).alias("turned"))


_pushed_anywhere = lru_cache(2)(_pushed)  # so that another search or order of a whole log need not wait for it


def rollouts_of(found: Facts, step: int, group: int, rules: Sequence[str] = ()) -> pl.DataFrame:
    """The rollouts of a group: rewards by part, the advantage as logged and under other rules, then all that is logged.

    Texts are cut to their beginning. Rules that cannot be computed are left out.
    """
    here = at_step(found, step, rules)
    place = pl.col("group") == group
    rows, given = here.table.frame.filter(place), here.by_variant.filter(place)
    under = [given[name].alias(f"under {name}") for name in here.variants]
    parts = [name for name in here.table.reward_columns if name != "reward"]
    lead = ["rollout", *dict.fromkeys([*parts, "reward"]), "advantage"]
    rest = ["completion", *here.table.extra_columns]
    return rows.select([*map(column, lead), *under, *(_short(rows.schema[name], name) for name in rest)])


def _short(kind: pl.DataType, name: str) -> pl.Expr:
    return column(name).str.slice(0, _SHOWN) if kind == pl.String else column(name)


def why(found: Facts, step: int, group: int) -> str:
    """What a group teaches, or why it teaches nothing, as a sentence."""
    row = found.groups.filter((pl.col("step") == step) & (pl.col("group") == group)).row(0, named=True)
    large = max(abs(row["advantage_low"] or 0.0), abs(row["advantage_high"] or 0.0))
    if row["phantom"]:
        return f"All rewards are equal, so there is nothing to learn; advantages of up to {large:.1e} are rounding."
    if row["no_signal"]:
        return f"This group teaches nothing: {CAUSES.get(row['cause'], row['cause'])}."
    said = f"Its rewards run from {row['reward_low']:.4g} to {row['reward_high']:.4g}"
    if not np.isfinite(large) or row["advantage_low"] is None:
        return f"{said}."
    return f"{said}, its advantages from {row['advantage_low']:.3g} to {row['advantage_high']:.3g}."
