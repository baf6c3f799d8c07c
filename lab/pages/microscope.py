"""Microscope: one group of rewards, dragged by hand, and what every rule makes of it."""

from __future__ import annotations

from typing import Any

import polars as pl
import streamlit as st

import lab
from lab import advantages
from lab.figures.groups import advantage_bars
from lab.measures.metrics import AGAINST_DRAWN
from lab.pages import strip
from lab.pages.shell import Page, plain
from lab.pages.state import Choice, Choices, Number, Rewards, Whole, seed
from lab.registry import PROPERTIES
from lab.studies.field_samples import FieldSample, field_source, field_sources, field_table, sample_fields
from lab.studies.what_if import advantage_summary, advantage_table, grid, read_by, what_if

RANGES = {"unit": (0.0, 1.0), "double": (0.0, 2.0), "signed": (-1.0, 1.0), "large": (-10.0, 10.0)}
RANGE_NAMES = {"unit": "0 to 1", "double": "0 to 2", "signed": "−1 to 1", "large": "−10 to 10"}
BADGES = {
    "shift": "unchanged by a shift", "scale": "unchanged by scale", "permutation": "permutes along",
    "zero_sum": "sums to zero", "bounded": "bounded", "silent": "silent when all agree", "groupwise": "group alone",
}  # fmt: skip
RULES = advantages.names()
SOURCES = field_sources()
FITTING = "fitting"
SOURCE_NAMES = {FITTING: "the world that fits the rules"}
TRAINERS = [
    "grpo@trl", "grpo@verl", "grpo@openrlhf", "grpo@nemo-rl", "grpo@rlhf-book", "grpo@nano-aha-moment",
    "grpo@grpo-zero", "grpo@grpo-advantage",
]  # fmt: skip


def group(*rewards: float) -> list[list[list[float]]]:
    """One group with one reward per rollout."""
    return [[[reward] for reward in rewards]]


OUTLIER = group(0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 2.0)
REWARDS = Rewards(name="rewards", default=OUTLIER)
SOME = ["grpo", "dr_grpo", "mc-grpo", "ngrpo", "bnpo"]
MIXED = group(0, 1, 0, 1, 0, 1, 1, 0)
ONE = group(0, 0, 0, 0, 1, 0, 0, 0)
JUDGED = group(-0.292, -0.61, 0.29, -0.494, 0.582, 0.671, 0.34, -0.109)
CANCEL = [[[1, 0], [1, 0], [1, 0], [1, 0], [1, 0], [1, 1], [0, 1], [0, 1]]]

page = Page(
    "microscope",
    "What do these rewards teach?",
    [
        REWARDS,
        Choices(name="rules", label="Rules", options=RULES, default=SOME, width=560),
        Number(name="truth", label="True mean", low=-20, high=20, step=0.01, default=0.38, typed=True, width=140,
               help="Expected reward of the policy: a rollout above it deserves a positive advantage."),
        Choice(name="range", label="Range of a reward", options=list(RANGES), names=RANGE_NAMES, default="double"),
        Choice(name="scale", label="Scale of advantages", options=[1, 3, 10, 100], default=3,
               names={1: "±1", 3: "±3", 10: "±10", 100: "±100"}),
        Choice(name="precision", label="Arithmetic", options=["float64", "float32"], default="float64"),
        Whole(name="rollout", default=4, low=1, high=64),
        Choice(name="source", label="Fields from", options=[FITTING, *SOURCES], names=SOURCE_NAMES, default=FITTING,
               help="Where turns, agents, hidden states and the like come from; the rewards stay yours."),
        seed(),
    ],
    {
        "One outlier: who gets the wrong sign?": {},
        "One right of eight: who learns?": {
            "rewards": group(1, 0, 0, 0, 0, 0, 0, 0), "truth": 0.2, "range": "unit", "rollout": 1},
        "All eight are wrong: what is learnt?": {
            "rewards": group(*[0] * 8), "truth": 0.2, "range": "unit", "rollout": 1},
        "All eight are right: what is left to learn?": {
            "rewards": group(*[1] * 8), "truth": 0.8, "range": "unit", "rollout": 1},
        "Two rewards that cancel: who still tells them apart?": {
            "rewards": CANCEL, "truth": 1.0, "range": "unit", "rollout": 1,
            "rules": ["grpo", "dr_grpo", "gdpo", "mc-grpo"]},
        "Eight times 0.3 in float32: what do trainers say?": {
            "rewards": group(*[0.3] * 8), "truth": 0.3, "range": "unit", "scale": 1, "rollout": 1, "rules": TRAINERS,
            "precision": "float32"},
        "Eight times 0.3 in float64?": {
            "rewards": group(*[0.3] * 8), "truth": 0.3, "range": "unit", "scale": 1, "rollout": 1,
            "rules": TRAINERS},
        "Several turns: who gets the credit?": {
            "rewards": MIXED, "truth": 0.55, "range": "unit", "rollout": 2,
            "rules": ["grpo", "mapo", "a2tgpo", "igpo"]},
        "Several agents: one mean for all, or one each?": {
            "rewards": MIXED, "truth": 0.51, "range": "unit", "rollout": 2,
            "rules": ["grpo", "dr-mas-global", "dr-mas"]},
        "Whose tokens move the others' most?": {
            "rewards": MIXED, "truth": 0.5, "range": "unit", "rollout": 2, "rules": ["grpo", "nthr", "thr"]},
        "Which edges of a graph deserve it?": {
            "rewards": ONE, "truth": 0.09, "range": "unit", "rollout": 5, "rules": ["grpo", "graph-grpo"]},
        "A judge's comparisons: what does a tournament say?": {
            "rewards": JUDGED, "truth": 0.35, "range": "signed", "rollout": 2, "source": "judged",
            "rules": ["grpo", "arenarl", "arenarl@swiss"]},
    },
)  # fmt: skip

