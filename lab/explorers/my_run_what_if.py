"""My run, what if: the log's own rewards under other rules, and passed through a reward rule first."""

from __future__ import annotations

from typing import Any

import polars as pl

from lab.advantages import names
from lab.explorers.contract import LeftOut, Picture
from lab.explorers.kept import kept
from lab.explorers.my_run_findings import at_step_of, curves, how_read
from lab.explorers.my_run_log import edition, lines, log_state, opened
from lab.explorers.panels import AnyPanel, Panel, State, Table
from lab.figures.group_map import group_map
from lab.figures.reward_transform import reward_transform
from lab.figures.what_if import what_if as drawn
from lab.logs.browsing import at_step
from lab.logs.diagnosis import Diagnosis
from lab.logs.facts import Facts
from lab.logs.frames import group_map_frame
from lab.logs.tallies import CAUSES, LOGGED
from lab.logs.what_if import Beside, some_steps, transformed
from lab.text import plain

__all__ = ["picture"]

MOST = 16  # rules in the picture where all are compared
FEWER = 20_000  # rollouts on which all are compared


def picture(state: State, found: Diagnosis) -> Picture:
    """Who changes a sign, which groups wake up, and how far the reward that is climbed moves."""
    if found.groups.is_empty():
        panels, code = curves(found)
        return Picture(
            sentence="This log has the trainer's metrics alone; without rewards of rollouts no rule can be tried.",
            panels=[*panels, how_read(found)], code="\n".join([*lines(state), "", *code]),
            frame=found.table.metrics, of="these curves",
        )  # fmt: skip
    log, written, through = log_state(state), repr(edition(state)), state["transform"]
    if not _differs(log, written, through):
        return _silent(state, found)
    rules = names(presets=False) if state["every"] else list(state["rules"])
    every, groups = _compared(log, written, rules, through)
    frame = every if every.height <= MOST + 1 else _most_changed(every)
    missing = [rule for rule in rules if rule not in every["variant"].to_list() and not state["every"]]
    why = at_step(found, int(found.groups["step"][0]), missing).skipped
    return Picture(
        sentence=_sentence(frame, through) + _of(frame, found),
        panels=[Panel(drawn, frame, "Other rules on the same rewards"), *_below(found, every, groups, through),
                how_read(found)],
        code=_code(state, rules, frame.height < every.height),
        frame=frame, of="the rules on the log's rewards",
        left_out=[LeftOut(each, why.get(each, "")) for each in missing],
    )  # fmt: skip


