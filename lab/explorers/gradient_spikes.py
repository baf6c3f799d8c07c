"""Gradient spikes: where the gradient leaps, and what made it leap."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import polars as pl

from lab.experiment import Replay, replay
from lab.explorers.contract import COMPARE, Explorer, Panel, Picture, Questions, State
from lab.explorers.kept import kept
from lab.explorers.places import made, scenes
from lab.explorers.properties import Number, Whole
from lab.explorers.runs import asked, code, fitting, of_possible, offer, settings, trained
from lab.figures.agent_norms import agent_norms
from lab.figures.gradient_norms import gradient_norms
from lab.figures.group_matrix import group_matrix
from lab.figures.prompt_norms import prompt_norms
from lab.measures import agent_spikes, agent_tails, spikes
from lab.measures.agents import agent_prompts, agent_rows, highest_spikes
from lab.measures.causes import Cause, cause, cause_rows, prompt_shares, spike_counts, worst_spikes
from lab.measures.metrics import AGAINST_EXPECTED

#: What is measured: everything basic, or in a world of agents the gradient norm of each.
RING, AGENT_RING = ("variant", "seed", "step"), ("variant", "agent", "seed", "step")
BASIC, NORMS = "basic", ("grad_norm", "grad_norm_agent_{n}")

LEAPS = "What is a spike"  # heading of the controls

QUESTIONS: Questions = {
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
}  # fmt: skip

Row = Mapping[str, Any]


def explorer() -> Explorer:
    """Why a gradient leapt."""
    properties = [
        *settings(["dr_grpo", "grpo", "mc-grpo"], law="student_t", noise=0.2, steps=150, runs=8),
        Number(name="threshold", label="Spike from score", low=2, high=50, step=0.5, default=6.0, typed=True,
               group=LEAPS, help="Deviations above the median of the steps just before, by the median absolute "
               "deviation."),
        Whole(name="window", label="Steps before it", low=5, high=100, default=20, typed=True, group=LEAPS),
        Whole(name="rank", label="Taken apart (1: the worst)", low=1, high=1000, default=1, typed=True),
    ]  # fmt: skip
    return Explorer(
        name="gradient-spikes", label="Gradient spikes", room=COMPARE, title="Why did the gradient leap?",
        properties=properties, first=("world", "variants", "rank"), questions=QUESTIONS, scenes=scenes(properties),
        offer=offer, draw=picture,
    )  # fmt: skip


@of_possible(fitting)
def picture(state: State) -> Picture:
    """The gradient norms with their spikes, and one of them taken apart."""
    agents = agents_of(state)
    trace = trained(state, NORMS if agents else BASIC)
    options = {"threshold": state["threshold"], "window": state["window"]}
    if agents:
        marked = agent_spikes(trace.frame, agents, **options)
        spike = picked(highest_spikes(marked), state["rank"])
        first, (sentence, more) = agent_norms, of_agents(state, marked, spike, agents)
    else:
        marked = spikes(trace.frame, **options)
        spike = picked(worst_spikes(marked), state["rank"])
        first, (sentence, more) = gradient_norms, of_prompts(state, marked, spike)
    ringed = {} if spike is None else {"ring": tuple(spike[name] for name in (AGENT_RING if agents else RING))}
    return Picture(
        sentence=sentence,
        panels=[Panel(first, marked, "Gradient norm of every run", ringed), *more],
        code=lines(state, spike, ringed, several=bool(agents)),
        frame=marked,
        of="the gradient norms",
    )


def of_prompts(state: State, marked: pl.DataFrame, spike: Row | None) -> tuple[str, list[Panel]]:
    """The sentence, and the pictures of one spike."""
    counts = spike_counts(marked)
    if spike is None:
        return reading(counts, None, None, state["window"]), []
    seen = taken_apart(state, spike)
    found = cause(seen.frame, seen.prompt_norm)
    return reading(counts, spike, found, state["window"]), [
        Panel(prompt_norms, prompt_shares(seen.prompt_norm, seen.frame), "Which prompt"),
        Panel(group_matrix, cause_rows(seen.frame, found.slot), f"What happened in prompt {found.prompt}"),
    ]


def of_agents(
    state: State, marked: pl.DataFrame, spike: Row | None, agents: tuple[str, ...]
) -> tuple[str, list[Panel]]:
    """The sentence, and the pictures of one agent's spike."""
    tails = agent_tails(marked)
    if spike is None:
        return agents_reading(tails, None, None, state["window"]), []
    seen, world = taken_apart(state, spike), made(state)
    number, truth = agents.index(spike["agent"]), seen.truth
    assert truth is not None, "a world of agents knows its truth"
    shares = prompt_shares(agent_prompts(seen.moment.policy_gradient, world.agent_axis, number))
    found = shares.filter("largest").row(0, named=True)
    rows = agent_rows(seen.moment, truth.advantage, found["prompt"], agents)
    return agents_reading(tails, spike, found, state["window"]), [
        Panel(prompt_norms, shares, f"Which prompt of the {spike['agent']}"),
        Panel(group_matrix, rows, f"What each agent got in prompt {found['prompt']}"),
    ]


