"""Shaping: what a dense reward teaches beside the reward that is meant, each trained live in a small world."""

from __future__ import annotations

from typing import Any

import polars as pl
import streamlit as st

from lab import studies
from lab.figures.lines import curves
from lab.figures.shaping import chain_policies, grid_policies, step_rewards
from lab.pages.shell import Page
from lab.pages.state import Choice, Choices, Flag, Number, Whole, seed
from lab.pages.words import interval, listed
from lab.studies.blending import HEURISTICS
from lab.studies.shaping import CONSTRUCTIONS
from lab.trace import standing, summarise
from simulators.delayed.world import ENCODERS
from simulators.mdp.chains import Chain

METHODS = {
    "chain": "rewards by rule", "blend": "a learned blend (BARFI)", "returns": "learned from returns (LaRe)",
}  # fmt: skip
OWN = {
    "returns": ("encoders", "collected", "group_size", "horizon", "runs", "seed"),
    "chain": ("constructions", "success", "length", "discount", "bonus", "episodes", "runs", "seed"),
    "blend": ("heuristic", "entropy", "steps", "learn_discount"),
}
SIZES = [8, 16, 32, 64, 128]
GUESSES = {
    "helpful": "helpful: nearer to the goal", "reversed": "reversed: away from the goal",
    "farmable": "farmable: pay for staying",
}  # fmt: skip
SCORES = {
    "distance": "distance to the reward that is meant (val-l2-l2)", "alignment": "its optimum's share of the best",
    "regret": "regret of its optimum", "worst_case_regret": "regret at worst",
}  # fmt: skip

page = Page(
    "shaping",
    "What does a dense reward teach, beside what is meant?",
    [
        Choice(name="method", label="How the dense reward is made", options=list(METHODS), names=METHODS,
               default="chain"),
        Choices(name="constructions", label="Rewards", options=list(CONSTRUCTIONS), most=6, width=520,
                default=["sparse", "pbrs", "increment", "progress"]),
        Number(name="success", label="The last move succeeds", low=0.05, high=1, step=0.05, default=0.3, width=190,
               help="Otherwise it throws back to the start: near the goal, but not there."),
        Whole(name="length", label="Positions before the goal", low=6, high=24, default=12, width=190),
        Number(name="discount", label="Discount γ", low=0.8, high=0.99, step=0.01, default=0.95, width=150),
        Number(name="bonus", label="Pay for an event", low=0, high=1, step=0.01, default=0.1, width=160,
               help="What a search at the lure, or a message, is paid."),
        Choice(name="episodes", label="Episodes", options=[300, 1000, 3000], default=1000,
               names={300: "300", 1000: "1 000", 3000: "3 000"}),
        Whole(name="runs", label="Seeds", low=4, high=64, default=16, width=150,
              help="Independent runs; the bands are 95% intervals over them."),
        seed(),
        Choice(name="heuristic", label="What the designer guessed", options=list(HEURISTICS), names=GUESSES,
               default="reversed"),
        Number(name="entropy", label="Weight of the learner's entropy", low=0.01, high=0.2, step=0.01, default=0.05,
               width=210, help="It competes with the reward; a blend can make up for it."),
        Choice(name="steps", label="Outer steps", options=[10, 25, 50], default=25),
        Flag(name="learn_discount", label="Learn the learner's discount too", default=False, width=260),
        Choices(name="encoders", label="What is seen of a step", options=list(ENCODERS), most=4, width=440,
                default=["raw", "factors"]),
        Choice(name="collected", label="Episodes to learn the reward from", options=SIZES, default=32),
        Choice(name="group_size", label="Group size", options=[4, 8, 16], default=8),
        Whole(name="horizon", label="Steps of an episode", low=5, high=40, default=20, width=190),
    ],
    {
        "Progress as the reward: does it arrive, or hover before the goal?": {},
        "And with the goal's reward added, without the discount?": {
            "constructions": ["sparse", "pbrs", "increment"], "success": 0.1, "discount": 0.9},
        "Is a bonus on the way farmed?": {"constructions": ["sparse", "pbrs", "bonus", "count"], "success": 1.0},
        "Paid for messages: which reward model?": {
            "constructions": ["sparse", *(c for c in CONSTRUCTIONS if c.startswith("oni-"))], "success": 1.0},
        "The heuristic points the wrong way: can a blend mend it?": {"method": "blend"},
        "A heuristic that can be farmed?": {"method": "blend", "heuristic": "farmable"},
        "Only the return is seen: which step earned it?": {"method": "returns", "runs": 8},
        "And if a factor was forgotten?": {
            "method": "returns", "runs": 8, "encoders": ["factors", "one factor missing", "factors and distractors"]},
    },
)  # fmt: skip


