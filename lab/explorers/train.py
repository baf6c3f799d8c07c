"""Train: curves of several variants on the same draws, in any world of the lab."""

from __future__ import annotations

import polars as pl

from lab.explorers.contract import COMPARE, Explorer, Panel, Picture, Questions, State
from lab.explorers.places import scenes
from lab.explorers.runs import (
    FIRST,
    absent,
    code,
    fairness,
    fitting,
    follows_gradient,
    goal,
    measured,
    of_possible,
    offer,
    or_fair,
    settings,
    trained,
)
from lab.explorers.words import head_start, interval
from lab.figures.training import GLANCE, training
from lab.measures.metrics import AGAINST_EXPECTED
from lab.trace import lead, standing

QUESTIONS: Questions = {
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
}  # fmt: skip


def explorer() -> Explorer:
    """Who learns, in any world."""
    properties = or_fair(settings(["grpo", "dr_grpo", "mc-grpo"]))
    return Explorer(
        name="train", label="Train", room=COMPARE, title="Who learns, and at what price?",
        properties=properties, first=FIRST, questions=QUESTIONS, scenes=scenes(properties), offer=offer, draw=picture,
    )  # fmt: skip


@of_possible(fitting)
def picture(state: State) -> Picture:
    """Six measurements over the steps of a run."""
    measure = measured(state, GLANCE)
    trace = trained(state, measure)
    summary = trace.summary()
    return Picture(
        sentence=reading(trace.frame) + lengths(state, trace.frame),
        panels=[Panel(training, summary, options={"metrics": measure})],
        code="\n".join([
            *code(state, measure), "summary = trace.summary()", f"lab.figures.training(summary, metrics={measure!r})",
        ]),
        frame=summary,
        notes=absent(state, GLANCE, trace.frame),
    )  # fmt: skip


def lengths(state: State, frame: pl.DataFrame) -> str:
    """Whether the comparison is fair: each at its own learning rate, or whose first step was longer."""
    if state["fair"]:
        return fairness(state)
    return head_start(frame) if follows_gradient(state) else ""


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
        share = f"{most['mean']:.0%} of the rollouts the wrong sign {AGAINST_EXPECTED}"
        return f" Over the run **{most['variant']}** gave {share}."
    gap = lead(frame, "sign_flip", most["variant"], fewest["variant"])["low"][0]
    if gap is None or gap <= 0:
        wrong = f"their wrong signs {AGAINST_EXPECTED} ({most['mean']:.0%} at most)"
        return f" Over the run the variants were not told apart by {wrong}."
    return (
        f" Over the run **{most['variant']}** gave the most wrong signs {AGAINST_EXPECTED} ({most['mean']:.1%}), "
        f"{fewest['variant']} the fewest ({fewest['mean']:.1%})."
    )


def ahead(frame: pl.DataFrame, metric: str, first: str, second: str) -> str:
    """How far the first lies ahead of the second, seed by seed."""
    gap = lead(frame, metric, first, second, last=1).row(0, named=True)
    if gap["low"] is None or gap["low"] <= 0:
        return f", not told apart from {second}"
    return f", {interval(gap)} above {second}"
