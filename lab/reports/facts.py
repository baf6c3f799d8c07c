"""A diagnosis as plain values, and as lines of a terminal."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from lab.errors import InputError
from lab.logs.diagnosis import Diagnosis
from lab.logs.findings.contract import SEVERITIES, Finding

__all__ = ["about", "at_least", "counted", "facts", "where"]


def facts(run: Diagnosis) -> dict[str, Any]:
    """Everything but the frames, as plain values for JSON: what was read, and each finding."""
    table = run.table
    read = {
        "source": str(table.source or ""),
        "trainer": table.trainer,
        "steps": len(_steps(run)),
        "groups": run.groups.height,
        "rollouts": table.frame.height,
        "group_size": table.group_size,
        "rewards": dict(zip(table.reward_columns, table.reward_weights, strict=True)),
        "notes": list(table.notes),
    }
    return {"read": read, "worst": run.findings[0].severity if run.findings else "",
            "findings": [_finite(finding.facts()) for finding in run.findings]}  # fmt: skip


def _finite(given: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in given.items()}


def _steps(run: Diagnosis) -> set[int]:
    return {*run.table.frame["step"], *run.table.metrics["step"]}


def about(run: Diagnosis) -> str:
    """What was read, in a line: "TRL, steps 1 to 40: 320 groups of 8"."""
    steps, table = _steps(run), run.table
    where = f"steps {min(steps)} to {max(steps)}" if len(steps) > 1 else f"step {min(steps, default=0)}"
    sizes = f" of {table.group_size}" if table.group_size else " of different sizes"
    held = f"{run.groups.height} groups{sizes}" if run.groups.height else "metrics alone, no rollouts"
    return f"{table.trainer}, {where}: {held}"


def counted(findings: tuple[Finding, ...]) -> str:
    """How many of each severity: "1 alarm, 2 notes"."""
    counts = Counter(finding.severity for finding in findings)
    said = [f"{counts[s]} {s}{'s' if counts[s] > 1 else ''}" for s in SEVERITIES if counts[s]]
    return ", ".join(said) or "nothing found"


def where(finding: Finding) -> str:
    """Where it is found, as far as that is known: "from step 12, 30.0%"."""
    step = "" if finding.first_step is None else f"from step {finding.first_step}"
    share = "" if finding.share is None else f"{finding.share:.1%}"
    return ", ".join(filter(None, (step, share)))


def at_least(findings: tuple[Finding, ...], severity: str) -> bool:
    """Whether one of the findings is as bad as `severity` or worse.

    Raises:
        InputError: There is no such severity.
    """
    if severity not in SEVERITIES:
        raise InputError(f"severity {severity!r}; it must be one of {', '.join(SEVERITIES)}")
    return any(SEVERITIES.index(f.severity) <= SEVERITIES.index(severity) for f in findings)