@st.cache_data(max_entries=32, show_spinner="Learning on each reward …")
def trained(
    constructions: list[str], success: float, length: int, discount: float, **options: Any
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Trace, policies and exact scores of the rewards in a chain, kept for a second look."""
    chain = Chain.gate(success, length, discount, every=3)
    learning = {name: options[name] for name in ("seeds", "episodes", "bonus")}
    return (
        studies.shaping_study(constructions, chain=chain, **learning),
        studies.shaping_policies(constructions, chain=chain, **learning),
        studies.shaping_scores(constructions, chain=chain, bonus=options["bonus"]),
    )


@st.cache_data(max_entries=32, show_spinner="Learning the blend …")
def blended(heuristic: str, **settings: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Trace and final policies of a blend, kept for a second look."""
    return studies.blend_study(heuristic, **settings), studies.blend_policies(heuristic, **settings)


@st.cache_data(max_entries=32, show_spinner="Learning rewards from returns …")
def redistributed(
    encoders: list[str], collected: int, seeds: list[int], group_size: int, horizon: int
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Trace of training, correlation by number of episodes, and one episode; kept for a second look."""
    variants, first = ["return only", *encoders, "true step rewards"], min(seeds)
    return (
        studies.redistribution_training(
            variants, episodes=collected, seeds=seeds, group_size=group_size, horizon=horizon
        ),
        studies.redistribution_study(encoders, SIZES, seeds=seeds),
        studies.redistributed_episode(encoders, episodes=collected, seed=first),
    )


def chain_words(trace: pl.DataFrame, scores: pl.DataFrame) -> str:
    """The sentence: who earns most of what is meant, who least, and what the latter does instead."""
    ends = standing(trace, "gold", last=5).sort("mean", descending=True)
    best, worst = ends.row(0, named=True), ends.row(-1, named=True)
    sentence = f"**{best['variant']}** ends with a true return of {interval(best)}"
    if ends.height == 1:
        return sentence + "."
    idle = standing(trace, "idle", last=5).filter(pl.col("variant") == worst["variant"])["mean"][0]
    sentence += f", **{worst['variant']}** with {interval(worst)}"
    sentence += f": that policy waits on the spot in {idle:.0%} of its steps" if idle > 0.3 else ""
    wrong = scores.filter(pl.col("alignment") < 1 - 1e-9)["variant"].to_list()
    if wrong:
        return sentence + f". The best policy for {listed(wrong)} is not the best for what is meant."
    return sentence + ". The best policy for each of them is also the best for what is meant."


def blend_words(trace: pl.DataFrame) -> str:
    """The sentence: what adding the heuristic does, and what the blend makes of it."""
    ends = {row["variant"]: row for row in trace.sort("step").group_by("variant").last().iter_rows(named=True)}
    learnt, naive, alone = (ends[name] for name in ("BARFI", "naive sum", "r_p only"))
    return (
        f"Simply added, the heuristic brings the true return from {alone['value']:.3f} to {naive['value']:.3f} "
        f"(at best {alone['optimum']:.3f}). The learned blend reaches **{learnt['value']:.3f}**: it weighs the true "
        f"reward {signed(learnt['phi2'])} times and the heuristic {signed(learnt['phi3'])} times."
    )


def returns_words(trace: pl.DataFrame, study: pl.DataFrame, encoders: list[str], collected: int) -> str:
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


def signed(number: float) -> str:
    """A number with a true minus sign."""
    return f"{number:.1f}".replace("-", "−")


def score_table(scores: pl.DataFrame) -> str:
    """The exact scores as Markdown."""
    rows = [
        "| reward | what it pays | " + " | ".join(SCORES.values()) + " |",
        "| --- | --- |" + " ---: |" * len(SCORES),
    ]
    for row in scores.iter_rows(named=True):
        numbers = ["not known" if row[name] is None else f"{row[name]:.3f}" for name in SCORES]
        rows.append(f"| **{row['variant']}** | {row['words']} | " + " | ".join(numbers) + " |")
    return "\n".join(rows)


def show_chain(state: dict[str, Any]) -> None:
    """Rewards by rule: curves, policies, exact scores."""
    seeds = range(state["seed"], state["seed"] + state["runs"])
    learning = {"seeds": list(seeds), "episodes": state["episodes"], "bonus": state["bonus"]}
    place = state["success"], state["length"], state["discount"]
    trace, policies, scores = page.ask(trained, state["constructions"], *place, **learning)
    summary = page.ask(summarise, trace, ["gold", "value", "idle", "lured"])
    page.say(chain_words(trace, scores))
    with page.panels():
        for metric, title, label in (
            ("gold", "What is meant", "true return, discounted"),
            ("value", "What is trained on", "shaped return, discounted"),
        ):
            with st.container():
                st.subheader(title, anchor=False)
                page.show(curves, summary, metric=metric, label=label, unit="episode", key=metric)
        with st.container():
            st.subheader("What the policy does", anchor=False)
            page.show(chain_policies, policies)
        with st.container():
            st.subheader("Time spent on the spot", anchor=False)
            page.show(curves, summary, metric="idle", label="share of steps that stay in place", unit="episode",
                      percent=True, key="idle")  # fmt: skip
    st.subheader("The best policy of each reward, exactly", anchor=False)
    st.markdown(score_table(scores))
    st.caption("By planning, nothing is sampled. A distance of 0 means that no policy can tell the two rewards apart.")
    page.finish(
        f"""
import lab
from lab.trace import summarise
from simulators.mdp.chains import Chain

chain = Chain.gate({state["success"]:g}, {state["length"]}, {state["discount"]:g}, every=3)
rewards = {state["constructions"]!r}
learning = dict(chain=chain, seeds=range({seeds.start}, {seeds.stop}), episodes={state["episodes"]},
                bonus={state["bonus"]:g})
trace = lab.studies.shaping_study(rewards, **learning)
summary = summarise(trace, ["gold", "value", "idle", "lured"])
lab.figures.curves(summary, metric="gold", label="true return, discounted", unit="episode")
lab.figures.curves(summary, metric="value", label="shaped return, discounted", unit="episode")
lab.figures.curves(summary, metric="idle", label="share of steps that stay in place", unit="episode", percent=True)

lab.figures.chain_policies(lab.studies.shaping_policies(rewards, **learning))
lab.studies.shaping_scores(rewards, chain=chain, bonus={state["bonus"]:g})
""",
        summary,
        "all curves",
    )


def show_blend(state: dict[str, Any]) -> None:
    """A learned blend: the true return and the weights over outer steps, the policies at the end."""
    settings = {name: state[name] for name in ("entropy", "steps", "learn_discount")}
    trace, policies = page.ask(blended, state["heuristic"], **settings)
    told = page.ask(studies.blend_weights, trace, discount=state["learn_discount"])
    page.say(blend_words(trace))
    with page.panels():
        with st.container():
            st.subheader("What is meant", anchor=False)
            page.show(curves, page.ask(summarise, trace, ["value"]), metric="value",
                      label="true return of the trained policy", unit="outer step", key="value",
                      guide="One learner on each reward. Nothing is sampled: lines are exact, without bands.",
                      )  # fmt: skip
        with st.container():
            st.subheader("The blend that is trained on", anchor=False)
            page.show(curves, page.ask(summarise, told, ["weight"]), metric="weight", label="weight in the blend",
                      unit="outer step", key="weight",
                      guide="The weights that BARFI has learnt after each outer step; exact as well.",
                      )  # fmt: skip
    st.subheader("The policies at the end", anchor=False)
    page.show(grid_policies, policies)
    page.finish(
        f"""
import lab
from lab.trace import summarise

settings = dict(entropy={state["entropy"]:g}, steps={state["steps"]}, learn_discount={state["learn_discount"]})
trace = lab.studies.blend_study({state["heuristic"]!r}, **settings)
lab.figures.curves(summarise(trace, ["value"]), metric="value",
                   label="true return of the trained policy", unit="outer step")
weights = lab.studies.blend_weights(trace, discount={state["learn_discount"]})
lab.figures.curves(summarise(weights, ["weight"]), metric="weight", label="weight in the blend", unit="outer step")

lab.figures.grid_policies(lab.studies.blend_policies({state["heuristic"]!r}, **settings))
""",
        trace,
        "both curves",
    )


def show_returns(state: dict[str, Any]) -> None:
    """Rewards learned from returns: training on them, how well they are told, one episode."""
    seeds = range(state["seed"], state["seed"] + state["runs"])
    own = {name: state[name] for name in ("group_size", "horizon")}
    asked = page.ask(redistributed, state["encoders"], state["collected"], list(seeds), **own)
    trace, study, episode = asked
    summary = page.ask(summarise, trace, ["gold", "value"])
    told = study.rename({"encoder": "variant", "episodes": "step", "correlation": "mean"})
    page.say(returns_words(trace, study, state["encoders"], state["collected"]))
    with page.panels():
        for metric, title, label in (
            ("gold", "What is meant", "true return"),
            ("value", "What is trained on", "return of the learned rewards"),
        ):
            with st.container():
                st.subheader(title, anchor=False)
                page.show(curves, summary, metric=metric, label=label, key=metric)
        with st.container():
            st.subheader("How well the steps are told apart", anchor=False)
            page.show(curves, told.with_columns(metric=pl.lit("correlation")), metric="correlation",
                      label="correlation with the true rewards", unit="episodes learned from", key="told")  # fmt: skip
        with st.container():
            st.subheader("One new episode", anchor=False)
            page.show(step_rewards, episode)
    page.finish(
        f"""
import polars as pl

import lab
from lab.trace import summarise

encoders, seeds = {state["encoders"]!r}, range({seeds.start}, {seeds.stop})
trace = lab.studies.redistribution_training(["return only", *encoders, "true step rewards"], seeds=seeds,
    episodes={state["collected"]}, group_size={state["group_size"]}, horizon={state["horizon"]})
summary = summarise(trace, ["gold", "value"])
lab.figures.curves(summary, metric="gold", label="true return")
lab.figures.curves(summary, metric="value", label="return of the learned rewards")

told = lab.studies.redistribution_study(encoders, {SIZES}, seeds=seeds)
told = told.rename({{"encoder": "variant", "episodes": "step", "correlation": "mean"}})
lab.figures.curves(told.with_columns(metric=pl.lit("correlation")), metric="correlation",
                   label="correlation with the true rewards", unit="episodes learned from")
lab.figures.step_rewards(
    lab.studies.redistributed_episode(encoders, episodes={state["collected"]}, seed={seeds.start}))
""",
        summary,
        "the curves of training",
    )


state = page.open()
with page.controls():
    page.control("method")
    for name in OWN[state["method"]]:
        page.control(name)
{"chain": show_chain, "blend": show_blend, "returns": show_returns}[state["method"]](state)
