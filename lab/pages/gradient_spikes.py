"""Gradient spikes: where the gradient leaps, and what made it leap."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
import streamlit as st

from lab.diagnostics import spikes
from lab.diagnostics.causes import Cause, cause, cause_rows, prompt_shares, spike_counts, worst_spikes
from lab.experiment import Replay, replay
from lab.figures.gradient_norms import gradient_norms
from lab.figures.group_matrix import group_matrix
from lab.figures.prompt_norms import prompt_norms
from lab.pages.runs import asked, code, controls, settings, trained
from lab.pages.shell import Page
from lab.pages.state import Number, Whole
from simulators.families import graded

MEASURE = "basic"

page = Page(
    "gradient-spikes",
    "Why did the gradient leap?",
    [
        *settings(["dr_grpo", "grpo", "mc-grpo"], law="student_t", noise=0.2, steps=150, runs=8),
        Number(name="threshold", label="Spike from score", low=2, high=50, step=0.5, default=6.0, typed=True, width=130,
               help="Deviations above the median of the steps just before, by the median absolute deviation."),
        Whole(name="window", label="Steps before it", low=5, high=100, default=20, typed=True, width=130),
        Whole(name="rank", label="Taken apart (1: the worst)", low=1, high=1000, default=1, typed=True),
    ],
    {
        "Heavy tails: who passes them on?": {},
        "One outlier in ten: is it felt?": {"law": "contaminated_normal", "noise": 0.1},
        "Skewed rewards: does the median help?": {"law": "log_normal", "noise": 1.0},
        "Right or wrong: is one mistake a spike?": {"law": "bernoulli", "variants": ["grpo", "dr_grpo"], "steps": 500},
        "Does the group size tame them?": {"group_size": 32},
    },
)  # fmt: skip


@st.cache_resource(max_entries=24, show_spinner=False)
def taken_apart(state: dict[str, Any], variant: str, seed: int, step: int) -> Replay:
    """The step of a spike, computed again."""
    world = graded(state["prompts"], law=state["law"], noise=state["noise"])
    options = {name: value for name, value in asked(state).items() if name not in ("steps", "seeds")}
    return replay(world, variant, seed=seed, step=step, **options)


def reading(counts: pl.DataFrame, spike: dict[str, Any] | None, found: Cause | None) -> str:
    """The sentence: who spikes how often, and what the chosen spike comes from."""
    each = [f"{name} {n}" for name, n in counts.select("variant", "spikes").iter_rows()]
    first = counts.row(0, named=True)
    sentence = f"**{first['variant']}** has {first['spikes']} spikes in {first['runs']} runs"
    sentence += f", {' and '.join(each[1:])}. " if each[1:] else ". "
    if spike is None or found is None:
        return sentence + "Nothing leaps here."
    score = "out of a stretch without any gradient" if math.isinf(spike["score"]) else f"score {spike['score']:.0f}"
    wrong = ", of the wrong sign" if found.flipped else ""
    return sentence + (
        f"The ringed one ({spike['variant']}, seed {spike['seed']}, step {spike['step']}, {score}) comes to "
        f"{found.share:.0%} from prompt {found.prompt}: a reward of {found.reward:.3g} became an advantage of "
        f"{found.advantage:.3g}{wrong}."
    )


def apart(spike: dict[str, Any]) -> Cause:
    """The pictures of one spike; returns what caused it."""
    seen = page.ask(taken_apart, state, spike["variant"], spike["seed"], spike["step"])
    found = cause(seen.frame, seen.prompt_norm)
    with page.panels():
        with st.container():
            st.subheader("Which prompt", anchor=False)
            page.show(prompt_norms, prompt_shares(seen.prompt_norm))
        with st.container():
            st.subheader(f"What happened in prompt {found.prompt}", anchor=False)
            page.show(group_matrix, cause_rows(seen.frame, found.prompt))
    return found


def lines(spike: dict[str, Any] | None) -> str:
    """The code of the page."""
    given = "" if page.state["threshold"] == 6 and page.state["window"] == 20 else (
        f", threshold={page.state['threshold']:g}, window={page.state['window']}")  # fmt: skip
    shown = [*code(state, MEASURE), f"marked = lab.diagnostics.spikes(trace.frame{given})",
             "lab.figures.gradient_norms(marked)"]  # fmt: skip
    if spike is None:
        return "\n".join(shown)
    return "\n".join([
        *shown,
        "",
        "from lab.experiment import replay",
        f"seen = replay(world, {spike['variant']!r}, seed={spike['seed']}, step={spike['step']},",
        f"              group_size={state['group_size']}, lr={state['lr']:g}, epochs={state['epochs']})",
        "seen.prompt_norm, seen.frame",
    ])  # fmt: skip


state = page.open()
controls(page, state)
with st.container(horizontal=True, vertical_alignment="bottom", key="controls-spikes"):
    for name in ("threshold", "window", "rank"):
        page.control(name)
trace = trained(page, MEASURE)
marked = page.ask(spikes, trace.frame, threshold=state["threshold"], window=state["window"])
worst = worst_spikes(marked)
chosen = worst.row(min(state["rank"], worst.height) - 1, named=True) if worst.height else None
ring = chosen and (chosen["variant"], chosen["seed"], chosen["step"])
page.show(gradient_norms, marked, ring=ring)
page.say(reading(spike_counts(marked), chosen, apart(chosen) if chosen else None))
page.finish(lines(chosen), marked)
