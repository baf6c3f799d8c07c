"""Reward hacking: the reward that one trains on rises, the one that is meant falls, and where the two part."""

from __future__ import annotations

from typing import Any

import polars as pl
import streamlit as st

import lab
from lab import measures, studies
from lab.figures.gold import parting_steps
from lab.methods import names
from lab.pages.shell import Page
from lab.pages.state import Choice, Choices, Flag, Number, Whole, seed
from lab.pages.words import head_start
from lab.trace import summarise
from simulators.reward_hacks.world import BASE, RewardHacks

STEPS, EVERY, TASKS = 300, 5, 64
TRAINING = {"imitation": "demonstrations", "reinforcement": "reinforcement"}
IMITATED = ("families", "shares", "demonstrations", "held_out")
MEASURE = ("value", "gold", "grad_norm")
REINFORCED = ("variants", "group_size", "lr", "steps")

page = Page(
    "reward-hacking",
    "When does the proxy part from what is meant?",
    [
        Choice(name="training", label="Training by", options=list(TRAINING), names=TRAINING, default="reinforcement"),
        Choices(name="variants", label="Variants", options=names(), default=["grpo", "dr_grpo"], most=4, width=340),
        Whole(name="group_size", label="Group size", low=2, high=32, default=8, width=150),
        Number(name="lr", label="Learning rate", low=0, high=20, step=0.5, default=1.0, typed=True, width=140),
        Choice(name="steps", label="Steps", options=[25, 60, 150], default=60),
        Choices(name="families", label="Families trained on", options=[1, 2, 4, 6, 12], default=[6], width=260),
        Choices(name="shares", label="Share of hacks (%)", options=[0, 10, 25, 50, 75, 100], default=[100, 0], most=6,
                width=300),
        Choice(name="demonstrations", label="Demonstrations", options=[100, 1000], default=1000,
               names={100: "100", 1000: "1 000"}),
        Flag(name="held_out", label="Test on families not trained on", default=True, width=260),
        Number(name="refuse", label="Initial logit of refusing", low=-2, high=3, step=0.5, default=2.0, width=200,
               help="Beside 2 of an honest answer and 0 of a hack: the higher, the more the first model refuses."),
        Flag(name="shared", label="A feature shared by all families", default=True, width=260,
             help="Through it a habit learned in one family reaches the others."),
        Whole(name="runs", label="Seeds", low=4, high=64, default=16, width=150,
              help="Independent runs; bands and the parting step rest on them."),
        seed(),
    ],
    {
        "Training on the proxy: when should one have stopped?": {},
        "A model that refuses nothing: is there any good step?": {"refuse": -1.0, "steps": 25},
        "Do demonstrations of hacks spread to other tasks?": {"training": "imitation", "refuse": -1.0},
        "Do more families make it worse?": {
            "training": "imitation", "refuse": -1.0, "families": [1, 2, 4, 6], "shares": [100], "demonstrations": 100},
        "How few hacks are harmless?": {
            "training": "imitation", "refuse": -1.0, "shares": [10, 25, 50, 75]},
        "And if the tasks shared nothing?": {
            "training": "imitation", "refuse": -1.0, "shared": False, "shares": [100]},
    },
)  # fmt: skip


@st.cache_data(max_entries=32, show_spinner="Training on the proxy …")
def reinforced(variants: list[str], refuse: float, shared: bool, runs: int, seed: int, **options: Any) -> pl.DataFrame:
    """The trace of training on the proxy, kept for a second look."""
    world = RewardHacks(TASKS, shared=shared, base=(*BASE[:2], refuse))
    seeds = range(seed, seed + runs)
    return lab.train(world, variants, seeds=seeds, measure=MEASURE, **options).frame


@st.cache_data(max_entries=32, show_spinner="Imitating demonstrations …")
def imitated(families: list[int], shares: list[float], refuse: float, runs: int, seed: int, **options: Any) -> Any:
    """The trace of imitating demonstrations, kept for a second look."""
    seeds = range(seed, seed + runs)
    return studies.hacking_study(families, shares, seeds=seeds, base=(*BASE[:2], refuse), **options)


