"""Where there is something to learn, and why there is not: groups whose rewards do not tell their rollouts apart."""

from __future__ import annotations

import polars as pl

from lab.logs.facts import Facts
from lab.logs.findings.contract import Evidence, Finding, check
from lab.logs.frames import group_map_frame


@check(
    "signal.silent",
    definition="the total rewards of all rollouts of a group are equal, so that their advantages are zero",
    threshold="a warning from {warns:.0%} of at least {least} groups on, an alarm from {alarms:.0%}",
    advice="prompts of the right difficulty; dynamic sampling, which draws others instead; larger groups",
    source="DAPO, arXiv 2503.14476, dynamic sampling",
)
def silent(run: Facts, *, warns: float = 0.75, alarms: float = 0.99, least: int = 8) -> Finding | None:
    """All groups without signal, whatever the cause."""
    found = run.groups.filter(pl.col("no_signal") & ~pl.col("cause").is_in(["rounding", "single"]))
    if found.is_empty():
        return None
    total = run.groups.height
    share = found.height / total
    known = total >= least
    severity = "alarm" if known and share >= alarms else "warning" if known and share >= warns else "note"
    said = f"{found.height} of {total} groups ({share:.1%}) have equal rewards: nothing in them can be learnt"
    return Finding(severity, f"{said}{_split(found, total)}.", _rows(found), share, _map(run))


_WORDS = {
    "cancelling": "whose parts differ and cancel",
    "constant": "where the reward is the same in the whole log",
    "truncated": "cut off in every rollout",
    "solved": "solved",
    "hopeless": "never right",
    "alike": "alike in between",
}


def _split(found: pl.DataFrame, total: int) -> str:
    counts = dict(found["cause"].value_counts().iter_rows())
    parts = [f"{counts[cause] / total:.1%} {words}" for cause, words in _WORDS.items() if cause in counts]
    return f" ({', '.join(parts)})" if parts else ""


def _rows(found: pl.DataFrame) -> pl.DataFrame:
    return found.select("step", "group", "reward", "cause")


def _map(run: Facts) -> Evidence:
    return Evidence("group_map", group_map_frame(run))
