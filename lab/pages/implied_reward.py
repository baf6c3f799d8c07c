"""Implied reward: which reward an estimator really climbs, over group size and success probability."""

from __future__ import annotations

import polars as pl
import streamlit as st

from lab import studies
from lab.figures.implied_reward import implied_lift, implied_over_success
from lab.methods import names
from lab.pages.shell import Page
from lab.pages.state import Choice, Choices, Number, seed
from lab.pages.words import listed

SIZES = [2, 4, 8, 16, 32, 64]
SUCCESS = [0.02, *(i / 20 for i in range(1, 20)), 0.98]

page = Page(
    "implied-reward",
    "Which reward does an estimator really climb?",
    [
        Choices(name="variants", label="Variants", options=names(), default=["grpo", "dr_grpo", "mc-grpo"], most=6,
                width=440),
        Choices(name="sizes", label="Group sizes", options=SIZES, default=[2, 4, 8, 16, 32], most=6, width=330),
        Choice(name="group_size", label="Looked at", options=SIZES, default=8, width=110),
        Number(name="beside", label="The other prompt succeeds with", low=0.05, high=0.95, step=0.05, default=0.5),
        Choice(name="groups", label="Groups drawn", options=[1024, 4096, 16384], default=1024,
               names={1024: "1 024", 4096: "4 096", 16384: "16 384"},
               help="Only for rules whose groups can't be listed, because they look at the whole batch."),
        seed(),
    ],
    {
        "Does dividing by the spread change the goal?": {},
        "Why is a pair of rollouts harmless?": {
            "sizes": [2], "group_size": 2, "variants": ["grpo", "mc-grpo", "ngrpo"]},
        "What if the other prompt is nearly solved?": {"beside": 0.9},
        "Do trainers differ in what they climb?": {
            "variants": ["grpo@trl", "grpo@verl", "grpo@trl-none"], "sizes": [4, 16, 64], "group_size": 16},
        "What does a virtual success add?": {"variants": ["grpo", "ngrpo"], "sizes": [4, 8, 16]},
    },
)  # fmt: skip


@st.cache_data(max_entries=64, show_spinner="Listing groups …")
def study(variants: list[str], sizes: list[int], beside: float, groups: int, seed: int) -> pl.DataFrame:
    """The study, kept for a second look."""
    return studies.implied_reward_study(variants, sizes, SUCCESS, beside=beside, groups=groups, seed=seed)


def reading(here: pl.DataFrame, size: int, beside: float) -> str:
    """The sentence: who is furthest from the true reward on a hard prompt, and who is not away at all."""
    hard = here.filter(pl.col("success") == 0.1).drop_nulls("distance").sort("distance", maintain_order=True)
    place = f"One prompt succeeds in 10%, another in {beside:.0%}, groups of {size}"
    if hard.is_empty():
        return (
            f"{place}: these variants have no implied reward here; they refuse such rewards, or read what is lacking."
        )
    far, true = hard.row(-1, named=True), hard.filter(pl.col("low") < 0.0005)["variant"].to_list()
    kept = f"{listed(true)} climb{'s' if len(true) == 1 else ''} the true reward" if true else ""
    if far["low"] < 0.0005:
        return f"{place}: {kept}."
    lift = ""
    if far["lift"]:
        lift = f"; it counts a right answer to the first {far['lift']:.2g} times as much as one to the second, not once"
    said = (
        f"{place}: on average **{far['variant']}** climbs a reward that lies {far['distance']:.2f} from the true one "
        f"(0: the same, 1: no relation){lift}"
    )
    return f"{said}; {kept}." if kept else f"{said}."


state = page.open()
with page.controls():
    for name in state:
        page.control(name)
given = state["beside"], state["groups"], state["seed"]
everywhere = page.ask(study, state["variants"], sorted(state["sizes"]), *given)
here = page.ask(study, state["variants"], [state["group_size"]], *given)
page.say(reading(here, state["group_size"], state["beside"]))
st.subheader("Distance from the true reward", anchor=False)
page.show(implied_over_success, everywhere)
st.subheader(f"What is lifted and what is neglected, groups of {state['group_size']}", anchor=False)
page.show(implied_lift, here)
page.finish(
    f"""
import polars as pl

import lab

success = {SUCCESS}
drawn = dict(beside={state["beside"]:g}, groups={state["groups"]}, seed={state["seed"]})
study = lab.studies.implied_reward_study({state["variants"]}, {sorted(state["sizes"])}, success, **drawn)
lab.figures.implied_over_success(study)

here = lab.studies.implied_reward_study({state["variants"]}, [{state["group_size"]}], success, **drawn)
lab.figures.implied_lift(here)
both = pl.concat([study, here]).unique(maintain_order=True)
""",
    pl.concat([everywhere, here]).unique(maintain_order=True),
    "both pictures",
)
