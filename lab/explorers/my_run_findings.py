"""My run, findings: what went wrong and what is worth knowing, with the evidence of the one that is looked at."""

from __future__ import annotations

from typing import Any

import polars as pl

import lab
from lab.explorers.contract import Picture
from lab.explorers.my_run_log import lines
from lab.explorers.panels import AnyPanel, Card, Cards, Panel, State, Table, Words
from lab.figures.group_map import group_map
from lab.figures.log_metrics import log_metrics
from lab.figures.log_steps import log_steps
from lab.logs.diagnosis import Diagnosis
from lab.logs.findings.contract import SEVERITIES, Finding
from lab.logs.frames import group_map_frame
from lab.text import plain

__all__ = ["at_step_of", "curves", "how_read", "picture"]

MARKS = {"alarm": "■ Alarm", "warning": "▲ Warning", "note": "○ Note"}
HEALTHY = "log.healthy"


def picture(state: State, found: Diagnosis) -> Picture:
    """The worst finding, or the one that was chosen, with what shows it; the others beside it."""
    known = [finding.kind for finding in found.findings]
    place = known.index(state["finding"]) if state["finding"] in known else 0
    chosen = found.findings[place]
    panels, code = _evidence(chosen, place, found)
    more, more_code = curves(found)
    shown = {panel.name for panel in panels}
    rest = [panel for panel in more if panel.name not in shown]
    return Picture(
        sentence=_sentence(found),
        panels=[*panels, *_rows(chosen, found), *rest, *_evaluation(found), how_read(found)],
        beside=Cards([_card(each, each is chosen) for each in found.findings], "Findings"),
        code="\n".join([*lines(state), 'print(*found.findings, sep="\\n")', "", *code,
                        *(more_code if rest else [])]),
        frame=panels[0].frame if panels else found.table.metrics,
        of="the evidence",
    )  # fmt: skip


def _sentence(found: Diagnosis) -> str:
    """How many there are of each severity, and what the worst says."""
    counts = {name: sum(each.severity == name and each.kind != HEALTHY for each in found.findings)
              for name in SEVERITIES}  # fmt: skip
    told = ", ".join(f"{count} {name}{'s' * (count > 1)}" for name, count in counts.items() if count)
    return f"{plain(found.findings[0])}" + (f" **{told}**." if told else "")


def _card(finding: Finding, chosen: bool) -> Card:
    about = finding.facts()
    first = "" if about["first_step"] is None else f"first at step {about['first_step']}"
    share = "" if finding.share is None else f"{finding.share:.1%} concerned"
    label = "✓ Healthy" if finding.kind == HEALTHY else f"{MARKS[finding.severity]} · {_words(finding)}"
    folded = {"There is this finding where": "definition", "Threshold:": "threshold", "Source:": "source"}
    return Card(
        label=label, text=plain(finding), chosen=chosen, changes={"finding": finding.kind},
        details=[*filter(None, [", ".join(filter(None, [first, share])).capitalize()]),
                 *([f"Try: {plain(about['advice'])}."] if about["advice"] else [])],
        more=[f"**{words}** {plain(about[name])}." for words, name in folded.items() if about[name]],
    )  # fmt: skip


def _words(finding: Finding) -> str:
    return plain(finding.kind.replace(".", ": ").replace("_", " "))


def _evidence(finding: Finding, place: int, found: Diagnosis) -> tuple[list[Panel], list[str]]:
    """What draws the finding, and the lines for it; a healthy log has its curves, others all groups."""
    shown = finding.evidence
    if shown is not None and not shown.frame.is_empty():
        figure = getattr(lab.figures, shown.figure)
        words = "What shows it" if finding.kind == HEALTHY else f"What shows it: {finding.kind.replace('.', ', ')}"
        code = [f"shown = found.findings[{place}].evidence",
                f"lab.figures.{shown.figure}(shown.frame, **shown.options)"]  # fmt: skip
        return [Panel(figure, shown.frame, words, shown.options)], code
    if finding.kind != HEALTHY and not found.groups.is_empty():
        code = ["from lab.logs.frames import group_map_frame", "", "lab.figures.group_map(group_map_frame(found))"]
        return [Panel(group_map, group_map_frame(found), "All groups of the log")], code
    return curves(found)


def curves(found: Diagnosis, step: int | None = None) -> tuple[list[Panel], list[str]]:
    """The log step by step: its rollouts where it has some, and the trainer's own metrics."""
    panels, code = [], []
    if not found.steps.is_empty():
        options: dict[str, Any] = {} if step is None else {"step": step}
        panels.append(Panel(log_steps, found.steps, "Step by step", options, picks=at_step_of))
        code += ["steps = found.steps", f"lab.figures.log_steps(steps{'' if step is None else f', step={step}'})"]
    metrics = found.table.metrics
    if metrics.height and metrics.width > 1:
        panels.append(Panel(log_metrics, metrics, "What the trainer measured", wide=metrics.width > 3))
        code += ["metrics = table.metrics", "lab.figures.log_metrics(metrics)"]
    return panels, code


def at_step_of(row: Any) -> dict[str, Any]:
    """To the groups of the step that was clicked, in a picture or in a row; with its group where the row names one."""
    return {"view": "browse", "scope": "step", "step": int(row.get("step", row.get("x"))),
            "group": int(row.get("group", -1)), "rollout": int(row.get("rollout", 0))}  # fmt: skip


def _rows(finding: Finding, found: Diagnosis) -> list[AnyPanel]:
    """The rows that the finding is about; each leads to its group."""
    rows = finding.rows
    if rows.is_empty():
        return []
    leads = "step" in rows.columns and not found.groups.is_empty()
    guide = "A row that is chosen leads to its step and group." if leads else ""
    return [Table(rows, f"Its rows: {rows.height:,}", guide, folded=False, picks=at_step_of if leads else None,
                  key=finding.kind)]  # fmt: skip


def _evaluation(found: Diagnosis) -> list[AnyPanel]:
    """What the trainer evaluated, step by step."""
    rows = found.table.evaluation
    if rows.is_empty():
        return []
    counted = rows.group_by("step", maintain_order=True).agg(pl.len().alias("rollouts"), pl.col("reward").mean())
    guide = "These rollouts were not trained on and stand in no statistic. A row that is chosen leads to its answers."
    return [Table(counted.sort("step"), "What was evaluated", guide, wide=False, folded=False,
                  picks=lambda row: at_step_of(row) | {"scope": "evaluation", "group": 0})]  # fmt: skip


def how_read(found: Diagnosis) -> Words:
    """What was read and inferred, folded."""
    table = found.table
    weights = ", ".join(f"{plain(c)} × {w:g}" for c, w in zip(table.reward_columns, table.reward_weights, strict=True))
    facts = [f"Source: {plain(table.source or 'memory')}.", *map(plain, table.notes)]
    facts += [f"Rewards: {weights}."] if weights else []
    correct = "What was inferred can be corrected in the side panel: group size, reward columns, weights, lengths."
    return Words("\n".join(f"- {each}" for each in facts), "How the log was read", correct, wide=True, folded=True)
