"""Collapse: groups that teach nothing, and differences that a rule cannot see."""

from __future__ import annotations

import polars as pl
import streamlit as st

import lab
from lab import studies
from lab.figures.lines import curves
from lab.figures.rates import levels_by_size, silence, silence_by_size
from lab.methods import names
from lab.pages.places import about
from lab.pages.runs import left, legend, narrowed
from lab.pages.shell import Page
from lab.pages.state import Choice, Choices, seed
from lab.pages.studies import LAW, WORLDS_TOO, by_size, closed_to, rewards_only, short_code, short_run
from simulators.bandit.families import graded

SUCCESS = [i / 20 for i in range(21)]
COUNTED = [2, 3, 4, 6, 8, 10, 12]
POSSIBLE = [name for name in names() if name not in rewards_only()]
COUNT = {1: "one reward", 2: "two rewards", 3: "three rewards"}
STEPS, RUNS, RATE = 150, 16, 2.0

page = Page(
    "collapse",
    "When does a group teach nothing?",
    [
        Choice(name="world", label="Groups from", options=list(WORLDS_TOO), names=WORLDS_TOO, default=LAW, width=260),
        Choice(name="variant", label="Signal of", options=POSSIBLE, default="grpo", width=200, when={"world": [LAW]}),
        Choices(name="sizes", label="Group sizes", options=[2, 3, 4, 8, 16, 32, 64], default=[2, 4, 8, 16], most=6,
                width=280),
        Choices(name="rules", label="Rules compared", options=names(),
                default=["grpo", "dr_grpo", "gdpo@no-batch-norm"], most=5, width=420),
        Choice(name="rewards", label="Rewards each", options=[1, 2, 3], default=2, when={"world": [LAW]}),
        Choice(name="group_size", label="Group size in training", options=[2, 4, 8, 16], default=8),
        seed(),
    ],
    {
        "How hard may a prompt be?": {},
        "Are groups of two or three any use?": {"sizes": [2, 3], "group_size": 2},
        "Does a virtual success rescue the all-wrong groups?": {
            "variant": "ngrpo", "rules": ["grpo", "ngrpo"], "rewards": 1},
        "How many differences do three rewards show?": {"rewards": 3},
        "Several turns: do process rewards fill silent groups?": {
            "world": "turns", "rules": ["grpo", "mapo", "a2tgpo"]},
        "Several agents: which groups fall silent?": {
            "world": "agents", "rules": ["grpo", "dr-mas-global", "dr-mas"]},
        "Edges of a graph: what is left where all graphs agree?": {
            "world": "graphs", "rules": ["grpo", "graph-grpo"]},
    },
)  # fmt: skip


@st.cache_data(max_entries=64, show_spinner="Drawing groups …")
def signal(variant: str, sizes: list[int], seed: int) -> pl.DataFrame:
    """Share of groups without signal, kept for a second look."""
    return studies.signal_study(SUCCESS, sizes, variant=variant, seed=seed)


@st.cache_data(max_entries=64, show_spinner="Counting groups …")
def levels(rules: list[str], rewards: int) -> pl.DataFrame:
    """Groups that each rule tells apart, kept for a second look."""
    return studies.level_counts(rules, components=rewards, group_sizes=COUNTED)


@st.cache_data(max_entries=32, show_spinner="Training …")
def trained(rules: list[str], rewards: int, group_size: int, seed: int) -> pl.DataFrame:
    """Both measurements over a training run, kept for a second look."""
    seeds = range(seed, seed + RUNS)
    world = graded(heads=rewards)
    trace = lab.train(world, rules, steps=STEPS, seeds=seeds, group_size=group_size, lr=RATE, measure="full")
    return trace.summary(["no_signal", "levels"])


def reading(shares: pl.DataFrame, counts: pl.DataFrame, variant: str) -> str:
    """The sentence: how often the smallest and largest group teach nothing, and who tells most groups apart."""
    hard = shares.filter(pl.col("success").is_close(0.1)).drop_nulls("share").sort("group_size")
    hard = hard.unique("group_size", keep="first", maintain_order=True)
    parts = []
    if hard.height:
        small, large = hard.row(0, named=True), hard.row(-1, named=True)
        parts.append(
            f"Where one rollout in ten is right, all advantages of **{variant}** are zero in "
            f"**{small['share']:.0%}** of the groups of {small['group_size']}"
        )
        parts[0] += f", in {large['share']:.0%} of those of {large['group_size']}" if hard.height > 1 else ""
    last = counts.filter(pl.col("group_size") == pl.col("group_size").max()).sort("levels")
    most, least = last.row(-1, named=True), last.row(0, named=True)
    if most["levels"] > least["levels"]:
        parts.append(
            f"Groups of {most['group_size']} with {COUNT[most['components']]} each can come out in many ways; "
            f"**{most['rule']}** answers them with {most['levels']:,} different sets of advantages, "
            f"**{least['rule']}** with {least['levels']:,}, so it trains alike on groups that differ"
        )
    return ". ".join(parts) + "."


