"""Sign flips: how often an advantage points the wrong way, against group size and reward law."""

from __future__ import annotations

import polars as pl
import streamlit as st

from lab import diagnostics
from lab.figures.rates import flips_by_law, flips_by_size
from lab.pages.shell import Page
from lab.pages.state import Choice, Choices, seed
from lab.variants import names
from simulators import reward_laws

SIZES = [2, 4, 8, 16, 32, 64]
LAWS = {law.name: law.name.replace("_", " ") for law in reward_laws.named()} | {"bernoulli": "right or wrong"}

page = Page(
    "sign-flips",
    "How often does an advantage have the wrong sign?",
    [
        Choices(name="variants", label="Variants", options=names(), default=["grpo", "mc-grpo", "ngrpo"], width=440),
        Choice(name="law", label="Reward law", options=list(LAWS), names=LAWS, default="contaminated_normal"),
        Choice(name="group_size", label="Group size", options=SIZES, default=8, width=120),
        Choice(name="prompts", label="Groups drawn", options=[1000, 4000, 20000], default=4000,
               names={1000: "1 000", 4000: "4 000", 20000: "20 000"}),
        seed(),
    ],
    {
        "Outliers: does the mean or the median err less?": {},
        "Well-behaved rewards: how much does a larger group help?": {"law": "normal", "group_size": 32},
        "Skewed rewards: is the median still better?": {"law": "log_normal"},
        "Right or wrong: can a sign be wrong at all?": {"law": "bernoulli"},
        "Three levels: do draws and formula agree?": {"law": "three_level", "prompts": 20000},
    },
)  # fmt: skip


@st.cache_data(max_entries=64, show_spinner="Drawing groups …")
def study(variants: list[str], laws: list[str], sizes: list[int], prompts: int, seed: int) -> pl.DataFrame:
    """Sign-flip rates, kept for a second look."""
    return diagnostics.sign_flip_study(variants, laws, sizes, prompts=prompts, seed=seed)


def reading(here: pl.DataFrame, law: str, size: int) -> str:
    """The sentence: who errs most and who least at this law and size, and whether they can be told apart."""
    known = here.drop_nulls("rate").unique("variant", keep="first", maintain_order=True).sort("rate")
    place = f"With {LAWS[law]} rewards and groups of {size}"
    if known.is_empty():
        return f"{place} no rollout has a sign to get wrong."
    least, most = known.row(0, named=True), known.row(-1, named=True)
    if most["high"] == 0:
        return f"{place} no sign is ever wrong: the baseline always lies between right and wrong."
    if known.height == 1:
        return f"{place} **{most['variant']}** gives {most['rate']:.1%} of the rollouts the wrong sign."
    apart = "" if least["high"] < most["low"] else ", which these draws do not tell apart"
    return (
        f"{place} **{most['variant']}** gives {most['rate']:.1%} of the rollouts the wrong sign, "
        f"**{least['variant']}** {least['rate']:.1%}{apart}."
    )


state = page.open()
with page.controls():
    for name in state:
        page.control(name)
drawn = {"prompts": state["prompts"], "seed": state["seed"]}
by_size = page.ask(study, state["variants"], [state["law"]], SIZES, **drawn)
by_law = page.ask(study, state["variants"], list(LAWS), [state["group_size"]], **drawn)
page.say(reading(by_size.filter(pl.col("group_size") == state["group_size"]), state["law"], state["group_size"]))
with page.panels():
    with st.container():
        st.subheader(f"By group size, {LAWS[state['law']]} rewards", anchor=False)
        page.show(flips_by_size, by_size)
    with st.container():
        st.subheader(f"By reward law, groups of {state['group_size']}", anchor=False)
        page.show(flips_by_law, by_law)
page.finish(
    f"""
import lab

variants = {state["variants"]}
drawn = dict(prompts={state["prompts"]}, seed={state["seed"]})
by_size = lab.diagnostics.sign_flip_study(variants, ["{state["law"]}"], {SIZES}, **drawn)
lab.figures.flips_by_size(by_size)

by_law = lab.diagnostics.sign_flip_study(variants, {list(LAWS)}, [{state["group_size"]}], **drawn)
lab.figures.flips_by_law(by_law)
""",
    pl.concat([by_size, by_law]).unique(maintain_order=True),
)
