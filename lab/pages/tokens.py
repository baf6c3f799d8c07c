"""Tokens: what each method puts on every token or turn of the same rollouts."""

from __future__ import annotations

from typing import Any

import polars as pl
import streamlit as st

import lab
from lab.experiment import side_by_side
from lab.figures.token_weights import token_weights
from lab.measures.tokens import token_weights as weights_of
from lab.measures.tokens import weight_spread
from lab.methods import names
from lab.pages.places import about, closed
from lab.pages.runs import left, legend, narrowed
from lab.pages.shell import Page
from lab.pages.state import Choice, Choices, Number, Whole, seed

#: What the page calls a world -> its name, settings, and what a column of the picture is.
PLACES: dict[str, tuple[str, dict[str, Any], str]] = {
    "hidden-lm": ("hidden-lm", {}, "token"),
    "toy-lm": ("toy-lm", {}, "token"),
    "search": ("turns", {"task": "search"}, "turn"),
    "dialogue": ("turns", {"task": "dialogue"}, "turn"),
    "delayed": ("delayed", {}, "step"),
}
LABELS = {"hidden-lm": "language model with a hidden state", "toy-lm": "toy language model",
          "search": "turns: search", "dialogue": "turns: dialogue", "delayed": "only the return is seen"}  # fmt: skip

page = Page(
    "tokens",
    "Which token is pushed, and which way?",
    [
        Choice(name="world", label="World", options=list(PLACES), names=LABELS, default="hidden-lm", width=290),
        Choices(name="variants", label="Variants", options=names(), default=["grpo", "thr"], most=4, width=440),
        Whole(name="step", label="After steps", low=0, high=500, default=0, typed=True,
              help="The first variant trains; then all look at the rollouts of its policy."),
        Whole(name="prompt", label="Prompt", low=1, high=8, default=1, typed=True),
        Whole(name="group_size", label="Rollouts", low=2, high=24, default=8, typed=True),
        Number(name="lr", label="Learning rate", low=0.01, high=64, step=0.5, default=8.0, typed=True, width=130,
               format="%g"),
        seed(),
    ],
    {
        "Which tokens carry the influence?": {},
        "What does steering towards exploration change?": {"variants": ["thr", "thr@explore", "thr@dominant"]},
        "Does every turn get the same credit?": {"world": "search", "variants": ["grpo", "a2tgpo", "igpo"], "lr": 1.0},
        "Turn by turn, or all at once?": {"world": "dialogue", "variants": ["grpo", "mapo", "mapo@turn"], "lr": 1.0},
        "Only the return is seen: does a step get its own credit?": {
            "world": "delayed", "variants": ["grpo", "lare", "lare@step"], "lr": 20.0},
        "What does entropy weighting do?": {"world": "toy-lm", "variants": ["grpo", "grpo-s"], "lr": 1.0},
    },
)  # fmt: skip


@st.cache_data(max_entries=64, show_spinner="Sampling …")
def table(place: str, variants: list[str], step: int, prompt: int, group_size: int, lr: float, seed: int) -> Any:
    """Weights of every variant on the rollouts of one prompt."""
    name, settings, _ = PLACES[place]
    world = lab.world(name, **settings)
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


state = page.open()
world_name, settings, unit = PLACES[state["world"]]
away = page.ask(closed, world_name, settings, None, state["group_size"])
with page.controls():
    for name in state:
        page.control(name, **(narrowed(state["variants"], away) if name == "variants" else {}))
legend(away, about(world_name))
state = left(page, away)
frame = page.ask(
    table, state["world"], state["variants"], *(state[k] for k in ("step", "prompt", "group_size", "lr", "seed"))
)
page.say(reading(weight_spread(frame), unit))
page.show(token_weights, frame, unit=unit)
given = "".join(f", {k}={v!r}" for k, v in settings.items())
page.finish(
    f"""
import lab
import polars as pl
from lab.measures.tokens import token_weights
from lab.experiment import side_by_side
from lab.figures.token_weights import token_weights as picture

world = lab.world({world_name!r}{given})
moments = side_by_side(world, {state["variants"]!r}, seed={state["seed"]}, step={state["step"]},
                       group_size={state["group_size"]}, lr={state["lr"]:g})
frame = pl.concat([token_weights(m, world, variant=v, prompt=min({state["prompt"]}, world.prompts) - 1)
                   for v, m in moments.items()])
picture(frame, unit={unit!r})
""",
    frame,
)
