"""The rewards of a run: numbers that stand out, parts that pull apart, and length that is paid for."""

from __future__ import annotations

import math

import polars as pl

from lab.logs.columns import by_pieces, column
from lab.logs.facts import Facts
from lab.logs.findings.contract import Evidence, Finding, check
from lab.logs.findings.rewards_texts import identical
from lab.logs.findings.trends import curve, progress, series
from lab.logs.texts import letters
from lab.text import counted, listed, printable

_SECRETS = "Secrets of RLHF in Large Language Models Part I: PPO, arXiv 2307.04964, on clipping rewards"


@check(
    "rewards.outlier",
    definition="rewards lie far outside the range of all others, which a mean and a deviation of a group cannot bear",
    threshold="further from the middle {inner:.0%} of at least {least} rewards than {widths:g} times their range",
    advice="clip or squash this reward before it is summed, and look for the case that returns it",
    source=_SECRETS,
)
def outlier(run: Facts, *, widths: float = 20.0, inner: float = 0.95, least: int = 32) -> Finding | None:
    """Rewards that are out of all proportion."""
    found = [(name, _far(run.table.frame, name, widths, inner, least)) for name in run.table.reward_columns]
    far = pl.concat([rows for _, rows in found]) if found else pl.DataFrame()
    if far.is_empty():
        return None
    name = next(name for name, rows in found if rows.height)
    one = far.row(int(far["distance"].arg_max() or 0), named=True)
    said = (
        f"{far.height} of {run.table.frame.height} rewards are far from all others ({listed(_names(found))}): "
        f"{one['value']:g} in step {one['step']}, group {one['group']}, rollout {one['rollout']}, where {inner:.0%} "
        f"lie between {one['low']:.4g} and {one['high']:.4g}."
    )
    rows = far.select("step", "group", "rollout", "reward", "value")
    return Finding("warning", said, rows, far.height / run.table.frame.height, _ranges(run, name))


def _names(found: list[tuple[str, pl.DataFrame]]) -> list[str]:
    return [name for name, rows in found if rows.height]


def _far(frame: pl.DataFrame, name: str, widths: float, inner: float, least: int) -> pl.DataFrame:
    """Rows whose value of a reward lies far outside the inner range: step, group, rollout, reward, value, distance."""
    asked = ["step", "group", "rollout", pl.lit(name).alias("reward"), column(name).alias("value")]
    known = frame[name].alias("").drop_nulls()
    low, high = (known.quantile(q, "nearest") for q in ((1 - inner) / 2, (1 + inner) / 2))
    if low is None or high is None or len(known) < least or high <= low:
        return frame.clear().select(asked).with_columns(low=0.0, high=0.0, distance=0.0)
    distance = pl.max_horizontal(low - column(name), column(name) - high) / (high - low)
    asked += [pl.lit(low).alias("low"), pl.lit(high).alias("high"), distance.alias("distance")]
    return by_pieces(frame, lambda rows: rows.filter(distance > widths).select(asked))


def _ranges(run: Facts, name: str) -> Evidence:
    """The mean of a reward by step, with its range over the rollouts."""
    value = column(name)
    steps = run.table.frame.group_by("step", maintain_order=True).agg(
        value.mean().alias("value"), value.min().alias("low"), value.max().alias("high")
    )
    return curve(steps, name)


@check(
    "rewards.missing",
    definition="a rollout has no reward at all, or one that is infinite, or the mean reward of a step is not finite",
    threshold="a note from one rollout on, a warning from {warns:.0%} of them; an alarm from one that is infinite on",
    advice="return a number in every case: a reward that is missing is counted as 0, or makes its whole group NaN",
    source="TRL's documentation of its GRPO trainer, on reward functions that return None",
)
def missing(run: Facts, *, warns: float = 0.25) -> Finding | None:
    """Rewards that are NaN, infinite or not there."""
    infinite, mean = run.table.broken.filter(pl.col("column") != "advantage"), _broken(run)
    if infinite.height:
        said = f"{counted(infinite.height, 'reward')} of {run.table.frame.height} rollouts are infinite"
        found, share = infinite, infinite.height / run.table.frame.height
    elif mean.height:
        said = f"The mean reward is {mean['reward'][0]} in {mean.height} of {run.table.metrics.height} steps"
        found, share = mean, mean.height / run.table.metrics.height
    else:
        return _unscored(run, warns)
    return Finding("alarm", f"{said}, first in step {found['step'][0]}.", found, share)


def _broken(run: Facts) -> pl.DataFrame:
    """Steps whose mean reward is no finite number."""
    metrics = run.table.metrics
    if "reward" not in metrics.columns:
        return metrics.clear()
    return metrics.select("step", "reward").drop_nulls().filter(~pl.col("reward").is_finite())


def _unscored(run: Facts, warns: float) -> Finding | None:
    """Rollouts without a reward."""
    frame = run.table.frame
    rows = frame.filter(pl.col("reward").is_null()).select("step", "group", "rollout")
    if rows.is_empty():
        return None
    share = rows.height / frame.height
    said = (
        f"{rows.height} of {frame.height} rollouts ({share:.1%}) have no reward: every part of it is missing (NaN), "
        f"first in step {rows['step'][0]}."
    )
    return Finding("warning" if share >= warns else "note", said, rows, share)


