"""Flow: samples on their way from noise to data under several methods, and what becomes of their variety."""

from __future__ import annotations

from typing import Any

import polars as pl

import lab
from lab.explorers import places
from lab.explorers.contract import COMPARE, Explorer, LeftOut, Offer, Panel, Picture, Questions, State
from lab.explorers.kept import kept, watched
from lab.explorers.properties import RUN, Choice, Choices, Number, Whole, seed
from lab.explorers.runs import narrowed, of_possible, without
from lab.figures.denoising import denoising_paths, flow_quality
from lab.figures.reward_balance import opposed_rewards, opposed_share, reward_sectors
from lab.methods import names
from lab.training.train import Refusal
from lab.world_registry import declaration

PRETRAINS = (
    "The flow is pretrained when it is first asked for, which takes about ten seconds, and then kept on the disk."
)

QUESTIONS: Questions = {
    "What does the pretrained flow do, and whom does a method push?": {"steps": 0},
    "Does reward cost variety?": {},
    "What does a shorter way from noise to data change?": {"denoising": 4},
    "Which of several rewards is left behind?": {
        "rewards": "near+right+ring", "variants": ["diffusion-nft", "marble", "mgda"], "denoising": 5, "lr": 0.001,
        "group_size": 32,
    },
}  # fmt: skip

REWARDS = {"near": "near its mode", "near+right": "near, right", "near+right+ring": "near, right, ring",
           "near+right+ring+up+typical": "near, right, ring, up, typical"}  # fmt: skip


def explorer() -> Explorer:
    """Flows that are trained by their samples' reward."""
    here = declaration("flow")
    world = [places.setter(here.settings[name], name) for name in here.shown]
    return Explorer(
        name="flow", label="Flow", room=COMPARE, title="What do rewards do to a generative model?",
        properties=[
            Choices(name="variants", label="Variants", options=names(), default=["flow-grpo", "grpo"], most=3),
            Choice(name="steps", label="Training steps", options=[0, 15, 30, 60, 120, 200], default=30, group=RUN),
            Choice(name="rewards", label="Rewards", options=list(REWARDS), names=REWARDS, default="near", group="World",
                   help="Near a mode of the prompt's own, to the right, on a ring (last prompt alone), up, near any "
                   "mode. Most methods add them; some keep a gradient for each."),
            Whole(name="prompt", label="Prompt", low=1, high=8, default=1, typed=True),
            *world,
            Whole(name="group_size", label="Rollouts", low=2, high=64, default=24, typed=True, group=RUN),
            Number(name="lr", label="Learning rate", low=1e-5, high=0.1, step=1e-3, default=3e-3, typed=True,
                   format="%g", group=RUN),
            seed(),
        ],
        first=("variants", "steps", "prompt"), questions=QUESTIONS, offer=offer, draw=picture,
    )  # fmt: skip


def settings(state: State) -> dict[str, Any]:
    """Settings of the flow world in this state."""
    return {name: state[name] for name in (*declaration("flow").shown, "rewards")}


def away(state: State) -> dict[str, Refusal]:
    """Variants that cannot train a flow: fields and scores do not depend on the weights, so none are pretrained."""
    found = places.closed("flow", settings(state) | {"width": 1, "pretraining": 0}, None, state["group_size"])
    alone = [] if "+" in state["rewards"] else [name for name in names() if lab.variant(name).combine]
    return found | dict.fromkeys(alone, Refusal("Combines the gradients of several rewards; here is one.", ()))


def offer(state: State) -> Offer:
    """The variants that can train a flow."""
    return narrowed(state, away(state), f"{places.about('flow')} {PRETRAINS}")


def fitting(state: State) -> tuple[dict[str, Any], list[LeftOut]]:
    """The state with the variants that can train a flow, and the others with the reason."""
    return without(state, away(state))


