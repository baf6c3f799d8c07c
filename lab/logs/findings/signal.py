"""Where there is something to learn, and why there is not: groups whose rewards do not tell their rollouts apart."""

from __future__ import annotations

import numpy as np
import polars as pl

from lab.logs.columns import column
from lab.logs.facts import Facts
from lab.logs.findings.contract import Evidence, Finding, check
from lab.logs.frames import group_map_frame
from lab.logs.tallies import EQUAL, per_group
from lab.text import listed

_WORDS = {
    "cancelling": "whose parts differ and cancel",
    "constant": "where the reward is the same in the whole log",
    "truncated": "cut off in every rollout",
    "solved": "solved",
    "hopeless": "never right",
    "alike": "alike in between",
}


@check(
    "signal.silent",
    definition="the total rewards of all rollouts of a group are equal, so that their advantages are zero",
    threshold="a warning from {warns:.0%} of at least {least} groups on, an alarm from {alarms:.0%}",
    advice="prompts of the right difficulty; dynamic sampling, which draws others instead; larger groups",
    source="DAPO, arXiv 2503.14476, dynamic sampling",
)
def silent(run: Facts, *, warns: float = 0.75, alarms: float = 0.99, least: int = 8) -> Finding | None:
    """Groups without signal, by their cause."""
    found = run.groups.filter(pl.col("cause").is_in(list(_WORDS)))
    if found.is_empty():
        return None
    total = run.groups.height
    share = found.height / total
    severity = "note" if total < least or share < warns else "alarm" if share >= alarms else "warning"
    counts = dict(found["cause"].value_counts().iter_rows())
    split = ", ".join(f"{counts[cause] / total:.1%} {words}" for cause, words in _told(run).items() if cause in counts)
    said = (
        f"{found.height} of {total} groups ({share:.1%}) have equal rewards: nothing in them can be learnt ({split})."
    )
    rows = found.select("step", "group", "reward", "cause")
    return Finding(severity, said + _same(found), rows, share, Evidence("group_map", group_map_frame(run)))


def _told(run: Facts) -> dict[str, str]:
    """The causes in words; where no answer of the log is known to be right, or wrong, that is only taken for so.

    It is known where every part of the reward lies between 0 and 1: at the sum of the weights, and at 0.
    """
    table, total = run.table, run.table.frame["reward"]
    parts = [part.drop_nulls() for part in table.frame.select(map(column, table.reward_columns))]
    shares = all(part.is_between(0, 1).all() for part in parts) and min(table.reward_weights, default=0) >= 0
    low, high, best = (float(end or 0) for end in (total.min(), total.max(), sum(table.reward_weights)))  # type: ignore[arg-type]
    inferred = {
        "solved": (high >= best * (1 - EQUAL), f"at the highest reward of the log, {high:.4g}, and taken for solved"),
        "hopeless": (low == 0, f"at the lowest reward of the log, {low:.4g}, and taken for never right"),
    }
    return _WORDS | {cause: words for cause, (known, words) in inferred.items() if not (shares and known)}


def _same(found: pl.DataFrame) -> str:
    """What the one reward of a whole log is."""
    if found["cause"][0] != "constant":
        return ""
    reward = found["reward"][0]
    never = "either no answer was ever right, or it is" if reward == 0 else "it is"
    return f" Every reward is {reward:.4g}: {never} a reward function that answers anything with one number."


@check(
    "signal.group_size",
    definition="groups of right and wrong answers are silent where all are alike; larger ones less often",
    threshold="where {share:.0%} of the groups are silent and groups have fewer than {larger} rollouts",
    advice="larger groups if the share falls much, other prompts if it does not",
    source="beta-binomial distribution fitted by its moments; DAPO, arXiv 2503.14476, dynamic sampling",
)
def larger_groups(run: Facts, *, share: float = 0.25, larger: int = 16) -> Finding | None:
    """What larger groups would give, from the successes of the groups that were drawn."""
    size, levels = run.table.group_size, run.table.frame["reward"].drop_nulls().unique().sort()
    silent = run.groups["no_signal"].mean()
    if size is None or not 1 < size < larger or len(levels) != 2 or not isinstance(silent, float) or silent < share:
        return None
    low, high = levels
    if high - low <= EQUAL * max(abs(low), abs(high)):
        return None
    success = ((run.groups["reward"] - low) / (high - low)).drop_nulls().to_numpy()
    alike = success.mean() ** size + (1 - success.mean()) ** size
    said = (
        f"{success.mean():.1%} of the rollouts are right: if all prompts were equally hard, {alike:.1%} of the groups "
        f"would be silent, and {silent:.1%} are. With groups of {larger} it would be about "
        f"{silent_share(success, size, larger):.1%}."
    )
    return Finding("note", said, share=silent)


def silent_share(success: np.ndarray, size: int, larger: int) -> float:
    """Expected share of groups of `larger` that are all right or all wrong.

    Args:
        success: Share of right rollouts in each group [groups].
        size: Rollouts per group that it was measured with.
        larger: Rollouts per group asked for.

    Returns:
        The share, for prompts whose success rates have a beta distribution with the mean and spread of these.
    """
    mean = float(success.mean())
    spread = float(success.var() / (mean * (1 - mean))) if 0 < mean < 1 else 1.0
    alike = min(max((spread - 1 / size) / (1 - 1 / size), 0.0), 1.0)
    if alike == 1:
        return 1.0
    place = np.arange(larger)

    def all_of(rate: float) -> float:
        return float(np.prod((rate * (1 - alike) + place * alike) / (1 - alike + place * alike)))

    return all_of(mean) + all_of(1 - mean)