def trace(state: dict[str, Any]) -> pl.DataFrame:
    """The trace of the page's state, complete runs only."""
    common = {name: state[name] for name in ("refuse", "shared", "runs", "seed")}
    if state["training"] == "reinforcement":
        return reinforced(state["variants"], **common, **{n: state[n] for n in ("group_size", "lr", "steps")})
    shares = [share / 100 for share in state["shares"]]
    given = {"demonstrations": state["demonstrations"], "held_out": state["held_out"], "every": EVERY, "steps": STEPS}
    return imitated(state["families"], shares, **common, **given)


def reading(parted: pl.DataFrame) -> str:
    """The sentence: where the first of them parts, what is lost from the best step on, and who does not part."""
    apart, together = parted.drop_nulls("step"), parted.filter(pl.col("step").is_null())["variant"].to_list()
    calm = f"Under {' and '.join(together)} they don't part." if together else ""
    if apart.is_empty():
        return calm
    row = apart.sort(pl.col("gold_best") - pl.col("gold_end"), descending=True).row(0, named=True)
    best = "before any training" if row["best"] == 0 else f"at step {row['best']}"
    ends = parted.sort("gold_end").row(-1, named=True)
    calm = calm or (
        f"The gold reward ends highest under {ends['variant']} ({ends['gold_end']:.2f})." if apart.height > 1 else ""
    )
    return (
        f"Under **{row['variant']}** the proxy, which is trained on, and the gold reward, which is meant, part at step "
        f"{row['step']}. The gold reward was best {best} "
        f"({row['gold_best']:.2f}) and ends at {row['gold_end']:.2f}, while the proxy rises from "
        f"{row['proxy_best']:.2f} to {row['proxy_end']:.2f}. {calm}"
    )


def lines(state: dict[str, Any]) -> str:
    """The code of the page."""
    seeds = f"range({state['seed']}, {state['seed'] + state['runs']})"
    shown = ["import lab", "from lab.trace import summarise"]
    if state["training"] == "reinforcement":
        shown += [
            "from simulators.reward_hacks.world import RewardHacks", "",
            f"world = RewardHacks({TASKS}, shared={state['shared']}, base=(2.0, 0.0, {state['refuse']:g}))",
            f"trace = lab.train(world, {state['variants']!r}, seeds={seeds}, steps={state['steps']},",
            f"                  group_size={state['group_size']}, lr={state['lr']:g}, "
            f"measure={MEASURE}).frame",
        ]  # fmt: skip
    else:
        shares = [share / 100 for share in state["shares"]]
        shown += [
            "",
            f"trace = lab.studies.hacking_study({state['families']}, {shares}, seeds={seeds}, "
            f"held_out={state['held_out']},",
            f"    demonstrations={state['demonstrations']}, base=(2.0, 0.0, {state['refuse']:g}), "
            f"shared={state['shared']})",
        ]
    return "\n".join([
        *shown,
        'known = trace.drop_nulls(["value", "gold"])',
        "parted = lab.measures.parting(known)",
        'lab.figures.parting_steps(summarise(known, ["value", "gold"]), parted=parted)',
    ])  # fmt: skip


state = page.open()
unused = IMITATED if state["training"] == "reinforcement" else REINFORCED
with page.controls():
    for name in state:
        if name not in unused:
            page.control(name)
frame = page.ask(trace, state)
known = frame.drop_nulls(["value", "gold"])
if known.is_empty():
    page.say("With all twelve families trained on, none is left to test on: test on those, or train on fewer.")
    page.finish(lines(state), frame, "the curves, run by run")
    st.stop()
parted = page.ask(measures.parting, known)
page.say(reading(parted) + head_start(frame))
page.show(parting_steps, page.ask(summarise, known, ["value", "gold"]), parted=parted)
page.finish(lines(state), frame, "the curves, run by run")
