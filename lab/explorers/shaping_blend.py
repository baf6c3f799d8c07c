"""A learned blend of the true reward and a heuristic (BARFI): its weights, and what the policy earns."""

from __future__ import annotations

from typing import Any

import polars as pl

from lab import studies
from lab.explorers.contract import Panel, Picture, State
from lab.explorers.kept import kept
from lab.figures.lines import curves
from lab.figures.shaping import grid_policies
from lab.trace import summarise

EXACT = "One learner on each reward. Nothing is sampled: lines are exact, without bands."
LEARNT = "The weights that BARFI has learnt after each outer step; exact as well."
EARNED = {"metric": "value", "label": "true return of the trained policy", "unit": "outer step"}
WEIGHT = {"metric": "weight", "label": "weight in the blend", "unit": "outer step"}


def picture(state: State) -> Picture:
    """The true return and the weights over outer steps, the policies at the end."""
    settings = {name: state[name] for name in ("entropy", "steps", "learn_discount")}
    trace, policies = blended(state["heuristic"], **settings)
    weights = studies.blend_weights(trace, discount=state["learn_discount"])
    earned, weighed = summarise(trace, ["value"]), summarise(weights, ["weight"])
    return Picture(
        sentence=reading(trace),
        panels=[
            Panel(curves, earned, "What is meant", EARNED, EXACT, key="value"),
            Panel(curves, weighed, "The blend that is trained on", WEIGHT, LEARNT, key="weight"),
            Panel(grid_policies, policies, "The policies at the end", wide=True),
        ],
        code=lines(state["heuristic"], settings),
        frame=trace,
        of="both curves",
    )


@kept(32)
def blended(heuristic: str, **settings: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Trace and final policies of a blend."""
    return studies.blend_study(heuristic, **settings), studies.blend_policies(heuristic, **settings)


def reading(trace: pl.DataFrame) -> str:
    """The sentence: what adding the heuristic does, and what the blend makes of it."""
    ends = {row["variant"]: row for row in trace.sort("step").group_by("variant").last().iter_rows(named=True)}
    learnt, naive, alone = (ends[name] for name in ("BARFI", "naive sum", "r_p only"))
    return (
        f"Simply added, the heuristic brings the true return from {alone['value']:.3f} to {naive['value']:.3f} "
        f"(at best {alone['optimum']:.3f}). The learned blend reaches **{learnt['value']:.3f}**: it weighs the true "
        f"reward {_signed(learnt['phi2'])} times and the heuristic {_signed(learnt['phi3'])} times."
    )


def _signed(number: float) -> str:
    """A number with a true minus sign."""
    return f"{number:.1f}".replace("-", "−")


def lines(heuristic: str, settings: dict[str, Any]) -> str:
    """The code of all pictures."""
    given = ", ".join(f"{name}={value!r}" for name, value in settings.items())
    return f"""
import lab
from lab.trace import summarise

settings = dict({given})
trace = lab.studies.blend_study({heuristic!r}, **settings)
lab.figures.curves(summarise(trace, ["value"]), metric="value", label="{EARNED["label"]}", unit="outer step")
weights = lab.studies.blend_weights(trace, discount={settings["learn_discount"]})
lab.figures.curves(summarise(weights, ["weight"]), metric="weight", label="{WEIGHT["label"]}", unit="outer step")

lab.figures.grid_policies(lab.studies.blend_policies({heuristic!r}, **settings))
"""