def worlds_reading(rates: pl.DataFrame, world: str) -> str:
    """The sentence for a world: how often the smallest groups teach each variant nothing."""
    small = rates.filter(pl.col("group_size") == pl.col("group_size").min()).sort("rate", descending=True)
    parts = [f"{row['rate']:.0%} under **{row['variant']}**" for row in small.iter_rows(named=True)]
    size = small["group_size"][0]
    return f"At the first policy of the world {world}, groups of {size} teach nothing: {', '.join(parts)}."


def of_right_or_wrong() -> None:
    """The pictures for rewards that are right or wrong."""
    shares = page.ask(signal, state["variant"], state["sizes"], state["seed"])
    counts = page.ask(levels, state["rules"], state["rewards"])
    page.say(reading(shares, counts, state["variant"]))
    summary = page.ask(trained, state["rules"], state["rewards"], state["group_size"], state["seed"])
    with page.panels():
        with st.container():
            st.subheader(f"Groups that teach {state['variant']} nothing", anchor=False)
            page.show(silence, shares, height=360)
        with st.container():
            st.subheader(f"The same while training, groups of {state['group_size']}", anchor=False)
            page.show(curves, summary, metric="no_signal", label="groups without signal", percent=True, key="silent")
        with st.container():
            st.subheader(f"Groups that a rule tells apart, {COUNT[state['rewards']]} each", anchor=False)
            page.show(levels_by_size, counts, height=360)
        with st.container():
            st.subheader("Different advantages in a group while training", anchor=False)
            page.show(curves, summary, metric="levels", label="levels per group (mean)", key="levels")
    page.finish(lines(), shares, "the groups that teach nothing, by success")


def lines() -> str:
    """The code for rewards that are right or wrong."""
    return f"""
import lab
from simulators.bandit.families import graded

shares = lab.studies.signal_study({SUCCESS}, {state["sizes"]},
                                      variant="{state["variant"]}", seed={state["seed"]})
lab.figures.silence(shares)

rules = {state["rules"]}
counts = lab.studies.level_counts(rules, components={state["rewards"]}, group_sizes={COUNTED})
lab.figures.levels_by_size(counts)

seeds = range({state["seed"]}, {state["seed"]} + {RUNS})
trace = lab.train(graded(heads={state["rewards"]}), rules, group_size={state["group_size"]}, seeds=seeds,
                  steps={STEPS}, lr={RATE}, measure="full")
summary = trace.summary(["no_signal", "levels"])
lab.figures.curves(summary, metric="no_signal", label="groups without signal", percent=True)
lab.figures.curves(summary, metric="levels", label="levels per group (mean)")
"""


def of_a_world() -> None:
    """The pictures where groups are drawn in a world."""
    world, variants, sizes, metrics = state["world"], state["rules"], sorted(state["sizes"]), ("no_signal", "levels")
    rates = page.ask(by_size, world, variants, sizes, "no_signal", state["seed"])
    summary = page.ask(short_run, world, variants, state["group_size"], metrics, state["seed"])
    page.say(worlds_reading(rates, world))
    with page.panels():
        with st.container():
            st.subheader("Groups that teach nothing, at the first policy", anchor=False)
            page.show(silence_by_size, rates, height=360)
        with st.container():
            st.subheader(f"The same while training, groups of {state['group_size']}", anchor=False)
            page.show(curves, summary, metric="no_signal", label="groups without signal", percent=True, key="silent")
        with st.container():
            st.subheader("Different advantages in a group while training", anchor=False)
            page.show(curves, summary, metric="levels", label="levels per group (mean)", key="levels")
    shown = [
        short_code(world, variants, sizes, state["group_size"], metrics, state["seed"]),
        "lab.figures.silence_by_size(rates)",
        'lab.figures.curves(summary, metric="no_signal", label="groups without signal", percent=True)',
        'lab.figures.curves(summary, metric="levels", label="levels per group (mean)")',
    ]
    page.finish("\n".join(shown), rates, "the groups that teach nothing, at the first policy")


state = page.open()
away = closed_to(state["world"])
with page.controls():
    for each in page.properties:
        if each.matters(state):
            page.control(each.name, **(narrowed(state["rules"], away) if each.name == "rules" else {}))
legend(away, "Rewards that are right or wrong, and nothing else." if state["world"] == LAW else about(state["world"]))
state = left(page, away, "rules")
if state["world"] == LAW:
    of_right_or_wrong()
else:
    of_a_world()
