"""Microscope: one group of rewards, dragged by hand, and what every rule makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

import lab
from lab import advantages
from lab.errors import LabError, worlds_with
from lab.explorers.contract import (
    LOOK,
    Action,
    Explorer,
    LeftOut,
    Live,
    Panel,
    Picture,
    Questions,
    State,
    Table,
    Words,
)
from lab.explorers.kept import kept
from lab.explorers.live import strip
from lab.explorers.properties import Choice, Choices, Number, Rewards, Whole, seed
from lab.explorers.words import in_words
from lab.figures.groups import advantage_bars
from lab.measures.metrics import AGAINST_DRAWN
from lab.registry import rules as registered
from lab.rewards import apply
from lab.studies.field_samples import FieldSample, field_source, field_sources, field_table, sample_fields
from lab.studies.what_if import advantage_summary, advantage_table, after, grid, read_by, rule_and_transform, what_if
from lab.text import plain

RANGES = {"unit": (0.0, 1.0), "double": (0.0, 2.0), "signed": (-1.0, 1.0), "large": (-10.0, 10.0)}
RANGE_NAMES = {"unit": "0 to 1", "double": "0 to 2", "signed": "−1 to 1", "large": "−10 to 10"}
BADGES = {
    "shift": "unchanged by a shift", "scale": "unchanged by scale", "permutation": "permutes along",
    "zero_sum": "sums to zero", "bounded": "bounded", "silent": "silent when all agree", "groupwise": "group alone",
}  # fmt: skip
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

QUESTIONS: Questions = {
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
    "Rewards through a straight or a curved transform: what changes?": {
        "rules": ["grpo"], "through": ["meanstd", "tanh"], "rollout": 1},
    "A judge's comparisons: what does a tournament say?": {
        "rewards": JUDGED, "truth": 0.35, "range": "signed", "rollout": 2, "source": "judged",
        "rules": ["grpo", "arenarl", "arenarl@swiss"]},
}  # fmt: skip

SAME = 0.005  # a smaller change of an advantage is not spoken of: eps beside another deviation

Groups = list[list[list[float]]]
Fields = Mapping[str, Any]


def explorer() -> Explorer:
    """What a group of rewards teaches."""
    scales = {1: "±1", 3: "±3", 10: "±10", 100: "±100"}
    sources = field_sources()
    return Explorer(
        name="microscope", label="Microscope", room=LOOK, title="What do these rewards teach?",
        properties=[
            Choices(name="rules", label="Rules", options=advantages.names(), default=SOME),
            Number(name="truth", label="True mean", low=-20, high=20, step=0.01, default=0.38, typed=True,
                   help="Expected reward of the policy: a rollout above it deserves a positive advantage."),
            REWARDS,
            Choices(name="through", label="Rewards pass through", options=transforms(), default=[], least=0, most=3,
                    help="Each rule is shown once more, after each of these reward rules."),
            Choice(name="precision", label="Arithmetic", options=["float64", "float32"], default="float64"),
            Choice(name="source", label="Fields from", options=[FITTING, *sources], names=SOURCE_NAMES,
                   default=FITTING, group="Fields of a world",
                   help="Where turns, agents, hidden states and the like come from; the rewards stay yours."),
            seed(),
            Choice(name="range", label="Range of a reward", options=list(RANGES), names=RANGE_NAMES, default="double",
                   group="Scales"),
            Choice(name="scale", label="Scale of advantages", options=list(scales), default=3, names=scales,
                   group="Scales"),
            Whole(name="rollout", label="Rollout", default=4, low=1, high=64, drawn=False),
        ],
        questions=QUESTIONS, first=("rules", "truth", "rewards", "precision"), draw=picture,
    )  # fmt: skip


def picture(state: State) -> Picture:
    """The strip of rewards and advantages, and the formula of every rule with the numbers of one rollout."""
    home = source(state)
    rules, left = served(state["rules"], home)
    if not rules:
        return Picture(sentence="None of these rules has the fields that it reads.", left_out=left)
    plain_rules, rules = rules, [*rules, *(after(rule, each) for each in state["through"] for rule in rules)]
    rewards = state["rewards"]
    size = len(rewards), len(rewards[0])
    sample = sampled(home, *size, state["seed"]) if home else None
    fields = dict(sample.fields) if sample else {}
    rollout = min(state["rollout"], size[0] * size[1])
    chosen = {"rewards": rewards, "precision": state["precision"], "fields": fields}
    table = advantage_table(rules, true_mean=state["truth"], **chosen)
    values = grid(*RANGES[state["range"]], rewards)
    seen = what_if(rules, rewards, values, true_mean=state["truth"], precision=state["precision"], fields=fields)

    def data(theme: str) -> dict[str, Any]:
        look = {"scale": state["scale"], "selected": rollout - 1, "theme": theme}
        return strip.payload(seen, rewards, rules, values, true_mean=state["truth"], **look)

    still = Panel(advantage_bars, table, options={"scale": state["scale"]})
    return Picture(
        sentence=" ".join([reading(advantage_summary(table), state["precision"]), *moves(table, plain_rules, rules)]),
        panels=[Live("strip", data, moved, still), *why(rules, rollout=rollout, **chosen), *fields_below(sample)],
        code=lines(state, rules, home),
        frame=table,
        left_out=left,
        actions=take(sample),
    )


def transforms() -> list[str]:
    """Reward rules that read nothing but rewards, and make something of a single one."""
    return [name for name, rule in registered("reward").items() if not rule.required and _takes_one(name)]


def _takes_one(name: str) -> bool:
    try:
        apply(name, [[0.0, 1.0]])
    except LabError:
        return False
    return True


def moves(table: pl.DataFrame, rules: list[str], shown: list[str]) -> list[str]:
    """What passing through a reward rule does to the advantages of each rule: a sentence each."""
    said = []
    for name in shown[len(rules) :]:
        (rule, through), passed = rule_and_transform(name), table.filter(variant=name)["advantage"]
        if passed.null_count():
            continue
        gap = float((passed - table.filter(variant=rule)["advantage"]).abs().max() or 0)  # type: ignore[arg-type]
        change = f"moves advantages by up to {gap:.2g}" if gap >= SAME else "leaves every advantage as it is"
        said.append(f"Passing the rewards through {plain(through)} {change} under **{rule}**.")
    return said


def moved(state: State, change: Mapping[str, Any]) -> dict[str, Any]:
    """What was dragged or chosen in the strip: the rewards in their shape, and the rollout."""
    numbers = iter(float(value) for value in change["rewards"])
    rewards = [[[next(numbers) for _ in cell] for cell in cells] for cells in state["rewards"]]
    return {"rewards": rewards, "rollout": int(change["selected"]) + 1}


@kept(32)
def sampled(world: str, prompts: int, rollouts: int, seed: int) -> FieldSample:
    """Fields of a few rollouts of a world."""
    return sample_fields(lab.world(world), prompts=prompts, rollouts=rollouts, seed=seed)


def source(state: State) -> str | None:
    """The world that fields come from; None where no rule needs any and none was asked for."""
    return field_source(state["rules"]) if state["source"] == FITTING else str(state["source"])


def served(rules: list[str], world: str | None) -> tuple[list[str], list[LeftOut]]:
    """The rules that have all their fields, and the others with what they lack."""
    sources = field_sources()
    has = sources[world] if world else frozenset()
    served, left = [], []
    for name in rules:
        lacks = [f for f in advantages.rule(name).required if f not in has]
        if not lacks:
            served.append(name)
            continue
        homes = [home for home, found in sources.items() if found >= set(advantages.rule(name).required)]
        way = (
            f"Take the fields from {' or '.join(homes)} to see it." if homes
            else f"No world that is quickly made has them ({worlds_with(lacks)}); it can be trained there."
        )  # fmt: skip
        whose = f"which {world} does not have" if world else "which rewards alone do not say"
        left.append(LeftOut(name, f"It reads {', '.join(lacks)}, {whose}. {way}"))
    return served, left


def fields_below(sample: FieldSample | None) -> list[Table]:
    """Where the fields come from, and the fields themselves."""
    if sample is None:
        return []
    names = ", ".join(sorted(sample.fields))
    guide = (
        f"Rewards are yours. The rest ({names}) comes from rollouts of the world {sample.world} under its first "
        "policy, drawn with the seed of the state; scores of turns and of a judge count beside your rewards or in "
        "their place. An advantage per turn, token or edge is drawn as its mean over the rollout; under Why it is in "
        "full."
    )
    return [Table(field_table(sample), "The fields of each rollout", guide)]


def take(sample: FieldSample | None) -> list[Action]:
    """Takes over the rewards and the true mean of the world that the fields come from."""
    if sample is None:
        return []
    own = {"rewards": REWARDS.fitted(sample.rewards.tolist()), "truth": round(float(sample.value.mean()), 4)}
    return [Action("Take that world's own rewards too", own)]


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


def why(rules: list[str], rewards: Groups, rollout: int, precision: str, fields: Fields) -> list[Words]:
    """The formula of every rule with the numbers of the chosen rollout, and what the rule is known to keep."""
    prompt, place = divmod(rollout - 1, len(rewards[0]))
    whose = f"rollout {place + 1}" + (f" of prompt {prompt + 1}" if len(rewards) > 1 else "")
    cards = []
    for name in rules:
        base, through = rule_and_transform(name)
        rule = advantages.rule(base)
        try:
            own = read_by(name, fields)
            paid = apply(through, rewards) if through else rewards
            filled = advantages.explain(base, paid, prompt=prompt, rollout=place, precision=precision, **own)
            said = f"```text\n{filled}\n```"
        except LabError as error:
            said = in_words(error)
        kept = " · ".join(words for key, words in BADGES.items() if key in rule.properties)
        cards.append(Words(f"{plain(rule.equation)}\n\n{said}", f"Why? {name}, {whose}", kept))
    return cards


def lines(state: State, rules: list[str], world: str | None) -> str:
    """The code."""
    drawn, given = [], ""
    if world:
        shape = f"prompts={len(state['rewards'])}, rollouts={len(state['rewards'][0])}, seed={state['seed']}"
        drawn = [f"sample = lab.studies.sample_fields(lab.world({world!r}), {shape})"]
        given = ", fields=sample.fields"
    return "\n".join([
        "import lab", "",
        f"rewards = {state['rewards']}", f"rules = {rules}", *drawn,
        f"table = lab.studies.advantage_table(rules, rewards, true_mean={state['truth']},",
        f'                                    precision="{state["precision"]}"{given})',
        f"lab.figures.advantage_bars(table, scale={state['scale']})",
    ])  # fmt: skip
