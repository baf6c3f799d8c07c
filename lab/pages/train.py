"""Train: curves of several variants on the same draws, in any world of the lab."""

from __future__ import annotations

import polars as pl

from lab.figures.training import GLANCE, training
from lab.methods import variant
from lab.pages.places import SCENES
from lab.pages.runs import absent, asked, code, controls, fitting, goal, measured, settings, trained
from lab.pages.shell import Page
from lab.trace import lead, standing

_MUCH = 3.0  # times as long: from here on curves may part by the length of the steps alone

page = Page(
    "train",
    "Who learns, and at what price?",
    settings(["grpo", "dr_grpo", "mc-grpo"]),
    {
        "Right or wrong: who learns fastest?": {},
        "What if every reward is noisy?": {"law": "normal", "noise": 0.5},
        "What do outliers do?": {"law": "contaminated_normal", "noise": 0.3, "group_size": 4},
        "Are two rollouts enough?": {"law": "normal", "group_size": 2},
        "Does filling up the batch pay?": {"variants": ["grpo", "dapo", "ngrpo"], "group_size": 4},
        "What breaks at a large learning rate?": {"lr": 16.0},
        "Several turns: does credit by turns pay?": {"world": "turns", "variants": ["grpo", "mapo", "a2tgpo"]},
        "Several agents: one mean for all, or one each?": {
            "world": "agents", "variants": ["grpo", "dr-mas-global", "dr-mas"]},
        "Which edges of a graph matter?": {"world": "graphs", "variants": ["grpo", "graph-grpo"]},
        "Token by token: does length in the denominator matter?": {
            "world": "toy-lm", "variants": ["grpo", "dr_grpo", "luspo"]},
        "Does steering by token influence help?": {
            "world": "hidden-lm", "variants": ["grpo", "thr", "thr@explore"]},
        "Captions of three qualities: what does masking by length do?": {
            "world": "captions", "variants": ["grpo", "gdpo", "balcaprl"]},
        "A judge with moods: scores, or tournaments?": {"world": "judged", "variants": ["grpo", "arenarl"]},
        "Preference pairs: do token rewards help?": {
            "world": "preferences", "variants": ["simpo-reg", "t-reg", "t-reg@static"]},
        "A metric that can be gamed: does the gold follow?": {"world": "reward-hacks", "variants": ["grpo", "rloo"]},
    },
    SCENES,
)  # fmt: skip


def reading(frame: pl.DataFrame) -> str:
    """The sentence: who ends highest, by how much on the same draws, and who gave the most wrong signs."""
    metric, words = goal(frame)
    ends = standing(frame, metric, last=1).drop_nulls("mean").sort("mean", descending=True)
    best = ends.row(0, named=True)
    sentence = f"**{best['variant']}** ends highest, with {words} of {interval(best)}"
    if ends.height > 1:
        sentence += ahead(frame, metric, best["variant"], ends["variant"][1])
    return f"{sentence}.{wrong_signs(frame)}"


def wrong_signs(frame: pl.DataFrame) -> str:
    """Who gave the most rollouts the wrong sign over the run, and who the fewest, where they are told apart."""
    flips = standing(frame, "sign_flip").drop_nulls("mean").sort("mean") if "sign_flip" in frame.columns else None
    if flips is None or flips.is_empty():
        return ""
    fewest, most = flips.row(0, named=True), flips.row(-1, named=True)
    if flips.height == 1:
        return f" Over the run **{most['variant']}** gave {most['mean']:.0%} of the rollouts the wrong sign."
    gap = lead(frame, "sign_flip", most["variant"], fewest["variant"])["low"][0]
    if gap is None or gap <= 0:
        return f" Over the run the variants were not told apart by their wrong signs ({most['mean']:.0%} at most)."
    return (
        f" Over the run **{most['variant']}** gave the most wrong signs ({most['mean']:.1%}), {fewest['variant']} the "
        f"fewest ({fewest['mean']:.1%})."
    )


def head_start(frame: pl.DataFrame) -> str:
    """Whose first step was much longer than whose: at one learning rate, that alone parts the curves."""
    if "grad_norm" not in frame.columns:
        return ""
    limit = pl.col("variant").replace_strict({v: variant(v).max_grad_norm for v in frame["variant"].unique()})
    first = frame.filter(step=0).with_columns(pl.min_horizontal("grad_norm", limit.cast(pl.Float64)))
    steps = standing(first, "grad_norm").filter(pl.col("mean") > 0).sort("mean")
    if steps.height < 2 or steps["mean"][-1] < _MUCH * steps["mean"][0]:
        return ""
    longest, shortest = steps.row(-1, named=True), steps.row(0, named=True)
    ratio = longest["mean"] / shortest["mean"]
    times = f"{ratio:.1f}" if ratio < 10 else f"{ratio:,.0f}"
    return (
        f" At the same learning rate {longest['variant']}'s first step was {times} times as long as "
        f"{shortest['variant']}'s; that alone may move their curves apart."
    )


def ahead(frame: pl.DataFrame, metric: str, first: str, second: str) -> str:
    """How far the first lies ahead of the second, seed by seed."""
    gap = lead(frame, metric, first, second, last=1).row(0, named=True)
    if gap["low"] is None or gap["low"] <= 0:
        return f", not told apart from {second}"
    return f", {interval(gap)} above {second}"


def interval(row: dict[str, float | None]) -> str:
    """A mean with its 95% interval, as text."""
    if row["low"] is None:
        return f"{row['mean']:.3f}"
    return f"{row['mean']:.3f} ({row['low']:.3f} to {row['high']:.3f})"


state = page.open()
controls(page, state)
state = fitting(page)
measure = page.ask(measured, state, GLANCE)
trace = trained(page, state, measure)
summary = page.ask(trace.summary)
plain = "optimizer" not in asked(state)  # under Adam a step's length does not follow the gradient's
page.say(reading(trace.frame) + (head_start(trace.frame) if plain else ""))
page.show(training, summary, metrics=measure, height=290 * -(-summary["metric"].n_unique() // 3))
absent(state, GLANCE, trace.frame)
lines = [*code(state, measure), f"lab.figures.training(trace.summary(), metrics={measure!r})"]
page.finish("\n".join(lines), summary)
