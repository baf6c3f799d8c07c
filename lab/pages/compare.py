"""Compare: several variants on the same draws, side by side in everything that the lab measures."""

from __future__ import annotations

from typing import Any

import polars as pl
import streamlit as st

import lab
from lab import studies
from lab.figures.implied_reward import implied_distances
from lab.figures.lines import curves
from lab.figures.training import training
from lab.pages.places import PLACES, SCENES, given, group_size
from lab.pages.runs import absent, asked, code, controls, fitting, goal, measured, settings, trained
from lab.pages.shell import Page
from lab.pages.words import head_start
from lab.trace import leads, standing

MEASURE = ("value", "sign_flip", "no_signal", "grad_norm", "advantage_max", "entropy", "levels")
SHOWN = ("grad_norm", "sign_flip", "levels", "no_signal", "advantage_max")
PAIRED = (
    "Each seed's difference on the same draws, averaged, with its 95% interval over seeds: where the band leaves out "
    "0, the two are told apart, even if their own bands overlap."
)
SHORT = {
    "shift": "blind to a shift of all rewards", "scale": "blind to their scale", "permutation": "order is no matter",
    "zero_sum": "sums to zero in a group", "bounded": "bounded", "silent": "equal rewards teach nothing",
    "groupwise": "sees one group at a time",
}  # fmt: skip

page = Page(
    "compare",
    "On the same draws, which variant is better, and what does it cost?",
    settings(["grpo", "dr_grpo", "rloo"], steps=150),
    {
        "Does dividing by the spread help?": {},
        "Mean or median, under outliers?": {
            "variants": ["grpo", "mc-grpo", "mc-grpo-control"], "law": "contaminated_normal"},
        "Statistics of the group or of the batch?": {"variants": ["grpo", "bnpo", "reinforce_pp"]},
        "What do the trainers' presets change?": {
            "variants": ["grpo@trl", "grpo@verl", "grpo@openrlhf", "grpo@nemo-rl"], "law": "normal"},
        "What can be done with four rollouts?": {
            "variants": ["grpo", "ngrpo", "dapo", "mc-grpo"], "group_size": 4},
        "Several turns: all at once, by turns, or both?": {
            "world": "turns", "variants": ["grpo", "mapo@batch", "mapo@turn", "mapo"]},
        "Several agents: what does one mean for all cost?": {
            "world": "agents", "variants": ["dr-mas-global", "dr-mas", "grpo"]},
        "Several rewards: added first, or normalised first?": {
            "world": "captions", "variants": ["grpo", "gdpo", "gdpo@no-batch-norm", "balcaprl"]},
        "A judge with moods: which tournament?": {
            "world": "judged", "variants": ["grpo", "arenarl", "arenarl@swiss", "arenarl@anchor"], "steps": 50},
    },
    SCENES,
)  # fmt: skip


@st.cache_data(max_entries=64, show_spinner="Averaging advantages …")
def implied(name: str, settings: dict[str, Any], variants: list[str], group_size: int, seed: int) -> pl.DataFrame:
    """Distances of the implied rewards at the first policy, kept for a second look."""
    world = lab.world(name, **settings)
    return studies.implied_distance(world, variants, group_size=group_size, groups=1024, seed=seed)


def promises(variants: list[str]) -> str:
    """A table of what each variant's advantage rule declares, as Markdown."""
    rows = [["", *variants], ["---", *[":---:"] * len(variants)]]
    for name, words in SHORT.items():
        badges = [":green-badge[yes]" if name in declared(v) else ":gray-badge[no]" for v in variants]
        rows.append([f":small[{words}]", *badges])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def declared(variant: str) -> frozenset[str]:
    """Properties of a variant's advantage rule."""
    return lab.advantages.rule(lab.variant(variant).advantage).properties


