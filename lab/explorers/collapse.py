"""Collapse: groups that teach nothing, and differences that a rule cannot see."""

from __future__ import annotations

from typing import Any

import polars as pl

import lab
from lab import studies
from lab.explorers.contract import LOOK, Explorer, Offer, Panel, Picture, Questions, State
from lab.explorers.groups import LAW, by_size, closed_to, homes, rewards_only, short_code, short_run, words_of
from lab.explorers.kept import in_parts, kept, watched
from lab.explorers.properties import RUN, Choice, Choices, seed
from lab.explorers.runs import narrowed, of_possible, without
from lab.figures.lines import curves
from lab.figures.rates import levels_by_size, silence, silence_by_size
from lab.methods import names
from simulators.bandit.families import graded

SUCCESS = [i / 20 for i in range(21)]
COUNTED = [2, 3, 4, 6, 8, 10, 12]
COUNT = {1: "one reward", 2: "two rewards", 3: "three rewards"}
STEPS, RUNS, RATE = 150, 16, 2.0
WHILE_TRAINING = ("no_signal", "levels")
SILENT = {"metric": "no_signal", "label": "groups without signal", "percent": True}
LEVELS = {"metric": "levels", "label": "levels per group (mean)"}

QUESTIONS: Questions = {
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
}  # fmt: skip


def explorer() -> Explorer:
    """When a group teaches nothing."""
    possible = [name for name in names() if name not in rewards_only()]
    return Explorer(
        name="collapse", label="Collapse", room=LOOK, title="When does a group teach nothing?",
        properties=[
            Choice(name="world", label="Groups from", options=list(homes()), names=homes(), default=LAW),
            Choice(name="variant", label="Signal of", options=possible, default="grpo", when={"world": [LAW]}),
            Choices(name="sizes", label="Group sizes", options=[2, 3, 4, 8, 16, 32, 64], default=[2, 4, 8, 16], most=6),
            Choices(name="rules", label="Rules compared", options=names(),
                    default=["grpo", "dr_grpo", "gdpo@no-batch-norm"], most=5),
            Choice(name="rewards", label="Rewards each", options=[1, 2, 3], default=2, when={"world": [LAW]}),
            Choice(name="group_size", label="Group size in training", options=[2, 4, 8, 16], default=8, group=RUN),
            seed(),
        ],
        questions=QUESTIONS, offer=offer, draw=picture, first=("world", "variant", "sizes", "rules"),
    )  # fmt: skip


def offer(state: State) -> Offer:
    """The rules that are possible where groups come from."""
    about = words_of(state["world"], "Rewards that are right or wrong, and nothing else.")
    return narrowed(state, closed_to(state["world"]), about, "rules")


@of_possible(lambda state: without(state, closed_to(state["world"]), "rules", among=homes()), "rules")
def picture(state: State) -> Picture:
    """Groups without signal, by success or by group size, and while training."""
    return of_right_or_wrong(state) if state["world"] == LAW else of_a_world(state)


def signal(variant: str, sizes: list[int], seed: int) -> pl.DataFrame:
    """Share of groups without signal."""
    return in_parts(lambda size: _signal(variant, size, seed), sizes).sort("success", maintain_order=True)


@kept(512)
def _signal(variant: str, size: int, seed: int) -> pl.DataFrame:
    return studies.signal_study(SUCCESS, [size], variant=variant, seed=seed)


@kept(64)
def levels(rules: list[str], rewards: int) -> pl.DataFrame:
    """Groups that each rule tells apart."""
    return studies.level_counts(rules, components=rewards, group_sizes=COUNTED)


@kept(32)
def trained(rules: list[str], rewards: int, group_size: int, seed: int) -> pl.DataFrame:
    """Both measurements over a training run."""
    given: dict[str, Any] = {
        "steps": STEPS,
        "seeds": range(seed, seed + RUNS),
        "group_size": group_size,
        "lr": RATE,
        "measure": WHILE_TRAINING,
    }
    return lab.train(graded(heads=rewards), rules, **given, **watched()).summary(WHILE_TRAINING)


def of_right_or_wrong(state: State) -> Picture:
    """The pictures for rewards that are right or wrong."""
    shares = signal(state["variant"], state["sizes"], state["seed"])
    counts = levels(state["rules"], state["rewards"])
    summary = trained(state["rules"], state["rewards"], state["group_size"], state["seed"])
    return Picture(
        sentence=reading(shares, counts, state["variant"]),
        panels=[
            Panel(silence, shares, f"Groups that teach {state['variant']} nothing"),
            Panel(levels_by_size, counts, f"Groups that a rule tells apart, {COUNT[state['rewards']]} each"),
            *while_training(summary, state["group_size"]),
        ],
        code=lines(state),
        frame=shares,
        of="the groups that teach nothing, by success",
    )


def while_training(summary: pl.DataFrame, size: int) -> list[Panel]:
    """Both measurements over the steps of a run."""
    return [
        Panel(curves, summary, f"Without signal while training, groups of {size}", SILENT, key="silent"),
        Panel(curves, summary, f"Different advantages while training, groups of {size}", LEVELS, key="levels"),
    ]


def of_a_world(state: State) -> Picture:
    """The pictures where groups are drawn in a world."""
    world, variants, sizes, metrics = state["world"], state["rules"], sorted(state["sizes"]), WHILE_TRAINING
    rates = by_size(world, variants, sizes, "no_signal", state["seed"])
    summary = short_run(world, variants, state["group_size"], metrics, state["seed"])
    shown = [
        short_code(world, variants, sizes, state["group_size"], metrics, state["seed"]),
        "lab.figures.silence_by_size(rates)",
        'lab.figures.curves(summary, metric="no_signal", label="groups without signal", percent=True)',
        'lab.figures.curves(summary, metric="levels", label="levels per group (mean)")',
    ]
    return Picture(
        sentence=worlds_reading(rates, world),
        panels=[
            Panel(silence_by_size, rates, "Groups that teach nothing, at the first policy"),
            *while_training(summary, state["group_size"]),
        ],
        code="\n".join(shown),
        frame=rates,
        of="the groups that teach nothing, at the first policy",
    )


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


def lines(state: State) -> str:
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
                  steps={STEPS}, lr={RATE}, measure={WHILE_TRAINING})
summary = trace.summary({WHILE_TRAINING})
lab.figures.curves(summary, metric="no_signal", label="groups without signal", percent=True)
lab.figures.curves(summary, metric="levels", label="levels per group (mean)")
"""
