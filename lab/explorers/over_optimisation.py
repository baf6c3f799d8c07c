"""Over-optimisation: a learned reward is climbed, and at some distance the gold reward turns round."""

from __future__ import annotations

from typing import Any

import polars as pl

import lab
from lab.explorers import places
from lab.explorers.contract import REWARDS, Explorer, LeftOut, Offer, Panel, Picture, Questions, State, Table
from lab.explorers.kept import kept, watched
from lab.explorers.properties import RUN, Choice, Choices, Flag, Number, Whole, seed
from lab.explorers.runs import narrowed, of_possible, runs_of, without
from lab.figures.over_optimisation import over_optimisation
from lab.methods import names
from lab.training.train import Refusal
from lab.world_registry import declaration

WORLD = "learned-reward"

QUESTIONS: Questions = {
    "When is more reward no longer better?": {},
    "Do more comparisons put it off?": {"comparisons": 3000},
    "What do wrong labels cost?": {"flips": 0.3},
    "And if the gold reward had no top?": {"gold": "linear"},
}


def explorer() -> Explorer:
    """Learned reward and gold reward over the distance from the initial policy."""
    here = declaration(WORLD)
    return Explorer(
        name="over-optimisation", label="Over-optimisation", room=REWARDS,
        title="When is a learned reward climbed too far?",
        properties=[
            Choices(name="variants", label="Variants", options=names(), default=["grpo"], most=3),
            *[places.setter(here.settings[name], name) for name in here.shown],
            Flag(name="best_of_n", label="Best of n beside it", default=True,
                 help="The best of up to 1024 responses of the initial policy, by the same learned reward."),
            Choice(name="steps", label="Training steps", options=[60, 120, 300], default=120, group=RUN),
            Whole(name="group_size", label="Rollouts", low=2, high=64, default=8, typed=True, group=RUN),
            Number(name="lr", label="Learning rate", low=1e-4, high=1, step=0.01, default=0.05, typed=True,
                   format="%g", group=RUN),
            runs_of(default=8, low=2, words="bands rest on them; each has annotators and a reward model of its own."),
            seed(),
        ],
        first=("variants", "comparisons", "flips"), questions=QUESTIONS, offer=offer, draw=picture,
    )  # fmt: skip


def settings(state: State) -> dict[str, Any]:
    """Settings of the world in this state."""
    return {name: state[name] for name in declaration(WORLD).shown}


def away(state: State) -> dict[str, Refusal]:
    """Variants that cannot be trained on a learned reward."""
    return places.closed(WORLD, {"comparisons": 1}, None, state["group_size"])


def offer(state: State) -> Offer:
    """The variants that can be trained here."""
    return narrowed(state, away(state), places.about(WORLD))


def fitting(state: State) -> tuple[dict[str, Any], list[LeftOut]]:
    """The state with the variants that can be trained, and the others with the reason."""
    return without(state, away(state))


@of_possible(fitting)
def picture(state: State) -> Picture:
    """Gold and learned reward over the distance, where the gold turns, and Gao's forms fitted."""
    given = settings(state)
    run = {name: state[name] for name in ("steps", "group_size", "lr")}
    curve = curves(given, state["variants"], state["best_of_n"], state["seed"], state["runs"], run)
    turns = lab.studies.turning_points(curve)
    fit = lab.studies.gao_fit(curve)
    return Picture(
        sentence=reading(turns),
        panels=[
            Panel(over_optimisation, curve, options={"turns": turns}),
            Table(rounded(fit), "Gao's forms of the gold reward, fitted", GAO, folded=False),
        ],
        code=lines(state, given, run),
        frame=curve,
        of="the curves, run by run",
    )


GAO = (
    "d = √KL. α is how much gold reward the first step away gains, β how fast that is used up; mean over runs with its "
    "95% interval. r2 near 1: the form describes the curve."
)


@kept(48)
def _trained(given: dict[str, Any], variant: str, runs: list[int], run: dict[str, Any]) -> pl.DataFrame:
    return lab.studies.optimisation_curve(_world(given), variant, seeds=runs, **run, **watched())


@kept(48)
def _chosen(given: dict[str, Any], runs: list[int]) -> pl.DataFrame:
    return lab.studies.best_of_n_curve(_world(given), seeds=runs)


@kept(8)
def _world(given: dict[str, Any]) -> Any:
    return lab.world(WORLD, **given)


def curves(
    given: dict[str, Any], variants: list[str], best_of_n: bool, first: int, runs: int, run: dict[str, Any]
) -> pl.DataFrame:
    """The curve of every method, run by run."""
    seeds = list(range(first, first + runs))
    found = [_trained(given, name, seeds, run) for name in variants]
    if best_of_n:
        found.append(_chosen(given, seeds))
    return pl.concat(found)


def reading(turns: pl.DataFrame) -> str:
    """The sentence: where the gold reward turns under each method, and where both rewards end."""
    said = []
    for row in turns.iter_rows(named=True):
        where = f"n = {row['step']}" if row["variant"] == lab.studies.BEST_OF_N else f"step {row['step']}"
        place = f"{row['kl']:.1f} nats from the start ({where})"
        turn = f"turns round under **{row['variant']}** {place}: {row['gold']:.2f} there,"
        calm = f"does not turn under **{row['variant']}** as far as these runs can tell:"
        ends = f"{row['gold_end']:.2f} at the end, where the learned reward is {row['proxy_end']:.1f}"
        said.append(f"{turn if row['turns'] else calm} {ends}")
    return f"The gold reward, which is meant, {'; it '.join(said)} (in standard deviations of the first responses)."


def rounded(fit: pl.DataFrame) -> pl.DataFrame:
    """The fits as a reader sees them: variant, form, α and β with intervals, r2."""

    def told(part: str) -> pl.Expr:
        return pl.format("{} ({} to {})", *(pl.col(c).round(2) for c in (part, f"{part}_low", f"{part}_high")))

    return fit.select("variant", "form", told("alpha").alias("α"), told("beta").alias("β"), pl.col("r2").round(3))


def lines(state: State, given: dict[str, Any], run: dict[str, Any]) -> str:
    """The code."""
    told, asked = (", ".join(f"{name}={value!r}" for name, value in each.items()) for each in (given, run))
    seeds = f"range({state['seed']}, {state['seed'] + state['runs']})"
    parts = [f"lab.studies.optimisation_curve(world, name, seeds={seeds}, {asked})\n"
             f"          for name in {state['variants']!r}"]  # fmt: skip
    more = f"\ncurves.append(lab.studies.best_of_n_curve(world, seeds={seeds}))" if state["best_of_n"] else ""
    return f"""
import lab
import polars as pl

world = lab.world("{WORLD}", {told})
curves = [{parts[0]}]{more}
curve = pl.concat(curves)
turns = lab.studies.turning_points(curve)
lab.figures.over_optimisation(curve, turns=turns)
lab.studies.gao_fit(curve)
"""