def reading(frame: pl.DataFrame, ahead: pl.DataFrame, distances: pl.DataFrame | None, base: str, *, plain: bool) -> str:
    """The sentence: who ends where, which differences are told apart, and who climbs another reward.

    `plain` says that a step's length follows the gradient's, so that first steps can be compared.
    """
    metric, words = goal(frame)
    first = standing(frame, metric, last=1).filter(pl.col("variant") == base).row(0, named=True)
    sentence = f"**{base}** ends at {words} of {first['mean']:.3f}"
    parts = [_beside(row) for row in ahead.iter_rows(named=True)]
    sentence += f"; on the same draws {', '.join(parts)}." if parts else "."
    sentence += (head_start(frame) if plain else "") + " "
    if distances is None:
        return sentence
    known = distances.drop_nulls("distance").sort("distance")
    if known.is_empty():
        return sentence + "None of them has an implied reward here."
    far = known.row(-1, named=True)
    if far["low"] < 0.0005:
        return sentence + "Averaged over draws, the true reward is climbed."
    most = "furthest, " if known.height > 1 else ""
    return (
        f"{sentence}Averaged over draws an update climbs the mean advantage of each response, not its reward; under "
        f"**{far['variant']}** the two lie {most}{far['distance']:.2f} apart (0: the true reward is climbed, 1: no "
        f"relation)."
    )


def _beside(row: dict[str, Any]) -> str:
    """Where a variant ends beside the base, if that can be told."""
    if row["low"] is None or row["low"] <= 0 <= row["high"]:
        return f"{row['variant']} is not told apart"
    return f"{row['variant']} lies {abs(row['mean']):.3f} {'above' if row['mean'] > 0 else 'below'}"


def promised() -> None:
    """The table of what the advantage rules declare."""
    st.subheader("What its advantages promise", anchor=False)
    st.markdown(promises(state["variants"]))
    st.caption("As declared by the advantage rule; each yes is tested, and each no has a counterexample.")


def lines() -> str:
    """The code of the page."""
    shown = [
        *code(state, measure),
        "summary = trace.summary()",
        f"lab.figures.curves(summary, metric={metric!r}, label={label!r})",
        f"lab.figures.training(summary, metrics={shared}, columns=2)",
    ]
    if gaps.height:
        shown += [
            "",
            "from lab.trace import leads",
            f"ahead = leads(trace.frame, {metric!r}, {base!r})",
            f'lab.figures.curves(ahead, metric="lead", label="{label} above {base}")',
        ]
    if distances is not None:
        shown += [
            "",
            f"distances = lab.studies.implied_distance(world, {state['variants']!r},",
            f"                                             group_size={size}, groups=1024, seed={state['seed']})",
            "lab.figures.implied_distances(distances)",
        ]
    return "\n".join(shown)


state = page.open()
controls(page, state)
state = fitting(page)
measure, size = page.ask(measured, state, MEASURE), group_size(state)
trace = trained(page, state, measure)
metric, words = goal(trace.frame)
label = words.split(" ", 1)[1]
summary, base = page.ask(trace.summary), trace.variants[0].name
shared = [name for name in (*SHOWN, "gold") if name in trace.frame.columns]
gaps = page.ask(leads, trace.frame, metric, base)
distances = None
if PLACES[state["world"]].here.listed:
    distances = page.ask(implied, state["world"], given(state), state["variants"], size, state["seed"])
plain = asked(state).get("optimizer", "sgd") == "sgd"  # under Adam a step's length does not follow the gradient's
page.say(reading(trace.frame, gaps.filter(pl.col("step") == pl.col("step").max()), distances, base, plain=plain))
with page.panels():
    with st.container():
        st.subheader(label[:1].upper() + label[1:], anchor=False)
        page.show(curves, summary, metric=metric, label=label, key="value")
    with st.container():
        st.subheader(f"The same, less that of {base}, seed by seed", anchor=False)
        if gaps.height:
            page.show(curves, gaps, metric="lead", label=f"{label} above {base}", key="lead", guide=PAIRED)
        else:
            st.caption("Choose a second variant, and its lead over the first is drawn here.")
    if distances is not None:
        with st.container():
            st.subheader("The reward that it climbs", anchor=False)
            page.show(implied_distances, distances)
    with st.container():
        promised()
st.subheader("Where the difference comes from", anchor=False)
page.show(training, summary, metrics=shared, columns=2, height=280 * -(-len(shared) // 2))
absent(state, MEASURE, trace.frame)
page.finish(lines(), summary, "all curves but the lead")