@kept(8)
def _compared(log: dict[str, Any], written: str, rules: list[str], through: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    found = opened(log)
    beside = Beside(some_steps(found, FEWER) if len(rules) > MOST else found, tuple(rules), through)
    return beside.frame, beside.woken


@kept(8)
def _differs(log: dict[str, Any], written: str, through: str) -> bool:
    """Whether any group has different rewards, after the reward rule."""
    found = opened(log)
    facts = Facts(transformed(found, through), ()) if through else found
    return not bool(facts.groups["no_signal"].all())


def _most_changed(every: pl.DataFrame) -> pl.DataFrame:
    rules = every.slice(1).sort("changed", descending=True, maintain_order=True).head(MOST)
    return pl.concat([every.head(1), rules])


def _silent(state: State, found: Diagnosis) -> Picture:
    """A log in which there is nothing to learn, and why nothing is made up for it."""
    causes = found.groups["cause"].drop_nulls().value_counts(sort=True)
    told = "; ".join(f"in {count:,} {CAUSES.get(cause, cause)}" for cause, count in causes.iter_rows())
    through = f", also after {plain(state['transform'])}" if state["transform"] else ""
    return Picture(
        sentence=f"**None of the {found.groups.height:,} groups has different rewards**{through}, so there is nothing "
        f"that another rule could learn from them: {plain(told)}. What rules would give to equal rewards is rounding "
        "or one push for all, and is not shown.",
        panels=[Panel(group_map, group_map_frame(found), "All groups of the log"), how_read(found)],
        code="\n".join([*lines(state), "", "from lab.logs.frames import group_map_frame", "",
                        "groups = group_map_frame(found)", "lab.figures.group_map(groups)"]),
        frame=group_map_frame(found), of="the groups",
    )  # fmt: skip


def _below(found: Diagnosis, every: pl.DataFrame, groups: pl.DataFrame, through: str) -> list[AnyPanel]:
    """The groups that wake up or fall silent, the rewards before and after, all rules as rows."""
    panels: list[AnyPanel] = []
    if through:
        panels.append(Panel(reward_transform, _moved(found, through), f"Rewards before and after {through}"))
    if groups.height:
        panels.append(
            Table(groups, f"Groups that wake up or fall silent: {groups.height:,}",
                  "Choose a row to look into the group.", wide=False, folded=False, picks=at_step_of)
        )  # fmt: skip
    return [*panels, Table(every, "All numbers", "Rollouts, groups and distances of each rule.")]


def _moved(found: Diagnosis, through: str) -> pl.DataFrame:
    after = transformed(found, through).frame["reward"]
    return pl.DataFrame({"before": found.table.frame["reward"], "after": after})


def _sentence(frame: pl.DataFrame, through: str) -> str:
    """Who turns most signs, what wakes up, and where the climbed reward goes."""
    own, rules = frame.row(0, named=True), frame.slice(1)
    if rules.is_empty():
        return "None of these rules can be computed from this log."
    most = rules.sort("changed", descending=True, maintain_order=True).row(0, named=True)
    wakes = rules.sort("groups_woken", descending=True, maintain_order=True).row(0, named=True)
    start = f"With the rewards passed through **{plain(through)}**, " if through else "On the very same rewards "
    if not most["changed"]:
        said = f"{start}none of the rules changes the sign of a rollout"
    else:
        said = (f"{start}**{plain(most['variant'])}** changes the most signs: {most['changed']:,} of "
                f"{most['compared']:,} rollouts ({most['share']:.1%})")  # fmt: skip
    said += f"; {plain(wakes['variant'])} wakes {wakes['groups_woken']:,} groups" if wakes["groups_woken"] else ""
    known = rules.drop_nulls("distance")
    if own["distance"] is None or known.is_empty():
        return f"{said}."
    far = known.sort("distance", descending=True, maintain_order=True).row(0, named=True)
    base = "the trainer's own rule" if own["variant"] == LOGGED else "GRPO"
    return (f"{said}. The reward that is climbed lies {own['distance']:.2f} from the logged one under {base}, "
            f"{far['distance']:.2f} under {plain(far['variant'])} (0: the same, 1.41: no relation).")  # fmt: skip


def _of(frame: pl.DataFrame, found: Diagnosis) -> str:
    """On how many groups the rules were tried, where not on all."""
    tried, there = frame["groups"][0], found.groups.height
    return f" Tried on {tried:,} of {there:,} groups, in steps evenly spaced." if tried < there else ""


def _code(state: State, rules: list[str], cut: bool) -> str:
    through = f", transform={state['transform']!r}" if state["transform"] else ""
    asked = "lab.advantages.names(presets=False)" if state["every"] else repr(rules)
    some = ["from lab.logs.what_if import some_steps", "", f"some = some_steps(found, {FEWER})"] * state["every"]
    on = "some" if state["every"] else "found"
    code = [*lines(state), "", *some, f"rules = {asked}", f"frame = lab.logs.what_if({on}, rules{through})"]
    if cut:
        code += [f'most = frame.slice(1).sort("changed", descending=True, maintain_order=True).head({MOST})',
                 "import polars as pl", "frame = pl.concat([frame.head(1), most])"]  # fmt: skip
    code += ["lab.figures.what_if(frame)"]
    if state["transform"]:
        code += ["", "import polars as pl", "from lab.logs.what_if import transformed", "",
                 f"after = transformed(found, {state['transform']!r}).frame[\"reward\"]",
                 'moved = pl.DataFrame({"before": table.frame["reward"], "after": after})',
                 "lab.figures.reward_transform(moved)"]  # fmt: skip
    return "\n".join(code)
