"""Gradient spikes: where the gradient leaps, and what made it leap."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
import streamlit as st

from lab.experiment import Replay, replay
from lab.figures.agent_norms import agent_norms
from lab.figures.gradient_norms import gradient_norms
from lab.figures.group_matrix import group_matrix
from lab.figures.prompt_norms import prompt_norms
from lab.measures import agent_spikes, agent_tails, spikes
from lab.measures.agents import agent_prompts, agent_rows, highest_spikes
from lab.measures.causes import Cause, cause, cause_rows, prompt_shares, spike_counts, worst_spikes
from lab.measures.metrics import AGAINST_EXPECTED
from lab.pages.places import SCENES, made
from lab.pages.runs import asked, code, controls, fitting, settings, trained
from lab.pages.shell import Page
from lab.pages.state import Number, Whole

#: What is measured: everything basic, or in a world of agents the gradient norm of each.
RING, AGENT_RING = ("variant", "seed", "step"), ("variant", "agent", "seed", "step")
BASIC, NORMS = "basic", ("grad_norm", "grad_norm_agent_{n}")

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
        "Several agents, one mean for all: who explodes?": {
            "world": "agents", "variants": ["dr-mas-global", "dr-mas"]},
        "Router, searcher, answerer: is one of them louder?": {
            "world": "agents", "plan": "search", "variants": ["dr-mas-global", "dr-mas"]},
        "Several turns: does credit by turns leap less?": {
            "world": "turns", "task": "steps", "lr": 50.0, "variants": ["grpo", "mapo", "a2tgpo"]},
    },
    SCENES,
)  # fmt: skip


def replay_options(state: dict[str, Any]) -> dict[str, Any]:
    """The settings of the run that a replay needs."""
    return {name: value for name, value in asked(state).items() if name not in ("steps", "seeds")}


@st.cache_resource(max_entries=24, show_spinner=False)
def taken_apart(state: dict[str, Any], variant: str, seed: int, step: int) -> Replay:
    """The step of a spike, computed again."""
    return replay(made(state), variant, seed=seed, step=step, **replay_options(state))


def named(spike: dict[str, Any]) -> str:
    """Which spike it is, and how far it leaps."""
    leap = f"a gradient {spike['score']:,.0f} usual deviations above that of the {state['window']} steps before it"
    leap = "a gradient after steps that had none" if math.isinf(spike["score"]) else leap
    return f"{spike['variant']}, seed {spike['seed']}, step {spike['step']}: {leap}"


def reading(counts: pl.DataFrame, spike: dict[str, Any] | None, found: Cause | None) -> str:
    """The sentence: who spikes how often, and what the chosen spike comes from."""
    each = [f"{name} {n}" for name, n in counts.select("variant", "spikes").iter_rows()]
    first = counts.row(0, named=True)
    number = f"{first['spikes']} spike{'s' * (first['spikes'] != 1)}"
    sentence = f"The gradient of **{first['variant']}** has {number} in {first['runs']} runs"
    sentence += f", {' and '.join(each[1:])}. " if each[1:] else ". "
    if spike is None or found is None:
        return sentence + "Nothing leaps here."
    wrong = f", of the wrong sign {AGAINST_EXPECTED}" if found.flipped else ""
    return sentence + (
        f"The ringed one ({named(spike)}) comes to {found.share:.0%} from prompt {found.prompt}: a reward of "
        f"{found.reward:.3g} became an advantage of {found.advantage:.3g}{wrong}."
    )


def apart(spike: dict[str, Any]) -> Cause:
    """The pictures of one spike; returns what caused it."""
    seen = page.ask(taken_apart, state, spike["variant"], spike["seed"], spike["step"])
    found = cause(seen.frame, seen.prompt_norm)
    with page.panels():
        with st.container():
            st.subheader("Which prompt", anchor=False)
            page.show(prompt_norms, prompt_shares(seen.prompt_norm, seen.frame))
        with st.container():
            st.subheader(f"What happened in prompt {found.prompt}", anchor=False)
            page.show(group_matrix, cause_rows(seen.frame, found.slot))
    return found


def agents_of(state: dict[str, Any]) -> tuple[str, ...]:
    """Names of the agents of a world of agents."""
    world: Any = made(state)
    names: tuple[str, ...] = world.agents
    return names


def agents_apart(spike: dict[str, Any]) -> dict[str, Any]:
    """The pictures of one agent's spike; returns the prompt that it comes from."""
    seen = page.ask(taken_apart, state, spike["variant"], spike["seed"], spike["step"])
    agents: Any = made(state)
    shares = prompt_shares(
        agent_prompts(seen.moment.policy_gradient, agents.agent_axis, agents.agents.index(spike["agent"]))
    )
    found: dict[str, Any] = shares.filter("largest").row(0, named=True)
    with page.panels():
        with st.container():
            st.subheader(f"Which prompt of the {spike['agent']}", anchor=False)
            page.show(prompt_norms, shares)
        with st.container():
            st.subheader(f"What each agent got in prompt {found['prompt']}", anchor=False)
            page.show(group_matrix, agent_rows(seen.moment, seen.truth.advantage, found["prompt"], agents.agents))
    return found


