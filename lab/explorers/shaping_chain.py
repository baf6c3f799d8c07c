"""Dense rewards by rule, in a chain: what each teaches, and what its best policy is worth."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import polars as pl

from lab import studies
from lab.explorers.contract import Panel, Picture, State, Table
from lab.explorers.kept import in_parts, kept
from lab.explorers.words import interval, listed
from lab.figures.lines import curves
from lab.figures.shaping import chain_policies
from lab.trace import standing, summarise
from simulators.mdp.chains import Chain

METRICS = ["gold", "value", "idle", "lured"]
MEANT = {"metric": "gold", "label": "true return, discounted", "unit": "episode"}
TRAINED = {"metric": "value", "label": "shaped return, discounted", "unit": "episode"}
IDLE = {"metric": "idle", "label": "share of steps that stay in place", "unit": "episode", "percent": True}
SCORES = {
    "variant": "reward", "words": "what it pays",
    "distance": "distance to the reward that is meant (val-l2-l2)", "alignment": "its optimum's share of the best",
    "regret": "regret of its optimum", "worst_case_regret": "regret at worst",
}  # fmt: skip
PLANNED = "By planning, nothing is sampled. A distance of 0 means that no policy can tell the two rewards apart."


def picture(state: State) -> Picture:
    """Policies at each position, curves, exact scores."""
    place = {name: state[name] for name in ("success", "length", "discount")}
    learning = {name: state[name] for name in ("episodes", "bonus")} | {"seeds": list(seeds(state))}
    trace, policies = trained(state["constructions"], **place, **learning)
    scores = scored(state["constructions"], **place, bonus=state["bonus"])
    summary = summarise(trace, METRICS)
    return Picture(
        sentence=reading(trace, scores),
        panels=[
            Panel(chain_policies, policies, "What the policy does at each position"),
            Panel(curves, summary, "What is meant", MEANT, key="gold"),
            Panel(curves, summary, "What is trained on", TRAINED, key="value"),
            Panel(curves, summary, "Time spent on the spot", IDLE, key="idle"),
            Table(table(scores), "The best policy of each reward, exactly", PLANNED),
        ],
        code=lines(state),
        frame=summary,
        of="all curves",
    )


def seeds(state: State) -> range:
    """The seeds of the independent runs."""
    return range(state["seed"], state["seed"] + state["runs"])


def trained(constructions: list[str], **given: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Trace and policies of the rewards in a chain."""
    trace = in_parts(lambda one: _taught(one, **given)[0], constructions)
    done = constructions[: trace["variant"].n_unique()]
    return trace, pl.concat([_taught(one, **given)[1] for one in done])


@kept(128)
def _taught(
    one: str, success: float, length: int, discount: float, **learning: Any
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Trace and policies of one reward; each learns by itself, in compiled code, so both do it at the same time."""
    options = {"chain": Chain.gate(success, length, discount, every=3), **learning}
    with ThreadPoolExecutor(1) as pool:
        policies = pool.submit(studies.shaping_policies, [one], **options)
        return studies.shaping_study([one], **options), policies.result()


@kept(64)
def scored(constructions: list[str], success: float, length: int, discount: float, bonus: float) -> pl.DataFrame:
    """Exact scores of the rewards in a chain."""
    return studies.shaping_scores(constructions, chain=Chain.gate(success, length, discount, every=3), bonus=bonus)


def reading(trace: pl.DataFrame, scores: pl.DataFrame) -> str:
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
    unknown = scores.filter(pl.col("alignment").is_null())["variant"].to_list()
    if unknown:
        return sentence + f". No best policy is known for {listed(unknown)}: their pay depends on what was said before."
    return sentence + ". The best policy for each of them is also the best for what is meant."


def table(scores: pl.DataFrame) -> pl.DataFrame:
    """The exact scores under words for a reader; null where they are not known."""
    return scores.rename(SCORES).with_columns(pl.col(pl.Float64).round(3))


def lines(state: State) -> str:
    """The code of all pictures."""
    runs = seeds(state)
    return f"""
import lab
from lab.trace import summarise
from simulators.mdp.chains import Chain

chain = Chain.gate({state["success"]:g}, {state["length"]}, {state["discount"]:g}, every=3)
rewards = {state["constructions"]!r}
learning = dict(chain=chain, seeds=range({runs.start}, {runs.stop}), episodes={state["episodes"]},
                bonus={state["bonus"]:g})
lab.figures.chain_policies(lab.studies.shaping_policies(rewards, **learning))

trace = lab.studies.shaping_study(rewards, **learning)
summary = summarise(trace, {METRICS})
lab.figures.curves(summary, metric="gold", label="{MEANT["label"]}", unit="episode")
lab.figures.curves(summary, metric="value", label="{TRAINED["label"]}", unit="episode")
lab.figures.curves(summary, metric="idle", label="{IDLE["label"]}", unit="episode", percent=True)
lab.studies.shaping_scores(rewards, chain=chain, bonus={state["bonus"]:g})
"""