Groups = list[list[list[float]]]
Fields = dict[str, Any]


@st.cache_data(max_entries=32, show_spinner=False)
def sampled(world: str, prompts: int, rollouts: int, seed: int) -> FieldSample:
    """Fields of a few rollouts of a world."""
    return sample_fields(lab.world(world), prompts=prompts, rollouts=rollouts, seed=seed)


def source(state: dict[str, Any]) -> str | None:
    """The world that fields come from; None where no rule needs any and none was asked for."""
    return field_source(state["rules"]) if state["source"] == FITTING else str(state["source"])


def served(rules: list[str], world: str | None) -> list[str]:
    """The rules that have all their fields; the others are named with what they lack."""
    has = SOURCES[world] if world else frozenset()
    left = [name for name in rules if has >= set(advantages.rule(name).required)]
    for name in rules:
        if name not in left:
            lacks = ", ".join(f for f in advantages.rule(name).required if f not in has)
            homes = [home for home, found in SOURCES.items() if found >= set(advantages.rule(name).required)]
            st.warning(f"**{name}** is left out: it reads {plain(lacks)}, which {plain(world)} does not have. "
                       f"Take the fields from {' or '.join(homes)} to see it.")  # fmt: skip
    return left


def fields_below(sample: FieldSample) -> None:
    """Where the fields come from, the fields themselves, and a way to take over the rewards of that world."""
    names = ", ".join(sorted(sample.fields))
    st.caption(
        f"Rewards are yours. The rest ({names}) comes from rollouts of the world {sample.world} under its first "
        "policy, drawn with the seed above; scores of turns and of a judge count beside your rewards or in their "
        "place. An advantage per turn, token or edge is drawn as its mean over the rollout; under Why it is in full."
    )
    with st.expander("The fields of each rollout"):
        st.dataframe(field_table(sample), hide_index=True)
        st.button("Take that world's own rewards too", on_click=take, args=(sample,))


def take(sample: FieldSample) -> None:
    """Sets the rewards and the true mean to those of the sample."""
    page.set(rewards=REWARDS.fitted(sample.rewards.tolist()), truth=round(float(sample.value.mean()), 4))


@st.cache_data(max_entries=32, show_spinner=False)
def scene(
    rules: list[str], rewards: Groups, reach: str, truth: float, precision: str, fields: Fields, **look: Any
) -> dict[str, Any]:
    """What the strip draws for these settings."""
    values = grid(*RANGES[reach], rewards)
    seen = what_if(rules, rewards, values, true_mean=truth, precision=precision, fields=fields)
    return strip.payload(seen, rewards, rules, values, true_mean=truth, **look)


def moved(values: list[float], selected: int) -> None:
    """Takes over what was dragged or chosen in the strip."""
    rewards, numbers = st.session_state[page.key("rewards")], iter(values)
    page.set(rewards=[[[next(numbers) for _ in cell] for cell in cells] for cells in rewards], rollout=selected + 1)


def reshape() -> None:
    """Gives the groups the shape of the three number fields; new rollouts repeat the last one."""
    shape = [int(st.session_state[page.key(name)]) for name in ("P", "G", "K")]
    page.set(rewards=REWARDS.reshaped(st.session_state[page.key("rewards")], *shape))


def shape_fields(rewards: Groups) -> None:
    """Three fields for the number of prompts, rollouts and reward components."""
    sizes = {
        "P": ("Prompts", len(rewards), REWARDS.prompts),
        "G": ("Rollouts", len(rewards[0]), REWARDS.rollouts),
        "K": ("Rewards each", len(rewards[0][0]), REWARDS.components),
    }
    for name, (label, value, most) in sizes.items():
        st.session_state[page.key(name)] = value
        st.number_input(label, 1, most, key=page.key(name), on_change=reshape, width=130)


