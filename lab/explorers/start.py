"""Start: what an advantage is, in one picture, and where to go from there."""

from __future__ import annotations

from typing import Any

from lab import studies
from lab.advantages import statistics
from lab.explorers.contract import Explorer, Panel, Picture, State
from lab.explorers.properties import Choice, Whole
from lab.figures.groups import advantage_bars

RULES = ["grpo", "dr_grpo", "rloo"]
ANSWERS = 8
LEVEL = "share of right answers"
GUIDE = (
    "Each column is an answer: above, its reward, 1 where it is right and 0 where it is wrong; below, its advantage. "
    "The line is the mean reward of the group, which is the share of right answers; an answer above it becomes "
    "likelier, one below it rarer. A row without bars teaches nothing."
)


def explorer() -> Explorer:
    """What an advantage is."""
    return Explorer(
        name="start", label="Start", room="", title="What is an advantage?",
        properties=[
            Whole(name="right", label="Right answers of eight", low=0, high=ANSWERS, default=2),
            Choice(name="rule", label="Rule", options=RULES, default="grpo"),
        ],
        questions={
            "One prompt, eight answers: which are to become likelier?": {},
            "All wrong: what is left to learn?": {"right": 0},
            "One of eight is right: how much is it worth?": {"right": 1},
            "And without dividing by the spread?": {"rule": "dr_grpo"},
        },
        first=("right", "rule"), draw=picture,
    )  # fmt: skip


def picture(state: State) -> Picture:
    """One group of answers, right or wrong, and the advantage of each."""
    rewards = [1.0] * state["right"] + [0.0] * (ANSWERS - state["right"])
    table = studies.advantage_table([state["rule"]], rewards, true_mean=state["right"] / ANSWERS)
    return Picture(
        sentence=reading(table["advantage"].to_list(), state["right"], state["rule"]),
        panels=[Panel(advantage_bars, table, "The rewards of eight answers, and the advantage of each",
                      {"level": LEVEL}, GUIDE)],
        code="\n".join([
            "import lab", "",
            f"rewards = {rewards}",
            f"table = lab.studies.advantage_table([{state['rule']!r}], rewards, true_mean={state['right'] / ANSWERS})",
            f"lab.figures.advantage_bars(table, level={LEVEL!r})",
        ]),
        frame=table,
    )  # fmt: skip


def reading(advantages: list[Any], right: int, rule: str) -> str:
    """The sentence: what the right answers get, and what that does."""
    often = {0: "never right", 1: "right once"}.get(right, f"right {right} times")
    start = f"A model answers one prompt eight times and is {often}."
    if max(map(abs, advantages)) < statistics.NO_SIGNAL:
        return (
            f"{start} No answer is better than its group, so **every advantage is 0** and nothing is learnt from this "
            "prompt."
        )
    best, worst = max(advantages), min(advantages)
    return (
        f"{start} An advantage says how much better an answer is than its group: under **{rule}** a right one gets "
        f"**+{best:.2f}** and becomes likelier, a wrong one **−{abs(worst):.2f}** and becomes rarer."
    )