@check(
    "rewards.parts",
    definition="one part of the reward rises over the run while another falls",
    threshold="each by {errors:g} standard errors and {deviations:g} deviations between rollouts, first against last "
    "third of at least {least} steps",
    advice="look at rollouts of the end: is the falling part what you want? Weigh it more, or normalise the parts "
    "apart (GDPO)",
    source="open-r1, https://github.com/huggingface/open-r1/issues/255 (format rises, accuracy falls); GDPO, arXiv "
    "2601.05242",
)
def parts(run: Facts, *, errors: float = 4.0, deviations: float = 0.25, least: int = 9) -> Finding | None:
    """Parts of the reward that move apart."""
    moved = {name: _moved(run, name, errors, deviations, least) for name in _parts(run)}
    up, down = ([name for name, way in moved.items() if way and way[0] == sign] for sign in (1, -1))
    if not up or not down:
        return None
    said = "; ".join(f"{printable(n)} from {moved[n][1]:.4g} to {moved[n][2]:.4g}" for n in (*up, *down))  # type: ignore[index]
    lines = {name: series(run, f"reward/{name}" if _logged(run, name) else name) for name in (*up, *down)}
    sentence = f"{listed(up)} rises while {listed(down)} falls (first third of the steps to last): {said}."
    return Finding("warning", sentence, lines[down[0]], None, curve(lines, "mean reward"))


def _parts(run: Facts) -> list[str]:
    """Names of the parts of the reward, of a log without rollouts those of its metrics."""
    named = [c.removeprefix("reward/") for c in run.table.metrics.columns if c.startswith("reward/")]
    return list(run.table.reward_columns) or named


def _logged(run: Facts, name: str) -> bool:
    return f"reward/{name}" in run.table.metrics.columns


def _moved(run: Facts, name: str, errors: float, deviations: float, least: int) -> tuple[int, float, float] | None:
    """Direction of a part's mean (1, -1), its first and its last third; None where it does not move clearly."""
    here = name in run.table.reward_columns
    rows = run.table.frame.select("step", "group", column(name).alias("value")) if here else None
    way = progress(run, f"reward/{name}", rows, least=least)
    if way is None or abs(way.last - way.first) < deviations * _deviation(run, name):
        return None
    return (1 if way.rises(errors) else -1, way.first, way.last) if way.rises(errors) or way.falls(errors) else None


def _deviation(run: Facts, name: str) -> float:
    """Deviation of a part between rollouts, in the middle of the log; 0 where it is not known."""
    if name in run.table.reward_columns:
        return float(run.table.frame.select(column(name).std()).item() or 0.0)
    logged = series(run, f"reward_std/{name}")["value"]
    return float(logged.median() or 0.0)  # type: ignore[arg-type]


@check(
    "rewards.length",
    definition="responses grow longer as the reward rises, and within groups the longer ones are paid more, where "
    "not all answers are one and the same",
    threshold="a correlation within groups of at least {correlation:g}, and lengths up by {growth:.0%} and {errors:g} "
    "standard errors from the first to the last third of at least {least} steps",
    advice="compare rollouts of the same reward: if the longer are no better, take the length out of the reward "
    "(a cap, a penalty), and use token-level losses without a length term (Dr. GRPO)",
    source="A Long Way to Go: Investigating Length Correlations in RLHF, arXiv 2310.03716; Dr. GRPO, arXiv 2503.20783",
)
def length(
    run: Facts, *, correlation: float = 0.3, growth: float = 0.2, errors: float = 4.0, least: int = 6
) -> Finding | None:
    """Length that is paid for."""
    rows = _lengths(run)
    if rows is None:
        return None
    longer = progress(run, "length", rows.rename({"length": "value"}), least=least)
    higher = progress(run, "reward", least=least)
    if longer is None or higher is None:
        return None
    pays = _within(rows)
    grown = longer.rises(errors) and longer.last > (1 + growth) * longer.first
    if pays < correlation or not grown or not higher.rises(errors) or identical(run):
        return None
    said = (
        f"Longer responses are paid more within groups (correlation {pays:.2f}), and lengths rise from "
        f"{longer.first:.4g} to {longer.last:.4g} while the reward goes from {higher.first:.4g} to {higher.last:.4g}: "
        "it may be length that is learnt."
    )
    steps = _by_step(run, rows)
    return Finding("warning", said, steps, None, curve(steps, "length of a response"))


def _lengths(run: Facts) -> pl.DataFrame | None:
    """step, group, length and reward of each rollout; the length in tokens where it was logged, else in letters."""
    frame = run.table.frame
    logged = run.table.logged("length")
    long = letters(frame, "completion") if logged is None else pl.lit(logged)
    rows = frame.select("step", "group", "reward", long.cast(pl.Float64).alias("length")).drop_nulls()
    return rows if rows["length"].n_unique() > 1 else None


def _by_step(run: Facts, rows: pl.DataFrame) -> pl.DataFrame:
    """Mean length by step, the trainer's own where it is there."""
    if "length" in run.table.metrics.columns:
        return series(run, "length")
    return rows.group_by("step", maintain_order=True).agg(pl.col("length").mean().alias("value"))


def _within(rows: pl.DataFrame) -> float:
    """Correlation of length and reward about the means of their groups; 0 where nothing varies."""
    about = [pl.col(c) - pl.col(c).mean().over("step", "group") for c in ("length", "reward")]
    long, paid = by_pieces(rows, lambda some: some.select(about))
    scale = math.sqrt(float((long * long).sum()) * float((paid * paid).sum()))
    return float((long * paid).sum()) / scale if scale > 0 else 0.0