def names_of(frame: pl.DataFrame, total: int) -> str:
    """Variants of a summary as a sentence lists them; all of more than three are "all"."""
    names = [f"**{name}**" for name in frame["variant"]]
    if len(names) == total > 3:
        return f"all {total} rules"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def reading(summary: pl.DataFrame, precision: str) -> str:
    """The sentence: who teaches nothing, who gives wrong signs, who sees a difference where there is none."""
    rules, parts = summary.height, []
    refused, summary = summary.filter("refused"), summary.filter(~pl.col("refused"))
    wrong = summary.filter(pl.col("flipped") > 0).sort("flipped", descending=True)
    silent, phantom = summary.filter("silent"), summary.filter("phantom").sort("largest", descending=True)
    if phantom.height:
        parts.append(
            f"all rewards of a group are equal, yet in {precision} {names_of(phantom, rules)} still "
            f"{'gives' if phantom.height == 1 else 'give'} an advantage, of up to {phantom['largest'][0]:.2g}"
        )
    if silent.height:
        by = "any of these rules" if silent.height == rules else names_of(silent, rules)
        parts.append(f"nothing is learnt from these rewards by {by}")
    if wrong.height:
        most, of = wrong["flipped"][0], wrong["rollouts"][0]
        parts.append(
            f"the wrong sign {AGAINST_DRAWN} goes to up to {most} of {of} rollouts under {names_of(wrong, rules)}"
        )
        clean = summary.filter((pl.col("flipped") == 0) & ~pl.col("silent"))
        parts += [f"to none under {names_of(clean, rules)}"] if clean.height else []
    if refused.height:
        parts.append(f"such rewards are refused by {names_of(refused, rules)}")
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}." if parts else contrast(summary)


def contrast(summary: pl.DataFrame) -> str:
    """The sentence where every sign is right: how far the rules differ in size and in the levels they tell apart."""
    fewest, most = summary.sort("levels", maintain_order=True)[[0, -1]].iter_rows(named=True)
    small, large = summary.sort("largest", maintain_order=True)[[0, -1]].iter_rows(named=True)
    sizes = (
        f"Every sign is right. The largest advantage is {small['largest']:.3g} under **{small['variant']}** and "
        f"{large['largest']:.4g} under **{large['variant']}**"
    )
    if most["levels"] == fewest["levels"]:
        return f"{sizes}."
    return (
        f"{sizes}; **{most['variant']}** tells {most['levels']} kinds of rollout apart, "
        f"**{fewest['variant']}** {fewest['levels']}."
    )


def why(rules: list[str], rewards: Groups, rollout: int, precision: str, fields: Fields) -> None:
    """The formula of every rule with the numbers of the chosen rollout, and what the rule is known to keep."""
    prompt, place = divmod(rollout - 1, len(rewards[0]))
    st.subheader(f"Why? Rollout {place + 1}" + (f" of prompt {prompt + 1}" if len(rewards) > 1 else ""), anchor=False)
    with st.container(key="why"):
        for name in rules:
            rule = advantages.rule(name)
            with st.container(border=True, gap="small"):
                st.markdown(f"**{name}** &ensp; {plain(rule.equation)}")
                with page.words_of_doors():
                    own = read_by(name, fields)
                    filled = advantages.explain(name, rewards, prompt=prompt, rollout=place, precision=precision, **own)
                    st.code(filled, language=None, wrap_lines=True)
                badges(rule.properties)


def badges(properties: frozenset[str]) -> None:
    """One badge per property that a rule declares; what it means appears on hovering."""
    with st.container(horizontal=True, gap="xsmall"):
        for name, words in BADGES.items():
            if name in properties:
                st.badge(words, color="blue", help=PROPERTIES[name])


def lines(world: str | None) -> str:
    """The code of the page."""
    drawn, given = [], ""
    if world:
        shape = f"prompts={len(state['rewards'])}, rollouts={len(state['rewards'][0])}, seed={state['seed']}"
        drawn = [f"sample = lab.studies.sample_fields(lab.world({world!r}), {shape})"]
        given = ", fields=sample.fields"
    return "\n".join([
        "import lab", "",
        f"rewards = {state['rewards']}", f"rules = {rules}", *drawn,
        f"table = lab.studies.advantage_table(rules, rewards, true_mean={state['truth']},",
        f'                                        precision="{state["precision"]}"{given})',
        f"lab.figures.advantage_bars(table, scale={state['scale']})",
    ])  # fmt: skip


state = page.open()
home = source(state)
with page.controls():
    page.control("rules")
    page.control("truth")
    page.control("precision")
    if home:
        page.control("source", width=230)
        page.control("seed")
    with st.popover("Shape and scales", icon=":material/tune:"):
        page.control("range")
        page.control("scale")
        shape_fields(state["rewards"])
rules = served(state["rules"], home)
if not rules:
    page.say("None of these rules has the fields that it reads.")
    st.stop()
size = len(state["rewards"]), len(state["rewards"][0])
sample = page.ask(sampled, home, *size, state["seed"]) if home else None
rollout = min(state["rollout"], size[0] * size[1])
look = {"scale": state["scale"], "selected": rollout - 1, "theme": page.theme}
chosen = {"rewards": state["rewards"], "precision": state["precision"], "fields": dict(sample.fields) if sample else {}}
table = page.ask(advantage_table, rules, true_mean=state["truth"], **chosen)
page.say(reading(advantage_summary(table), state["precision"]))
data = page.ask(scene, rules, reach=state["range"], truth=state["truth"], **chosen, **look)
strip.draw(data, moved)
st.caption(advantage_bars.guide)
if sample:
    fields_below(sample)
why(rules, rollout=rollout, **chosen)
page.finish(lines(home), table)
