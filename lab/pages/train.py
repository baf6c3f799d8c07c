"""Train: curves of several variants on the same draws."""

from __future__ import annotations

import polars as pl

from lab.figures.training import GLANCE, training
from lab.pages.runs import code, controls, settings, trained
from lab.pages.shell import Page
from lab.trace import lead, standing

MEASURE = GLANCE

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
    },
)


def reading(frame: pl.DataFrame) -> str:
    """The sentence: who ends highest, by how much on the same draws, and who gave the most wrong signs."""
    ends = standing(frame, "value", last=1).drop_nulls("mean").sort("mean", descending=True)
    flips = standing(frame, "sign_flip").drop_nulls("mean").sort("mean", descending=True)
    best = ends.row(0, named=True)
    sentence = f"**{best['variant']}** ends highest, with an expected reward of {interval(best)}"
    if ends.height > 1:
        sentence += ahead(frame, best["variant"], ends["variant"][1])
    if flips.height:
        most = flips.row(0, named=True)
        least = f", {flips['variant'][-1]} the fewest ({flips['mean'][-1]:.0%})" if flips.height > 1 else ""
        sentence += f". Over the run **{most['variant']}** gave the most wrong signs ({most['mean']:.0%}){least}"
    return sentence + "."


def ahead(frame: pl.DataFrame, first: str, second: str) -> str:
    """How far the first lies ahead of the second, seed by seed."""
    gap = lead(frame, "value", first, second, last=1).row(0, named=True)
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
trace = trained(page, MEASURE)
summary = page.ask(trace.summary, GLANCE)
page.say(reading(trace.frame))
page.show(training, summary)
page.finish("\n".join([*code(state, MEASURE), "lab.figures.training(trace.summary())"]), summary)