def agents_reading(tails: pl.DataFrame, spike: dict[str, Any] | None, found: dict[str, Any] | None) -> str:
    """The sentence: which agent leaps most, under which variant, and where the chosen spike comes from."""
    if spike is None or found is None:
        loudest = tails.sort("median", descending=True).row(0, named=True)
        return (
            f"No agent's gradient leaps here; the {loudest['agent']}'s is the largest (median {loudest['median']:.2g})."
        )
    own = tails.filter(pl.col("agent") == spike["agent"]).sort("spikes", descending=True)
    each = [
        f"{row['spikes']} spikes under **{row['variant']}**"
        + (f" (99th percentile {row['tail']:.1f} medians)" if row["tail"] else "")
        for row in own.iter_rows(named=True)
    ]
    return (
        f"The gradient of the **{spike['agent']}** has the highest leap of all: {', '.join(each)}. The ringed one "
        f"({named(spike)}) comes to {found['share']:.0%} from prompt {found['prompt']}."
    )


def lines(spike: dict[str, Any] | None) -> str:
    """The code of the page."""
    given = "" if page.state["threshold"] == 6 and page.state["window"] == 20 else (
        f", threshold={page.state['threshold']:g}, window={page.state['window']}")  # fmt: skip
    ringed = "" if spike is None else f", ring={ring(spike, *(AGENT_RING if several else RING))}"
    draws = (
        [f"marked = lab.measures.agent_spikes(trace.frame, world.agents{given})",
         f"lab.figures.agent_norms(marked{ringed})"]
        if several else
        [f"marked = lab.measures.spikes(trace.frame{given})", f"lab.figures.gradient_norms(marked{ringed})"]
    )  # fmt: skip
    shown = [*code(state, NORMS if several else BASIC), *draws]
    return "\n".join(shown if spike is None else [*shown, "", *(agent_lines if several else apart_lines)(spike)])


def replayed(spike: dict[str, Any]) -> str:
    """The line that computes the step of a spike again, with all that the run had."""
    options = "".join(f", {name}={value!r}" for name, value in replay_options(state).items())
    given = f"world, {spike['variant']!r}, seed={spike['seed']}, step={spike['step']}{options}"
    return f"seen = lab.experiment.replay({given})"


def apart_lines(spike: dict[str, Any]) -> list[str]:
    """The code of the pictures of one spike."""
    return [
        "from lab.measures.causes import cause, cause_rows, prompt_shares",
        replayed(spike),
        "found = cause(seen.frame, seen.prompt_norm)",
        "lab.figures.prompt_norms(prompt_shares(seen.prompt_norm, seen.frame))",
        "lab.figures.group_matrix(cause_rows(seen.frame, found.slot))",
    ]


def agent_lines(spike: dict[str, Any]) -> list[str]:
    """The code of the pictures of one agent's spike."""
    return [
        "from lab.measures.agents import agent_prompts, agent_rows",
        "from lab.measures.causes import prompt_shares",
        replayed(spike),
        f"agent = world.agents.index({spike['agent']!r})",
        "shares = prompt_shares(agent_prompts(seen.moment.policy_gradient, world.agent_axis, agent))",
        "prompt = shares.filter('largest')['prompt'][0]",
        "lab.figures.prompt_norms(shares)",
        "lab.figures.group_matrix(agent_rows(seen.moment, seen.truth.advantage, prompt, world.agents))",
    ]


def picked(found: pl.DataFrame) -> dict[str, Any] | None:
    """The spike that the page takes apart, of those that were found."""
    return found.row(min(state["rank"], found.height) - 1, named=True) if found.height else None


def ring(spike: dict[str, Any] | None, *names: str) -> tuple[Any, ...] | None:
    """Where the picture points at."""
    return None if spike is None else tuple(spike[name] for name in names)


state = page.open()
controls(page, state)
with st.container(horizontal=True, vertical_alignment="bottom", key="controls-spikes"):
    for name in ("threshold", "window", "rank"):
        page.control(name)
state = fitting(page)
several = bool(agents_of(state))
trace = trained(page, state, NORMS if several else BASIC)
options = {"threshold": state["threshold"], "window": state["window"]}
if several:
    marked = page.ask(agent_spikes, trace.frame, agents_of(state), **options)
    chosen = picked(highest_spikes(marked))
    page.show(agent_norms, marked, ring=ring(chosen, *AGENT_RING))
    page.say(agents_reading(agent_tails(marked), chosen, agents_apart(chosen) if chosen else None))
else:
    marked = page.ask(spikes, trace.frame, **options)
    chosen = picked(worst_spikes(marked))
    page.show(gradient_norms, marked, ring=ring(chosen, *RING))
    page.say(reading(spike_counts(marked), chosen, apart(chosen) if chosen else None))
page.finish(lines(chosen), marked, "the gradient norms")
