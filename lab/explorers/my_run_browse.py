"""My run, browse: from a step to its groups, most telling first, and to the rollouts of one of them."""

from __future__ import annotations

from typing import Any

import polars as pl

from lab.explorers.contract import Picture
from lab.explorers.kept import kept
from lab.explorers.my_run_findings import curves, how_read
from lab.explorers.my_run_log import edition, lines, log_state, opened
from lab.explorers.panels import AnyPanel, Panel, State, Table, Texts
from lab.figures.group_matrix import group_matrix
from lab.logs.browsing import ORDERS, at_step, groups_of, rollouts_of, why
from lab.logs.diagnosis import Diagnosis
from lab.logs.facts import Facts
from lab.logs.frames import group_rows
from lab.logs.texts import whole
from lab.text import plain

__all__ = ["EVALUATED", "SCOPES", "looked_at", "picture"]

EVALUATED = "evaluation"
SCOPES = {"step": "this step", "log": "the whole log", EVALUATED: "what was evaluated"}


def looked_at(state: State, found: Facts) -> Facts:
    """The rollouts that were trained on, or those that were evaluated."""
    return found.evaluated if state["scope"] == EVALUATED else found


def picture(state: State, found: Diagnosis) -> Picture:
    """The curves with the groups beside them; below, one group."""
    here = looked_at(state, found)
    panels, code = curves(found, None if here.groups.is_empty() else state["step"])
    if here.groups.is_empty():
        return Picture(
            sentence="This log has the trainer's metrics alone; without rollouts there are no groups to look into.",
            panels=[*panels, how_read(found)], code="\n".join([*lines(state), "", *code]),
            frame=found.table.metrics, of="these curves",
        )  # fmt: skip
    whole = state["scope"] != "step"
    asked = {"step": None if whole else state["step"], "find": state["find"], "order": state["order"],
             "rule": state["rules"][0]}  # fmt: skip
    groups = _groups(log_state(state), repr(edition(state)), asked, here is not found)
    step, group = _chosen(state, groups)
    below, more = _one(state, here, step, group) if groups.height else ([], [])
    told = ", ".join(f"{name}={value!r}" for name, value in asked.items())
    return Picture(
        sentence=_sentence(state, here, groups, step, group),
        panels=[*panels[:1], *below, how_read(found)],
        beside=_table(state, groups, step, group),
        code="\n".join([*lines(state), *(["found = found.evaluated"] if here is not found else []), "",
                        "from lab.logs.browsing import at_step, groups_of, rollouts_of",
                        "from lab.logs.frames import group_rows", "", f"groups = groups_of(found, {told})",
                        *(code[:1] if here is found else []), *more]),
        frame=groups, of="the groups",
    )  # fmt: skip


@kept(16)
def _groups(log: dict[str, Any], written: str, asked: dict[str, Any], evaluated: bool) -> pl.DataFrame:
    return groups_of(opened(log).evaluated if evaluated else opened(log), **asked)


def _chosen(state: State, groups: pl.DataFrame) -> tuple[int, int]:
    """The group that is looked at: the one of the state where it is in the log, the first otherwise."""
    here = groups.filter((pl.col("step") == state["step"]) & (pl.col("group") == state["group"]))
    rows = here if here.height else groups
    return (rows["step"][0], rows["group"][0]) if rows.height else (state["step"], -1)


def _table(state: State, groups: pl.DataFrame, step: int, group: int) -> Table:
    """The groups, the one that is looked at marked."""
    mark = pl.when((pl.col("step") == step) & (pl.col("group") == group)).then(pl.lit("▶")).otherwise(pl.lit(""))
    whole, evaluated = state["scope"] != "step", state["scope"] == EVALUATED
    rule = state["rules"][0]
    left_out = ("rollouts", "advantage", "learnt", "turned") if evaluated else ("rollouts",)
    rows = groups.select(mark.alias("▸"), pl.all().exclude(left_out))
    first = "" if evaluated else f", {ORDERS[state['order']]} first"
    place = state["scope"], 0 if whole else state["step"], state["find"], state["order"]
    heading = {"step": f"Groups of step {state['step']}", "log": "Groups of the log", EVALUATED: "What was evaluated"}
    return Table(
        rows.rename({"turned": f"turned by {rule}"}, strict=False), heading[state["scope"]],
        f"{groups.height:,} groups{first}. Choose a row to look into it.", folded=False,
        hidden=() if whole else ("step",), key="-".join(map(str, place)),
        picks=lambda row: {"step": row["step"], "group": row["group"], "rollout": 0},
    )  # fmt: skip


def _one(state: State, found: Facts, step: int, group: int) -> tuple[list[AnyPanel], list[str]]:
    """One group: its rewards and advantages in colours, its rollouts, and the text of one of them."""
    rules, evaluated = list(state["rules"]), state["scope"] == EVALUATED
    matrix = group_rows(at_step(found, step, rules), step, group, rules)
    rollouts = rollouts_of(found, step, group, rules)
    here = whole(found.table.frame.filter((pl.col("step") == step) & (pl.col("group") == group)))
    row = min(state["rollout"], here.height - 1)
    mark = pl.when(pl.int_range(pl.len()) == row).then(pl.lit("▶")).otherwise(pl.lit("")).alias("▸")
    texts = [("Prompt", str(here["prompt"][row] or "")), (f"Rollout {row}", str(here["completion"][row] or ""))]
    code = [f"rules = {rules!r}",
            f"lab.figures.group_matrix(group_rows(at_step(found, {step}, rules), {step}, {group}, rules))",
            f"rollouts = rollouts_of(found, {step}, {group}, rules)"]  # fmt: skip
    return [
        Panel(group_matrix, matrix, f"Step {step}, group {group}"),
        Texts(texts, f"What rollout {row} says", "" if evaluated else plain(why(found, step, group))),
        Table(rollouts.select(mark, pl.all()), "Its rollouts", "Choose a row to read its whole text.", folded=False,
              picks=lambda row: {"step": step, "group": group, "rollout": row["rollout"]}, key=f"{step}-{group}"),
    ], code  # fmt: skip


def _sentence(state: State, found: Facts, groups: pl.DataFrame, step: int, group: int) -> str:
    """How many groups teach, and what is to be said of the one below."""
    where = {"log": "the log", EVALUATED: "the evaluations"}.get(state["scope"], f"step {state['step']}")
    held = f" that hold “{plain(state['find'])}”" if state["find"] else ""
    if groups.is_empty():
        return f"**No group of {where}** holds “{plain(state['find'])}”, in its prompt or in a completion."
    if state["scope"] == EVALUATED:
        mean = found.table.frame["reward"].mean()
        said = f" with a mean reward of {mean:.3g}" if isinstance(mean, float) else ""
        return (
            f"**{found.table.frame.height:,} rollouts were evaluated**{said} and not trained on, so they stand in no "
            f"statistic. Here are {groups.height:,} groups{held}; below, group {group} of step {step}."
        )
    silent = groups.height - int((groups["learnt"] == "yes").sum())
    said = f"**{silent} of {groups.height:,} groups** of {where}{held} teach nothing. "
    return f"{said}Below, group {group} of step {step}: {plain(why(found, step, group))}"
