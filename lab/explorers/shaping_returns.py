"""Rewards of steps learned from returns (LaRe): one episode, training on them, how well they are told apart."""

from __future__ import annotations

from typing import Any

import polars as pl

from lab import studies
from lab.explorers.contract import Panel, Picture, State
from lab.explorers.kept import in_parts, kept
from lab.explorers.words import interval
from lab.figures.lines import curves
from lab.figures.shaping import step_rewards
from lab.trace import standing, summarise

SIZES = [8, 16, 32, 64, 128]
MEANT = {"metric": "gold", "label": "true return"}
TRAINED = {"metric": "value", "label": "return of the learned rewards"}
TOLD = {"metric": "correlation", "label": "correlation with the true rewards", "unit": "episodes learned from"}
BESIDE = "Means over seeds, bands their 95% intervals. 1 is what the true rewards would have, 0 a guess."


def picture(state: State) -> Picture:
    """One episode, training on the learned rewards, how well they are told."""
    encoders, collected = state["encoders"], state["collected"]
    runs = list(range(state["seed"], state["seed"] + state["runs"]))
    trace = trained(encoders, collected, runs, **{name: state[name] for name in ("group_size", "horizon")})
    study, summary = told(encoders, runs), summarise(trace, ["gold", "value"])
    renamed = study.rename({"encoder": "variant", "episodes": "step", "correlation": "mean"})
    right = renamed.with_columns(metric=pl.lit("correlation"))
    return Picture(
        sentence=reading(trace, study, encoders, collected),
        panels=[
            Panel(step_rewards, episode(encoders, collected, runs[0]), "One new episode: which step earned what?"),
            Panel(curves, summary, "What is meant", MEANT, key="gold"),
            Panel(curves, summary, "What is trained on", TRAINED, key="value"),
            Panel(curves, right, "How well the steps are told apart", TOLD, BESIDE, key="told"),
        ],
        code=lines(state),
        frame=summary,
        of="the curves of training",
    )


@kept(32)
def trained(encoders: list[str], collected: int, seeds: list[int], **own: Any) -> pl.DataFrame:
    """Trace of training on what was learned from that many episodes."""
    variants = ["return only", *encoders, "true step rewards"]

    def of_seed(seed: int) -> pl.DataFrame:
        return studies.redistribution_training(variants, episodes=collected, seeds=[seed], **own)

    trace = in_parts(of_seed, seeds)
    return pl.concat([trace.filter(variant=name) for name in variants])


@kept(32)
def told(encoders: list[str], seeds: list[int]) -> pl.DataFrame:
    """Correlation with the true rewards by the number of episodes."""
    return studies.redistribution_study(encoders, SIZES, seeds=seeds)


@kept(64)
def episode(encoders: list[str], collected: int, seed: int) -> pl.DataFrame:
    """One new episode."""
    return studies.redistributed_episode(encoders, episodes=collected, seed=seed)


def reading(trace: pl.DataFrame, study: pl.DataFrame, encoders: list[str], collected: int) -> str:
    """The sentence: how well steps are told apart, and what training on that earns beside training on the return."""
    known = study.filter(pl.col("episodes") == collected).rows_by_key("encoder", named=True, unique=True)
    ends = standing(trace, "gold", last=1).rows_by_key("variant", named=True, unique=True)
    best = max(encoders, key=lambda e: ends[e]["mean"])
    return (
        f"From the returns of {collected} episodes the rewards of steps are told with a correlation of "
        + ", ".join(f"{known[e]['correlation']:.2f} (**{e}**)" for e in encoders)
        + f". Trained on them the true return ends at {interval(ends[best])} under **{best}**, "
        f"at {interval(ends['return only'])} where only the return is seen; at best "
        f"{trace['optimum'].to_numpy().mean():.2f}."
    )


def lines(state: State) -> str:
    """The code of all pictures."""
    seeds = f"range({state['seed']}, {state['seed'] + state['runs']})"
    return f"""
import polars as pl

import lab
from lab.trace import summarise

encoders, seeds = {state["encoders"]!r}, {seeds}
lab.figures.step_rewards(
    lab.studies.redistributed_episode(encoders, episodes={state["collected"]}, seed={state["seed"]}))

trace = lab.studies.redistribution_training(["return only", *encoders, "true step rewards"], seeds=seeds,
    episodes={state["collected"]}, group_size={state["group_size"]}, horizon={state["horizon"]})
summary = summarise(trace, ["gold", "value"])
lab.figures.curves(summary, metric="gold", label="{MEANT["label"]}")
lab.figures.curves(summary, metric="value", label="{TRAINED["label"]}")

told = lab.studies.redistribution_study(encoders, {SIZES}, seeds=seeds)
told = told.rename({{"encoder": "variant", "episodes": "step", "correlation": "mean"}})
lab.figures.curves(told.with_columns(metric=pl.lit("correlation")), metric="correlation",
                   label="{TOLD["label"]}", unit="{TOLD["unit"]}")
"""
