"""The log itself: what it covers, and whether its parts belong together."""

from __future__ import annotations

import polars as pl

from lab.logs.facts import Facts
from lab.logs.findings.contract import Finding, check
from lab.text import counted, listed


@check(
    "log.coverage",
    definition="the trainer logged metrics of steps whose rollouts are not there",
    threshold="fewer than {share:.0%} of the steps have rollouts",
    advice="log the completions more often; what happened between is told by the metrics alone",
    source="TRL's GRPOConfig: log_completions writes at each logging step",
)
def coverage(run: Facts, *, share: float = 0.5) -> Finding | None:
    """Steps without rollouts."""
    logged = run.table.metrics["step"].unique()
    rollouts = run.steps["step"].append(pl.Series(run.table.repeats, dtype=pl.Int64)).unique()
    there = logged.filter(logged.is_in(rollouts.implode()))
    if not len(logged) or not run.steps.height or len(there) >= share * len(logged):
        return None
    said = f"{len(there)} of {len(logged)} steps have rollouts; of the others the log has the trainer's metrics alone."
    rest = logged.filter(~logged.is_in(rollouts.implode())).sort()
    return Finding("note", said, pl.DataFrame({"step": rest}), len(there) / len(logged))


@check(
    "log.evaluation",
    definition="rows of the log were evaluated and not trained on",
    threshold="from one row on",
    source="marked by the trainer, or told by metrics `eval_...` of that step",
)
def evaluation(run: Facts) -> Finding | None:
    """Evaluations among the rows."""
    rows = run.table.evaluation
    if rows.is_empty():
        return None
    steps = listed(rows["step"].unique(maintain_order=True))
    said = f"{counted(rows.height, 'row')} of step {steps} are evaluation rows: they stand in no statistic."
    return Finding("note", said, rows.select("step", "group", "rollout"))


@check(
    "log.two_runs",
    definition="the mean reward of the rollouts is not the one that the trainer logged for that step",
    threshold="off by {off:.0%} of the range of the rewards in {share:.0%} of at least {least} steps",
    advice="keep the files of one run in a folder; rewards and their weights as the trainer had them",
    source="a trainer's metrics are means over the rollouts of the same step",
)
def two_runs(run: Facts, *, off: float = 0.05, share: float = 0.5, least: int = 3) -> Finding | None:
    """Rollouts and metrics that do not belong together."""
    metrics = run.table.metrics
    if (
        "reward" not in metrics.columns
        or not run.steps.height
        or (metrics["step"].sort().diff().drop_nulls() > 1).any()
    ):
        return None
    logged = metrics.select("step", logged="reward").drop_nulls()
    both = run.steps.select("step", "reward", "missing").join(logged, on="step").filter(pl.col("missing") == 0)
    low, high = (float(run.table.frame["reward"].min() or 0), float(run.table.frame["reward"].max() or 0))  # type: ignore[arg-type]
    found = both.filter((pl.col("reward") - pl.col("logged")).abs() > off * max(high - low, abs(high), 1e-12))
    if both.height < least or found.height < share * both.height:
        return None
    said = (
        f"In {found.height} of {both.height} steps the mean reward of the rollouts is not the one that the trainer "
        f"logged (step {found['step'][0]}: {found['reward'][0]:.3g} against {found['logged'][0]:.3g}): two runs in one "
        "folder, rows that are not there, or other reward weights."
    )
    return Finding("warning", said, found.select("step", "reward", "logged"), found.height / both.height)
