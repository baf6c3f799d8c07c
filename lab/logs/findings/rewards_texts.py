"""The rewards of a run beside its texts: what is paid whatever is said, and what is not paid the same twice."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lab.logs.columns import column
from lab.logs.facts import Facts
from lab.logs.findings.contract import Evidence, Finding, check
from lab.logs.findings.texts import MARKUP, answer, some_steps, texts
from lab.logs.findings.trends import curve, series, thirds
from lab.logs.tallies import per_group
from lab.logs.texts import empty, key, letters, place, whole
from lab.text import listed, printable

_LETTERS = 40  # of a completion that are shown in a sentence
_PROMPTS = 4  # different ones that get the same long text, which is then no answer to any of them
_MOST = 32_768  # rollouts whose tags are read


@check(
    "rewards.identical",
    definition="one and the same completion is given to different prompts, ever more often, and paid no less than the "
    "others",
    threshold="in the last third of the steps a warning from {warns:.0%} of the completions on, an alarm from "
    "{alarms:.0%}, where it goes to at least {prompts} prompts and has become {rise:g} times as frequent",
    advice="read the reward function for what this text passes: a substring test, an empty answer, a default",
    source="Visual-RFT, https://github.com/Liuziyu77/Visual-RFT/issues/176 (an empty answer is part of any string)",
)
def identical(
    run: Facts, *, warns: float = 0.5, alarms: float = 0.75, prompts: int = 4, rise: float = 2.0
) -> Finding | None:
    """One completion for everything."""
    rows = texts(run)
    if rows is None:
        return None
    early, late = thirds(rows)
    if early.is_empty():
        return None
    most, share = _most(late)
    same = key(rows, "completion") == most
    before = float(early.select(same.mean()).item())
    given = late.filter(same)
    paid, others = _mean(given), _mean(late, ~same)
    asked = given.select(key(rows, "prompt").n_unique()).item()
    wide = asked >= prompts and share >= max(warns, rise * before)
    if not wide or paid < others or paid <= _lowest(rows):
        return None
    said = (
        f"In the last steps {share:.1%} of the completions are one and the same, {_shown(_text(given))}, given to "
        f"{asked} prompts and paid {paid:.4g} on average{_beside(others)}; in the first steps it "
        f"was {before:.1%}."
    )
    found = rows.filter(same).select("step", "group", "rollout", "reward")
    shares = _shares(rows, same)
    return Finding("alarm" if share >= alarms else "warning", said, found, found.height / rows.height,
                   curve(shares, "share of that completion"))  # fmt: skip


@check(
    "rewards.empty",
    definition="completions that hold nothing but tags are paid no less than the others",
    threshold="a warning from {warns:.0%} of the rollouts on, an alarm from {alarms:.0%}",
    advice="have the reward function refuse an empty answer before it compares anything",
    source="Visual-RFT, https://github.com/Liuziyu77/Visual-RFT/issues/176",
)
def empty_answers(run: Facts, *, warns: float = 0.01, alarms: float = 0.1) -> Finding | None:
    """Nothing is said, and it is paid."""
    rows = texts(run)
    if rows is None:
        return None
    nothing = empty(rows)
    found = rows.filter(nothing)
    paid, others = _mean(found), _mean(rows, ~nothing)
    share = found.height / rows.height
    if share < warns or paid < others or paid <= _lowest(rows):
        return None
    said = (
        f"{found.height} of {rows.height} completions ({share:.1%}) are empty but for tags and are paid {paid:.4g} on "
        f"average{_beside(others)}: an empty answer passes the reward function."
    )
    return Finding("alarm" if share >= alarms else "warning", said,
                   found.select("step", "group", "rollout", "reward"), share,
                   curve(_shares(rows, nothing), "share of empty completions"))  # fmt: skip


@check(
    "rewards.noise",
    definition="the same completion of the same prompt, one that is neither empty nor given to several "
    "prompts at length, gets different rewards",
    threshold="from {warns:.0%} of at least {least} pairs of identical answers on, rewards that differ by less than "
    "{apart:.0%} of their range counted as the same",
    advice="make the verifier deterministic (seed, temperature 0, time limits that are never met), or take the mean of "
    "several verdicts",
    source="Pitfalls of Rule- and Model-based Verifiers, arXiv 2505.22203",
)
def noise(run: Facts, *, warns: float = 0.02, least: int = 50, apart: float = 0.05) -> Finding | None:
    """A verifier that disagrees with itself."""
    rows = texts(run)
    if rows is None:
        return None
    stock = identical(run)
    rows = rows if stock is None else rows.join(stock.rows, on=["step", "group", "rollout"], how="anti")
    answers = _repeated(rows, apart)
    pairs, differ = int(answers["pairs"].sum()), int(answers["differ"].sum())
    if pairs < least or differ < warns * pairs:
        return None
    rate, found = differ / pairs, answers.filter(pl.col("differ") > 0)
    one = found.row(int(found["differ"].arg_max() or 0), named=True)
    flips = f" (a verdict that is wrong in {_flipped(rate):.1%} of cases would do this)" if rate < 0.5 else ""
    said = (
        f"The same answer to the same prompt gets different rewards in {rate:.1%} of {pairs} pairs{flips}: "
        f"{_shown(_text(found.filter(pl.col('answer') == one['answer'])))} got {one['low']:.4g} and {one['high']:.4g}."
    )
    where = rows.filter(_answer(rows).is_in(found["answer"].implode()))
    return Finding("warning", said, where.select("step", "group", "rollout", "reward"), rate, _ranges(where))


def _repeated(rows: pl.DataFrame, apart: float) -> pl.DataFrame:
    """Answers that were given more than once: answer, completion, low, high, pairs, and how many of these differ."""
    reward, width = pl.col("reward"), apart * _width(rows)
    middle = (reward.min() + reward.max()) / 2
    answer = rows.select(_answer(rows)).to_series()
    there = answer.is_in(pl.Series(_twice(answer.to_numpy())).implode())
    again = rows.filter(there).with_columns(answer.filter(there))
    again = again.filter(~empty(rows) & ~_stock(rows))
    answers = again.group_by("answer", maintain_order=True).agg(
        pl.col("completion", *place(rows)).first(),
        pl.len().cast(pl.Int64).alias("n"),
        (reward > middle).sum().cast(pl.Int64).alias("above"),
        reward.min().alias("low"),
        reward.max().alias("high"),
    )
    n, above = pl.col("n"), pl.col("above")
    differ = pl.when(pl.col("high") - pl.col("low") > width).then(above * (n - above)).otherwise(0)
    return answers.with_columns(pairs=n * (n - 1) // 2, differ=differ)


def _twice(values: NDArray[Any]) -> NDArray[Any]:
    """The numbers that are there more than once."""
    ordered = np.sort(values)
    return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])


def _answer(rows: pl.DataFrame) -> pl.Expr:
    """A number of each completion of a prompt."""
    return (key(rows, "prompt") ^ (key(rows, "completion") * 3)).alias("answer")


def _stock(rows: pl.DataFrame) -> pl.Expr:
    """Whether a completion is a long text that is given to several prompts, and so no answer to any."""
    long = letters(rows, "completion") > _LETTERS
    return long & (key(rows, "prompt").n_unique().over(key(rows, "completion")) >= _PROMPTS)


def _flipped(rate: float) -> float:
    """Probability e with which a verdict is flipped, where two verdicts differ at this rate: 2 e (1 - e)."""
    return (1 - math.sqrt(1 - 2 * rate)) / 2


def _ranges(rows: pl.DataFrame) -> Evidence:
    reward = pl.col("reward")
    steps = rows.group_by("step", maintain_order=True).agg(
        reward.mean().alias("value"), reward.min().alias("low"), reward.max().alias("high")
    )
    return curve(steps, "reward of identical answers")


@check(
    "rewards.format",
    definition="the reward tells formats apart and nothing else: its differences within groups come from a part that "
    "is named after format, or all completions of the same tags are paid the same, whatever they answer",
    threshold="from {most:.0%} of the differences within at least {least} groups on",
    advice="the part that judges content gives no signal: give it partial credit, easier prompts or a warm start, and "
    "let format weigh little",
    source="TRL, https://github.com/huggingface/trl/issues/3903 (format converges to 1, accuracy stays 0)",
)
def format_alone(run: Facts, *, most: float = 0.9, least: int = 8) -> Finding | None:
    """Format is all that is learnt."""
    return _by_parts(run, most, least) or _by_tags(run, most, least)


_FORMAL = r"(?i)format|tag|xml|template|syntax|structure"


def _by_parts(run: Facts, most: float, least: int) -> Finding | None:
    """Parts of the reward that are named after format make the differences: within groups, or as the metrics say."""
    spread, where = _variances(run)
    names = [c for c in spread.columns if c not in ("step", "group")]
    formal = [name for name in names if re.search(_FORMAL, name)]
    rest = [name for name in names if name not in formal]
    if not formal or not rest:
        return None
    spread = spread.filter(pl.sum_horizontal(map(column, names)) > 0)
    total = {name: float(spread[name].sum()) for name in names}
    share = sum(total[name] for name in formal) / max(sum(total.values()), 1e-300)
    if spread.height < least or share < most:
        return None
    differ = spread.filter(pl.any_horizontal(column(n) > 0 for n in rest)).height
    said = (
        f"{listed(formal)} makes {share:.1%} of the differences between rewards {where}s; {listed(rest)} differs in "
        f"{differ} of {spread.height} {where.split()[-1]}s that have any: format is what is learnt."
    )
    lines = {name: series(run, f"reward/{name}") for name in names}
    lines = {name: line if line.height else series(run, name) for name, line in lines.items()}
    keys = [c for c in ("step", "group") if c in spread.columns]
    return Finding("warning", said, spread.select(keys), share, curve(lines, "mean reward"))


def _variances(run: Facts) -> tuple[pl.DataFrame, str]:
    """Variance of each weighted part in each group; without rollouts in each step, as the trainer logged it."""
    weights = dict(zip(run.table.reward_columns, run.table.reward_weights, strict=True))
    if weights:
        parts = ((column(name).var(ddof=0).fill_null(0.0) * w**2).alias(name) for name, w in weights.items())
        return per_group(run.table.frame, parts), "within group"
    metrics = run.table.metrics
    names = [c for c in metrics.columns if c.startswith("reward_std/")]
    parts = ((column(c).fill_nan(None).fill_null(0.0) ** 2).alias(c.removeprefix("reward_std/")) for c in names)
    return metrics.select("step", *parts), "within step"


def _by_tags(run: Facts, most: float, least: int) -> Finding | None:
    """Completions of the same tags are all paid the same, whatever they say."""
    rows = texts(run)
    if rows is None:
        return None
    rows = whole(some_steps(rows, _MOST))
    tags = pl.col("completion").str.extract_all(MARKUP).list.join(" ")
    rows = rows.with_columns(tags.alias("tags")).filter(
        (pl.col("reward").max() > pl.col("reward").min()).over("step", "group")
    )
    if rows["tags"].n_unique() < 2 or rows.select("step", "group").n_unique() < least:
        return None
    reward = pl.col("reward")
    about = rows.select(
        ((reward - reward.mean().over("tags")) ** 2).sum().alias("within"),
        ((reward - reward.mean()) ** 2).sum().alias("all"),
    )
    share = 1 - float(about["within"].item()) / float(about["all"].item())
    kinds = rows.group_by("tags", maintain_order=True).agg(
        reward.mean(), pl.col("completion").n_unique().alias("texts")
    )
    best = kinds.row(int(kinds["reward"].arg_max() or 0), named=True)
    if share < most or best["texts"] < least or not _of_two_minds(rows.filter(pl.col("tags") == best["tags"])):
        return None
    said = (
        f"The tags of a completion explain {share:.1%} of its reward: {best['texts']} different texts with "
        f"{_shown(best['tags'] or 'no tags')} are paid {best['reward']:.4g} on average, whatever they say."
    )
    lines = {(t or "no tags")[:_LETTERS]: _by_step(part) for (t,), part in rows.group_by("tags", maintain_order=True)}
    return Finding("warning", said, rows.select("step", "group").unique(maintain_order=True), share,
                   curve(dict(list(lines.items())[:6]), "mean reward"))  # fmt: skip


def _of_two_minds(rows: pl.DataFrame) -> bool:
    """Whether half of the groups have different answers: where all answer the same, they may all be right."""
    groups = rows.group_by("step", "group").agg(answer(pl.col("completion")).n_unique().alias("n"), pl.len())
    several = groups.filter(pl.col("len") > 1)
    return 2 * several.filter(pl.col("n") > 1).height >= max(several.height, 1)


def _by_step(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.group_by("step", maintain_order=True).agg(pl.col("reward").mean().alias("value"))


def _most(rows: pl.DataFrame) -> tuple[int, float]:
    """The `key` of the most frequent completion, and its share."""
    counts = rows.select(key(rows, "completion").alias("text")).group_by("text").len()
    text, count = counts.filter(pl.col("len") == pl.col("len").max()).max().row(0)
    return text, count / rows.height


def _text(rows: pl.DataFrame) -> str:
    """The completion of the first row."""
    return str(whole(rows.head(1))["completion"][0])


def _shares(rows: pl.DataFrame, condition: pl.Expr) -> pl.DataFrame:
    return rows.group_by("step", maintain_order=True).agg(condition.mean().alias("value"))


def _mean(rows: pl.DataFrame, *conditions: pl.Expr) -> float:
    """Mean reward where the conditions hold; minus infinity where they hold for no rollout."""
    mean = rows.select(pl.col("reward").filter(pl.lit(True), *conditions).mean()).item()
    return -math.inf if mean is None else float(mean)


def _lowest(rows: pl.DataFrame) -> float:
    return float(rows["reward"].min())  # type: ignore[arg-type]


def _width(rows: pl.DataFrame) -> float:
    return float(rows["reward"].max()) - float(rows["reward"].min())  # type: ignore[arg-type]


def _beside(others: float) -> str:
    return "" if math.isinf(others) else f" (the others {others:.4g})"


def _shown(text: str) -> str:
    short = printable(text)
    return repr(short if len(short) <= _LETTERS else short[:_LETTERS] + "…")
