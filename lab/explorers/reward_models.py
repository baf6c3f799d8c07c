"""Reward models: annotators who err, the network that learns from them, what it gets wrong, what GRPO makes of it."""

from __future__ import annotations

from typing import Any

import polars as pl

import lab
from lab.explorers import places
from lab.explorers.contract import REWARDS, Explorer, Panel, Picture, Questions, State, Table
from lab.explorers.kept import kept, watched
from lab.explorers.properties import RUN, Choice, Choices, seed
from lab.explorers.runs import runs_of
from lab.figures.over_optimisation import over_optimisation
from lab.figures.reward_models import reward_model_checks
from lab.studies.reward_models import RewardModelStudy, reward_model_names
from lab.world_registry import declaration

WORLD, OF_DATA = "learned-reward", ("gold", "comparisons", "flips", "beta", "personas", "disagreement")

QUESTIONS: Questions = {
    "What does a reward model get wrong?": {},
    "What do wrong labels do to its confidence?": {"flips": 0.3, "comparisons": 3000},
    "What do annotators who want different things teach it?": {"personas": 2, "disagreement": 2.0, "comparisons": 3000},
    "How many comparisons are enough?": {"comparisons": 100},
    "Is agreement on fresh pairs enough?": {"gold": "mlp", "comparisons": 3000},
}


def explorer() -> Explorer:
    """Accuracy, calibration and consequences of reward models."""
    here = declaration(WORLD)
    return Explorer(
        name="reward-models", label="Reward models", room=REWARDS, title="What does a reward model get wrong?",
        properties=[
            Choices(name="models", label="Reward models", options=reward_model_names(), default=["bradley-terry"],
                    most=4),
            *[places.setter(here.settings[name], name) for name in OF_DATA],
            Choice(name="steps", label="Training steps of GRPO", options=[0, 60, 120], default=60, group=RUN),
            runs_of(default=6, low=2, words="each has annotators and a network of its own."),
            seed(),
        ],
        first=("models", "comparisons", "flips"), questions=QUESTIONS, draw=picture,
    )  # fmt: skip


def picture(state: State) -> Picture:
    """Reliability and wrong rankings of the reward models, their agreement, and the gold reward that GRPO reaches."""
    given = {name: state[name] for name in OF_DATA}
    runs = list(range(state["seed"], state["seed"] + state["runs"]))
    study = studied(state["models"], given, runs)
    panels: list[Any] = [
        Panel(reward_model_checks, study.reliability, options={"by_distance": study.by_distance}),
        Table(told(study.agreement), "In numbers", NUMBERS, folded=False),
    ]
    if state["steps"]:
        curve = pl.concat([trained(given, name, runs, state["steps"]) for name in state["models"]])
        turns = lab.studies.turning_points(curve)
        panels.insert(1, Panel(over_optimisation, curve, "What GRPO makes of it", {"turns": turns}, wide=True))
    return Picture(
        sentence=reading(study, given),
        panels=panels,
        code=lines(state, given, runs),
        frame=study.reliability,
        of="the reliability of each reward model",
    )


ABOUT = 0.02  # of all pairs: a smaller gap between confidence and truth is not spoken of
NUMBERS = (
    "Accuracy: share of fresh pairs ranked as the gold reward does. Rank agreement: Spearman's correlation with it. "
    "Calibration error: how far, on average, its confidence is from how often it is right. Wrong labels: share of the "
    "comparisons in which the worse response was preferred. Means over runs with 95% intervals."
)


@kept(16)
def studied(models: list[str], given: dict[str, Any], runs: list[int]) -> RewardModelStudy:
    """The reward models, fitted and measured."""
    return lab.studies.reward_model_study(models, **given, seeds=runs)


@kept(48)
def trained(given: dict[str, Any], model: str, runs: list[int], steps: int) -> pl.DataFrame:
    """GRPO on one of them, named after it."""
    world: Any = lab.world(WORLD, **given, reward_model=model)
    curve = lab.studies.optimisation_curve(world, "grpo", seeds=runs, steps=steps, **watched())
    return curve.with_columns(variant=pl.lit(model))


def reading(study: RewardModelStudy, given: dict[str, Any]) -> str:
    """The sentence: how much of the labels was wrong, what is ranked rightly, whether confidence can be believed."""
    of = {(row["model"], row["measure"]): row for row in study.agreement.iter_rows(named=True)}
    models = study.agreement["model"].unique(maintain_order=True).to_list()
    said = []
    for name in models:
        right, error = of[name, "accuracy"], of[name, "calibration error"]["mean"]
        ranks = f"ranks {right['mean']:.0%} ({right['low']:.0%} to {right['high']:.0%}) of fresh pairs as the gold does"
        said.append(
            f"**{name}** {ranks} and {trust(study.reliability.filter(model=name))} (calibration error {error:.3f})"
        )
    wrong = of[models[0], "wrong labels"]["mean"]
    whose = f" by annotators of {given['personas']} kinds" if given["disagreement"] and given["personas"] > 1 else ""
    return (
        f"In {wrong:.0%} of {given['comparisons']:,} comparisons{whose} the worse response was preferred; "
        f"{'; '.join(said)}."
    )


def trust(one: pl.DataFrame) -> str:
    """Whether a reward model is right as often as it says."""
    share, ahead = one["share"] / one["share"].sum(), one["right"] - one["confidence"]
    gap = float((share * ahead).sum())
    if abs(gap) < ABOUT:
        return "is about as often right as it says"
    return f"is right {abs(gap):.0%} {'more' if gap > 0 else 'less'} often than it says"


def told(agreement: pl.DataFrame) -> pl.DataFrame:
    """The numbers as a reader sees them, a row per reward model."""
    words = pl.format("{} ({} to {})", *(pl.col(c).round(3) for c in ("mean", "low", "high")))
    return agreement.with_columns(told=words).pivot("measure", index="model", values="told")


def lines(state: State, given: dict[str, Any], runs: list[int]) -> str:
    """The code."""
    asked = ", ".join(f"{name}={value!r}" for name, value in given.items())
    seeds = f"range({runs[0]}, {runs[-1] + 1})"
    code = f"""
import lab
import polars as pl

agreement, reliability, by_distance = lab.studies.reward_model_study({state["models"]!r}, {asked}, seeds={seeds})
lab.figures.reward_model_checks(reliability, by_distance=by_distance)
"""
    if not state["steps"]:
        return code
    return f"""{code}
worlds = {{name: lab.world("{WORLD}", {asked}, reward_model=name) for name in {state["models"]!r}}}
curve = pl.concat(
    lab.studies.optimisation_curve(world, "grpo", seeds={seeds}, steps={state["steps"]})
    .with_columns(variant=pl.lit(name)) for name, world in worlds.items())
lab.figures.over_optimisation(curve, turns=lab.studies.turning_points(curve))
"""