@of_possible(fitting)
def picture(state: State) -> Picture:
    """Paths from noise to data on the same noise, and the quality of samples over the run."""
    given, number = settings(state), len(state["variants"])
    run = {name: state[name] for name in ("steps", "seed", "group_size", "lr")}
    run["prompt"] = min(state["prompt"], given["prompts"]) - 1
    found = [studied(given, name, run, place, number) for place, name in enumerate(state["variants"])]
    paths, quality = (pl.concat(each) for each in zip(*found, strict=True))
    world: Any = lab.world("flow", **given)
    options = {
        "landscape": lab.studies.reward_landscape(world, run["prompt"]), "modes": world.mixture.centres.tolist(),
        "ring": 3 * world.mixture.deviation,
    }  # fmt: skip
    balance = balanced(given, state["variants"], run)
    several = [
        Panel(reward_sectors, balance, "Who has how much of the step"),
        Panel(opposed_rewards, balance, "Whose own gradient is opposed"),
    ]
    return Picture(
        sentence=reading(quality) + opposition(balance),
        panels=[
            Panel(denoising_paths, paths, options=options),
            *([] if balance.is_empty() else several),
            Panel(flow_quality, quality, "Reward beside variety, while training", wide=not balance.is_empty()),
        ],
        code=lines(state["variants"], given, run),
        frame=paths,
        of="the paths of the samples",
    )


@kept(48)
def _studied(given: dict[str, Any], name: str, run: dict[str, Any]) -> tuple[pl.DataFrame, pl.DataFrame]:
    world: Any = lab.world("flow", **given)
    return lab.studies.denoising_study(world, name, **run, **watched())


def studied(
    given: dict[str, Any], name: str, run: dict[str, Any], place: int, number: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The run of a variant, the one at this place of so many."""
    watched().get("progress", lambda done, total: None)(place, number)
    return _studied(given, name, run)


@kept(48)
def _balance(given: dict[str, Any], name: str, run: dict[str, Any]) -> pl.DataFrame:
    world: Any = lab.world("flow", **given)
    return lab.studies.balance_study(world, name, **run, **watched())


def balanced(given: dict[str, Any], variants: list[str], run: dict[str, Any]) -> pl.DataFrame:
    """What each step does for each of several rewards, at ten steps of the run; nothing where there is one reward."""
    if "+" not in given["rewards"]:
        return pl.DataFrame()
    return pl.concat([_balance(given, name, looks(run)) for name in variants])


def looks(run: dict[str, Any]) -> dict[str, Any]:
    """The same run for the study of several rewards."""
    steps = max(run["steps"], 1)
    own = {name: run[name] for name in ("group_size", "lr")}
    return {"steps": steps, "seeds": [run["seed"]], "every": max(steps // 10, 1), **own}


def opposition(balance: pl.DataFrame) -> str:
    """The sentence on several rewards."""
    if balance.is_empty():
        return ""
    parts = [f"{share:.0%} of the batches under **{name}**" for name, share in opposed_share(balance).items()]
    return f" The step opposes some reward's own gradient in {', '.join(parts)}."


def reading(quality: pl.DataFrame) -> str:
    """The sentence: what reward was gained, and how many modes were given up for it."""
    last = quality.filter(pl.col("step") == pl.col("step").max().over("variant"))
    done = max(last["step"].to_list())
    first = quality.filter(step=0).row(0, named=True)
    start = (
        f"The pretrained flow earns a reward of {first['reward']:.2f} and uses {first['modes']:.1f} modes per prompt"
    )
    if done == 0:
        return f"{start}; no method has moved it yet, and colours say which samples each would make likelier."
    ends = [
        f"**{row['variant']}** {row['reward']:.2f} with {row['modes']:.1f} modes" for row in last.iter_rows(named=True)
    ]
    return f"{start}; after {done} training steps {', '.join(ends)} (one run, the same noise)."


def lines(variants: list[str], given: dict[str, Any], run: dict[str, Any]) -> str:
    """The code."""
    told = ", ".join(f"{name}={value!r}" for name, value in given.items())
    asked = ", ".join(f"{name}={value!r}" for name, value in run.items())
    several = "" if "+" not in given["rewards"] else f"""
balance = pl.concat([lab.studies.balance_study(world, name, {", ".join(f"{n}={v!r}" for n, v in looks(run).items())})
                     for name in {variants!r}])
lab.figures.reward_sectors(balance)
lab.figures.opposed_rewards(balance)
"""  # fmt: skip
    return f"""
import lab
import polars as pl

world = lab.world("flow", {told})
found = [lab.studies.denoising_study(world, name, {asked})
         for name in {variants!r}]
paths, quality = (pl.concat(each) for each in zip(*found))
lab.figures.denoising_paths(paths, landscape=lab.studies.reward_landscape(world, {run["prompt"]}),
                            modes=world.mixture.centres, ring=3 * world.mixture.deviation)
lab.figures.flow_quality(quality)
{several}"""
