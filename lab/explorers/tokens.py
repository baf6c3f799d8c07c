"""Tokens: what each method puts on every token or turn of the same rollouts."""

from __future__ import annotations

from typing import Any

import polars as pl

import lab
from lab.experiment import side_by_side
from lab.explorers import places
from lab.explorers.contract import LOOK, Explorer, Live, Offer, Panel, Picture, Questions, State
from lab.explorers.kept import kept
from lab.explorers.live import tokens
from lab.explorers.properties import RUN, Choices, Number, Whole, seed
from lab.explorers.runs import made_by, narrowed, of_possible, without
from lab.figures.token_weights import token_weights
from lab.measures.tokens import token_weights as weights_of
from lab.measures.tokens import weight_spread
from lab.methods import names
from lab.training.train import Refusal

GUIDE = (
    "A row is a rollout, a cell one of its tokens or turns. Blue ↑ is made likelier, orange ↓ less likely, stronger "
    "colour harder, and grey is left alone. One colour along a row: the method gives all of its tokens the same credit."
)

QUESTIONS: Questions = {
    "Which tokens carry the influence?": {},
    "What does steering towards exploration change?": {"variants": ["thr", "thr@explore", "thr@dominant"]},
    "Does every turn get the same credit?": {
        "world": "turns", "task": "search", "variants": ["grpo", "a2tgpo", "igpo"], "lr": 1.0},
    "Turn by turn, or all at once?": {
        "world": "turns", "task": "dialogue", "variants": ["grpo", "mapo", "mapo@turn"], "lr": 1.0},
    "Only the return is seen: does a step get its own credit?": {
        "world": "delayed", "variants": ["grpo", "lare", "lare@step"], "lr": 20.0},
    "What does entropy weighting do?": {"world": "toy-lm", "variants": ["grpo", "grpo-s"], "lr": 1.0},
}  # fmt: skip


def homes() -> list[str]:
    """The worlds whose rollouts have more than one token."""
    return [name for name, place in places.places().items() if place.here.unit]


def explorer() -> Explorer:
    """Which token is pushed."""
    properties = [
        *places.properties(homes(), default="hidden-lm"),
        Choices(name="variants", label="Variants", options=names(), default=["grpo", "thr"], most=4),
        Whole(name="step", label="After steps", low=0, high=500, default=0, typed=True, group=RUN,
              help="The first variant trains; then all look at the rollouts of its policy."),
        Whole(name="prompt", label="Prompt", low=1, high=32, default=1, typed=True),
        Whole(name="group_size", label="Rollouts", low=2, high=24, default=8, typed=True, group=RUN),
        Number(name="lr", label="Learning rate", low=0.01, high=64, step=0.5, default=8.0, typed=True, format="%g",
               group=RUN),
        seed(),
    ]  # fmt: skip
    return Explorer(
        name="tokens", label="Tokens", room=LOOK, title="Which token is pushed, and which way?",
        properties=properties, first=("world", "variants", "prompt"), questions=QUESTIONS,
        scenes=places.scenes(properties), offer=offer, draw=picture,
    )  # fmt: skip


def away(state: State) -> dict[str, Refusal]:
    """Variants that cannot train in the state's world."""
    return places.closed(state["world"], places.given(state), None, state["group_size"])


def offer(state: State) -> Offer:
    """The variants that can train in the state's world."""
    return narrowed(state, away(state), places.about(state["world"]))


@of_possible(lambda state: without(state, away(state), among=homes()))
def picture(state: State) -> Picture:
    """The weight of every token of one prompt's rollouts, a panel per variant."""
    unit = places.place(state["world"]).here.unit
    asked = (state[k] for k in ("variants", "step", "prompt", "group_size", "lr", "seed"))
    frame = table(state["world"], places.given(state), *asked)
    return Picture(
        sentence=reading(weight_spread(frame), unit),
        panels=[Live(
            "tokens", lambda theme: tokens.payload(frame, unit=unit, theme=theme), lambda state, change: {},
            Panel(token_weights, frame, options={"unit": unit}, guide=GUIDE),
        )],
        code=lines(state, unit),
        frame=frame,
    )  # fmt: skip


@kept(64)
def table(
    name: str, given: dict[str, Any], variants: list[str], step: int, prompt: int, group_size: int, lr: float, seed: int
) -> pl.DataFrame:
    """Weights of every variant on the rollouts of one prompt."""
    world = lab.world(name, **given)
    moments = side_by_side(world, variants, seed=seed, step=step, group_size=group_size, lr=lr)
    slot = min(prompt, world.prompts) - 1
    return pl.concat([weights_of(moment, world, variant=v, prompt=slot) for v, moment in moments.items()])


def reading(spread: pl.DataFrame, unit: str) -> str:
    """The sentence: who treats all tokens of a rollout alike, and who leaves how many alone."""
    said = []
    for row in spread.iter_rows(named=True):
        if row["zero"] == 1:
            said.append(f"**{row['variant']}** has no signal here")
        elif not row["uneven"]:
            said.append(f"**{row['variant']}** gives all {unit}s of a rollout one weight")
        else:
            said.append(f"**{row['variant']}** tells {unit}s apart in {row['uneven']:.0%} of the rollouts")
            said[-1] += f" and leaves {row['zero']:.0%} of all {unit}s alone" if row["zero"] else ""
    return "; ".join(said) + "."


def lines(state: State, unit: str) -> str:
    """The code."""
    return f"""
import lab
import polars as pl
from lab.measures.tokens import token_weights
from lab.experiment import side_by_side
from lab.figures.token_weights import token_weights as picture

world = {made_by(state)}
moments = side_by_side(world, {state["variants"]!r}, seed={state["seed"]}, step={state["step"]},
                       group_size={state["group_size"]}, lr={state["lr"]:g})
frame = pl.concat([token_weights(m, world, variant=v, prompt=min({state["prompt"]}, world.prompts) - 1)
                   for v, m in moments.items()])
picture(frame, unit={unit!r})
"""