@check(
    "signal.rounding",
    definition="the rewards of a group differ, by no more than rounding in float32, and the rollouts have advantages",
    threshold="a warning from advantages of {size:g} on",
    advice="rewards in float64, or no division by a deviation that small (an epsilon of 1e-4 rather than 1e-8)",
    source="rounding: two neighbouring numbers in float32 are 6e-8 apart, relative to their size",
)
def rounding(run: Facts, *, size: float = 0.01) -> Finding | None:
    """Spread that is no signal."""
    found = run.groups.filter(pl.col("cause") == "rounding")
    if found.is_empty():
        return None
    largest = found.select(
        pl.max_horizontal(pl.col("advantage_low").abs(), pl.col("advantage_high").abs()).max()
    ).item()
    spread = found.select((pl.col("reward_high") - pl.col("reward_low")).max()).item()
    said = (
        f"In {found.height} of {run.groups.height} groups the rewards differ by rounding alone (at most {spread:.1e})"
    )
    blown = f", which the trainer blew up to advantages of {largest:.2g}" if largest else ""
    rows = found.select("step", "group", "reward", "advantage_low", "advantage_high")
    severity = "warning" if largest is not None and largest >= size else "note"
    return Finding(severity, f"{said}{blown}.", rows, found.height / run.groups.height)


@check(
    "signal.idle_part",
    definition="one of several rewards is the same for all rollouts of a group, in nearly every group",
    threshold="differs in at most {most:.0%} of at least {least} groups, while another one differs",
    advice="leave it out, or let it judge the answer: whatever is the same for a whole group cancels in its advantages",
    source="GDPO, arXiv 2601.05242, on rewards of several parts",
)
def idle_part(run: Facts, *, most: float = 0.01, least: int = 4) -> Finding | None:
    """Parts of the reward without effect."""
    names = run.table.reward_columns
    if len(names) < 2 or run.groups.height < least:
        return None
    parts = [column(c) for c in names]
    spread = [(p.max() - p.min() > EQUAL * p.abs().max()).fill_null(False).alias(str(i)) for i, p in enumerate(parts)]
    varies = per_group(run.table.frame, spread)
    shares = dict(zip(names, varies.select(pl.exclude("step", "group").mean()).row(0), strict=True))
    idle = [name for name, share in shares.items() if share <= most]
    if not idle or len(idle) == len(names):
        return None
    ever = max(shares[name] for name in idle)
    when = "hardly ever" if ever else "never"
    said = f"The reward {listed(idle)} {when} differs within a group: it is without effect on what is learnt."
    return Finding(
        "warning", said, pl.DataFrame({"reward": idle, "differs": [shares[name] for name in idle]}), 1 - ever
    )


@check(
    "signal.trend",
    definition="the share of silent groups grows during the run until little is left to learn from",
    threshold="from the first to the last third of at least {least} steps by {grows:.0%}, to {high:.0%} or more",
    advice="solved: harder prompts, or stop; never right: a lower learning rate, easier prompts",
    source="DAPO, arXiv 2503.14476: the number of prompts that are all right grows during training",
)
def trend(run: Facts, *, grows: float = 0.4, high: float = 0.75, least: int = 9) -> Finding | None:
    """Signal that runs out."""
    shares = _shares(run)
    third = shares.height // 3
    if shares.height < least:
        return None
    values = shares["share"].to_numpy()
    start, end = values[:third].mean(), values[-third:].mean()
    if end < high or end - start < grows:
        return None
    window = max(3, len(values) // 20)
    smooth = np.convolve(values, np.ones(window) / window, mode="valid")
    since = int(np.flatnonzero(smooth < high)[-1]) + 1 if (smooth < high).any() else 0
    reward = shares["reward"].to_numpy()
    better = reward[-third:].mean() > reward[:third].mean()
    why = "saturated: its groups are solved" if better else "starved: its groups are never right"
    said = f"Silent groups grow from {start:.0%} to {end:.0%}, and stay that many from step {shares['step'][since]} on"
    frame = shares.rename({"share": "no_signal"}).with_columns(reward_std=pl.lit(0.0))
    return Finding("warning", f"{said}; the run is {why}.", shares[since:], float(end), Evidence("log_steps", frame))


def _shares(run: Facts) -> pl.DataFrame:
    """Step, share of silent groups and mean reward: of the rollouts, or of the trainer where it logged more steps."""
    own = run.steps.select("step", share="no_signal", reward="reward")
    metrics = run.table.metrics
    if {"zero_std", "reward"} <= set(metrics.columns):
        logged = metrics.select("step", share="zero_std", reward="reward").drop_nulls()
        own = logged if logged.height > own.height else own
    return own.drop_nulls().sort("step")


@check(
    "signal.learnability",
    definition="the mean deviation of the rewards within groups is small against what is possible",
    threshold="less than {share:.0%} of half the range of the rewards, over at least {least} groups",
    advice="prompts that are neither solved nor hopeless: with right and wrong answers, a success rate near one half",
    source="the deviation of right and wrong answers is sqrt(p(1 - p)); learnability p(1 - p) of unsupervised "
    "environment design (Rutherford et al. 2024)",
)
def learnability(run: Facts, *, share: float = 0.1, least: int = 8) -> Finding | None:
    """How much the prompts have to teach, on average."""
    low, high = run.table.frame["reward"].min(), run.table.frame["reward"].max()
    if run.groups.height < least or not isinstance(low, float) or not isinstance(high, float) or high <= low:
        return None
    mean = float(run.groups["reward_std"].mean() or 0.0)  # type: ignore[arg-type]
    part = mean / ((high - low) / 2)
    if not 0 < part < share:
        return None
    said = f"Within groups the rewards deviate by {mean:.2g} on average, {part:.1%} of what is possible between "
    return Finding("note", f"{said}{low:.3g} and {high:.3g}.", share=part)
