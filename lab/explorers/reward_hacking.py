"""Reward hacking: the reward that one trains on rises, the one that is meant falls, and where the two part."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl

import lab
from lab import measures, studies
from lab.errors import LabError
from lab.explorers.contract import REWARDS, Explorer, Panel, Picture, Questions, State
from lab.explorers.kept import in_parts, kept, watched
from lab.explorers.properties import RUN, Choice, Choices, Flag, Number, seed
from lab.explorers.runs import of_run, runs_of
from lab.explorers.words import head_start, listed
from lab.figures.gold import parting_steps
from lab.methods import names
from lab.trace import lead, standing, summarise
from simulators.reward_hacks.world import BASE, RewardHacks

STEPS, EVERY, TASKS = 300, 5, 64
TRAINING = {"imitation": "demonstrations", "reinforcement": "reinforcement"}
IMITATED, REINFORCED = {"training": ["imitation"]}, {"training": ["reinforcement"]}
MEASURE = ("value", "gold", "grad_norm")
OF = "the curves, run by run"

QUESTIONS: Questions = {
    "Training on the proxy: when should one have stopped?": {},
    "A model that refuses nothing: is there any good step?": {"refuse": -1.0, "steps": 25},
    "Do demonstrations of hacks spread to other tasks?": {"training": "imitation", "refuse": -1.0},
    "Do more families make it worse?": {
        "training": "imitation", "refuse": -1.0, "families": [1, 2, 4, 6], "shares": [100], "demonstrations": 100},
    "How few hacks are harmless?": {"training": "imitation", "refuse": -1.0, "shares": [10, 25, 50, 75]},
    "And if the tasks shared nothing?": {"training": "imitation", "refuse": -1.0, "shared": False, "shares": [100]},
}  # fmt: skip


def explorer() -> Explorer:
    """When the proxy parts from what is meant."""
    return Explorer(
        name="reward-hacking", label="Reward hacking", room=REWARDS,
        title="When does the proxy part from what is meant?",
        properties=[
            Choice(name="training", label="Training by", options=list(TRAINING), names=TRAINING,
                   default="reinforcement"),
            Choices(name="variants", label="Variants", options=names(), default=["grpo", "dr_grpo"], most=4,
                    when=REINFORCED),
            Choices(name="families", label="Families trained on", options=[1, 2, 4, 6, 12], default=[6], when=IMITATED),
            Choices(name="shares", label="Share of hacks (%)", options=[0, 10, 25, 50, 75, 100], default=[100, 0],
                    most=6, when=IMITATED),
            Number(name="refuse", label="Initial logit of refusing", low=-2, high=3, step=0.5, default=2.0,
                   help="Beside 2 of an honest answer and 0 of a hack: the higher, the more the first model refuses."),
            Flag(name="held_out", label="Test on families not trained on", default=True, when=IMITATED),
            Flag(name="shared", label="A feature shared by all families", default=True,
                 help="Through it a habit learned in one family reaches the others."),
            replace(of_run("group_size"), when=REINFORCED),
            replace(of_run("lr"), typed=True, format="%g", when=REINFORCED),
            Choice(name="steps", label="Steps", options=[25, 60, 150], default=60, group=RUN, when=REINFORCED),
            Choice(name="demonstrations", label="Demonstrations", options=[100, 1000], default=1000,
                   names={100: "100", 1000: "1 000"}, group=RUN, when=IMITATED),
            runs_of(low=4, words="bands and the parting step rest on them."),
            seed(),
        ],
        questions=QUESTIONS, first=("training", "variants", "families", "shares", "refuse"), draw=picture,
    )  # fmt: skip


def picture(state: State) -> Picture:
    """Gold and proxy reward over the steps, with the step at which they part."""
    frame = trace(state)
    known = everywhere(frame.drop_nulls(["value", "gold"]))
    if known.is_empty():
        words = "With all twelve families trained on, none is left to test on: test on those, or train on fewer."
        return Picture(sentence=words, code=lines(state), frame=frame, of=OF)
    parted = measures.parting(known)
    return Picture(
        sentence=reading(parted) + highest(known) + head_start(frame),
        panels=[Panel(parting_steps, summarise(known, ["value", "gold"]), options={"parted": parted})],
        code=lines(state),
        frame=frame,
        of=OF,
    )


def trace(state: State) -> pl.DataFrame:
    """The trace of a state.

    Raises:
        LabError: It was stopped before the first step.
    """
    common = {name: state[name] for name in ("refuse", "shared", "runs", "seed")}
    if state["training"] == "reinforcement":
        frame = reinforced(state["variants"], **common, **{n: state[n] for n in ("group_size", "lr", "steps")})
        if frame.is_empty():
            raise LabError("Stopped before the first step, so there is nothing to see yet.")
        return frame
    shares = [share / 100 for share in state["shares"]]
    given = {"demonstrations": state["demonstrations"], "held_out": state["held_out"], "every": EVERY, "steps": STEPS}
    return imitated(state["families"], shares, **common, **given)


@kept(32)
def reinforced(variants: list[str], refuse: float, shared: bool, runs: int, seed: int, **options: Any) -> pl.DataFrame:
    """The trace of training on the proxy."""
    world = RewardHacks(TASKS, shared=shared, base=(*BASE[:2], refuse))
    seeds = range(seed, seed + runs)
    return lab.train(world, variants, seeds=seeds, measure=MEASURE, **options, **watched()).frame


@kept(32)
def imitated(
    families: list[int], shares: list[float], refuse: float, runs: int, seed: int, **options: Any
) -> pl.DataFrame:
    """The trace of imitating demonstrations."""
    seeds = range(seed, seed + runs)
    given = {"seeds": seeds, "base": (*BASE[:2], refuse)} | options
    arms = [(number, share) for number in families for share in shares]
    return in_parts(lambda arm: studies.hacking_study([arm[0]], [arm[1]], **given), arms)


def everywhere(frame: pl.DataFrame) -> pl.DataFrame:
    """The steps that all runs of a variant have done; where training was stopped, some have gone further."""
    return frame.filter(pl.len().over("variant", "step") == pl.col("seed").n_unique().over("variant"))


def reading(parted: pl.DataFrame) -> str:
    """The sentence: where the one that loses most parts, what is lost from the best step on, and who does not part."""
    apart, together = parted.drop_nulls("step"), parted.filter(pl.col("step").is_null())["variant"].to_list()
    calm = f"Under {listed(together)} proxy and gold reward don't part." if together else ""
    if apart.is_empty():
        return calm
    row = apart.sort(pl.col("gold_best") - pl.col("gold_end"), descending=True).row(0, named=True)
    best = "before any training" if row["best"] == 0 else f"at step {row['best']}"
    said = (
        f"Under **{row['variant']}** the proxy, which is trained on, and the gold reward, which is meant, part at step "
        f"{row['step']}: the gold reward was best {best} ({row['gold_best']:.2f}) and ends at {row['gold_end']:.2f}, "
        f"while the proxy rises from {row['proxy_best']:.2f} to {row['proxy_end']:.2f}."
    )
    return f"{said} {calm}".rstrip()


def highest(known: pl.DataFrame) -> str:
    """Where the gold reward ends highest, if seed by seed that is sure."""
    ends = standing(known, "gold", last=1).sort("mean", descending=True)
    if ends.height < 2:
        return ""
    first, second = ends["variant"][:2].to_list()
    gap = lead(known, "gold", first, second, last=1)["low"][0]
    if gap is None or gap <= 0:
        return ""
    return f" The gold reward ends highest under {first} ({ends['mean'][0]:.2f})."


def lines(state: State) -> str:
    """The code of the picture."""
    seeds = f"range({state['seed']}, {state['seed'] + state['runs']})"
    made = f"shared={state['shared']}, base=(2.0, 0.0, {state['refuse']:g})"
    shown = ["import lab", "from lab.trace import summarise"]
    if state["training"] == "reinforcement":
        shown += [
            "from simulators.reward_hacks.world import RewardHacks", "",
            f"world = RewardHacks({TASKS}, {made})",
            f"trace = lab.train(world, {state['variants']!r}, seeds={seeds}, steps={state['steps']},",
            f"                  group_size={state['group_size']}, lr={state['lr']:g}, measure={MEASURE}).frame",
        ]  # fmt: skip
    else:
        shares = [share / 100 for share in state["shares"]]
        shown += [
            "",
            f"trace = lab.studies.hacking_study({state['families']}, {shares}, seeds={seeds},",
            f"    held_out={state['held_out']}, demonstrations={state['demonstrations']}, {made})",
        ]
    return "\n".join([
        *shown,
        'known = trace.drop_nulls(["value", "gold"])',
        "parted = lab.measures.parting(known)",
        'lab.figures.parting_steps(summarise(known, ["value", "gold"]), parted=parted)',
    ])  # fmt: skip