def agents_of(state: State) -> tuple[str, ...]:
    """Names of the agents of a world of agents; none in any other."""
    names: tuple[str, ...] = getattr(made(state), "agents", ())
    return names


def picked(found: pl.DataFrame, rank: int) -> dict[str, Any] | None:
    """The spike that is taken apart, of those that were found."""
    return found.row(min(rank, found.height) - 1, named=True) if found.height else None


def replay_options(state: State) -> dict[str, Any]:
    """The settings of the run that a replay needs."""
    return {name: value for name, value in asked(state).items() if name not in ("steps", "seeds")}


def taken_apart(state: State, spike: Row) -> Replay:
    """The step of a spike, computed again."""
    return _replayed(dict(state), spike["variant"], spike["seed"], spike["step"])


@kept(24)
def _replayed(state: dict[str, Any], variant: str, seed: int, step: int) -> Replay:
    return replay(made(state), variant, seed=seed, step=step, **replay_options(state))


def named(spike: Row, window: int) -> str:
    """Which spike it is, and how far it leaps."""
    leap = f"a gradient {spike['score']:,.0f} usual deviations above that of the {window} steps before it"
    leap = "a gradient after steps that had none" if math.isinf(spike["score"]) else leap
    return f"{spike['variant']}, seed {spike['seed']}, step {spike['step']}: {leap}"


def reading(counts: pl.DataFrame, spike: Row | None, found: Cause | None, window: int) -> str:
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
        f"The ringed one ({named(spike, window)}) comes to {found.share:.0%} from prompt {found.prompt}: a reward of "
        f"{found.reward:.3g} became an advantage of {found.advantage:.3g}{wrong}."
    )


def agents_reading(tails: pl.DataFrame, spike: Row | None, found: Row | None, window: int) -> str:
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
        f"({named(spike, window)}) comes to {found['share']:.0%} from prompt {found['prompt']}."
    )


def lines(state: State, spike: Row | None, ringed: Row, *, several: bool) -> str:
    """The code."""
    given = "" if state["threshold"] == 6 and state["window"] == 20 else (
        f", threshold={state['threshold']:g}, window={state['window']}")  # fmt: skip
    ring = "".join(f", ring={value}" for value in ringed.values())
    draws = (
        [f"marked = lab.measures.agent_spikes(trace.frame, world.agents{given})",
         f"lab.figures.agent_norms(marked{ring})"]
        if several else
        [f"marked = lab.measures.spikes(trace.frame{given})", f"lab.figures.gradient_norms(marked{ring})"]
    )  # fmt: skip
    shown = [*code(state, NORMS if several else BASIC), *draws]
    return "\n".join(shown if spike is None else [*shown, "", *(agent_lines if several else apart_lines)(state, spike)])


def replayed(state: State, spike: Row) -> str:
    """The line that computes the step of a spike again, with all that the run had."""
    options = "".join(f", {name}={value!r}" for name, value in replay_options(state).items())
    given = f"world, {spike['variant']!r}, seed={spike['seed']}, step={spike['step']}{options}"
    return f"seen = lab.experiment.replay({given})"


def apart_lines(state: State, spike: Row) -> list[str]:
    """The code of the pictures of one spike."""
    return [
        "from lab.measures.causes import cause, cause_rows, prompt_shares",
        replayed(state, spike),
        "found = cause(seen.frame, seen.prompt_norm)",
        "lab.figures.prompt_norms(prompt_shares(seen.prompt_norm, seen.frame))",
        "lab.figures.group_matrix(cause_rows(seen.frame, found.slot))",
    ]


def agent_lines(state: State, spike: Row) -> list[str]:
    """The code of the pictures of one agent's spike."""
    return [
        "from lab.measures.agents import agent_prompts, agent_rows",
        "from lab.measures.causes import prompt_shares",
        replayed(state, spike),
        f"agent = world.agents.index({spike['agent']!r})",
        "shares = prompt_shares(agent_prompts(seen.moment.policy_gradient, world.agent_axis, agent))",
        "prompt = shares.filter('largest')['prompt'][0]",
        "lab.figures.prompt_norms(shares)",
        "lab.figures.group_matrix(agent_rows(seen.moment, seen.truth.advantage, prompt, world.agents))",
    ]
