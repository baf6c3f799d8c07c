"""What the pages that train have in common: the settings of a run, the run beside the page, its code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import streamlit as st

import lab
from lab.pages.background import Job
from lab.pages.shell import Page
from lab.pages.state import Choice, Choices, Number, Property, Whole, seed
from lab.variants import names
from lab.worlds import world
from simulators import reward_laws
from simulators.families import NOISY, graded, noisy
from simulators.records import World

MEASURED = 75  # points of a curve that needs the exact gradient
AT_ONCE = 1.0  # seconds that a page waits for a run before it shows a progress bar
LAWS = {law.name: law.name.replace("_", " ") for law in reward_laws.named()} | {"bernoulli": "right or wrong"}


def settings(variants: Sequence[str], **defaults: Any) -> list[Property]:
    """The properties of a run in a graded bandit, with these variants and defaults."""
    given = {"group_size": 8, "lr": 2.0, "law": "bernoulli", "noise": 0.3, "prompts": 8, "runs": 16, "steps": 150}
    start = given | {"epochs": 1} | defaults
    return [
        Choices(name="variants", label="Variants", options=names(), default=[lab.variant(v).name for v in variants],
                width=440),
        Whole(name="group_size", label="Group size", low=2, high=32, default=start["group_size"], width=150),
        Number(name="lr", label="Learning rate", low=0, high=100, step=0.5, default=start["lr"], typed=True, width=140,
               help="Of ascent on the mean objective."),
        Choice(name="law", label="Reward law", options=list(LAWS), names=LAWS, default=start["law"], width=190,
               help="How rewards scatter around the expected reward of an arm."),
        Number(name="noise", label="Noise", low=0, high=2, step=0.05, default=start["noise"], width=150,
               help="Spread of ordinary rewards; outliers are ten times as wide."),
        Choice(name="steps", label="Steps", options=[50, 150, 500, 2000], default=start["steps"]),
        Whole(name="prompts", label="Prompts", low=1, high=32, default=start["prompts"], width=150,
              help="From easy (half of the 8 arms are good) to hard (one is)."),
        Whole(name="runs", label="Seeds", low=2, high=64, default=start["runs"], width=150,
              help="Independent runs; the bands are 95% intervals over them."),
        Whole(name="epochs", label="Passes per batch", low=1, high=4, default=start["epochs"], width=150,
              help="Gradient steps per batch of rollouts; with one, clips and ratios do nothing."),
        seed(),
    ]  # fmt: skip


WORLDS = {"bandit": "a bandit", "agents": "several agents", "turns": "several turns"}
PLANS = {"conditional": "called when it goes wrong", "solver-verifier": "solver and verifier", "search": "search"}


TASKS = {"dialogue": "dialogue", "search": "search", "steps": "solving in steps"}


def worlds() -> list[Property]:
    """The choice of a world, for pages that offer others than the bandit."""
    return [
        Choice(name="world", label="World", options=list(WORLDS), names=WORLDS, default="bandit"),
        Choice(name="plan", label="Plan", options=list(PLANS), names=PLANS, default="conditional",
               help="Who is called when."),
        Choice(name="task", label="Task", options=list(TASKS), names=TASKS, default="dialogue"),
    ]  # fmt: skip


def controls(page: Page, state: Mapping[str, Any]) -> None:
    """The widgets of `settings`, those of the reward only in a bandit, the noise only where the law takes one."""
    own = {"law": "bandit", "noise": "bandit", "plan": "agents", "task": "turns"}
    with page.controls():
        for name in RUN:
            fits = own.get(name, world_of(state)) == world_of(state)
            if name in state and fits and (name != "noise" or state["law"] in NOISY):
                page.control(name)


def world_of(state: Mapping[str, Any]) -> str:
    """Name of the world that the page's runs take place in."""
    return str(state.get("world", "bandit"))


def made(state: Mapping[str, Any]) -> World:
    """The world of a state."""
    if world_of(state) == "bandit":
        return graded(state["prompts"], law=state["law"], noise=state["noise"])
    own = "plan" if world_of(state) == "agents" else "task"
    return world(world_of(state), prompts=state["prompts"], **{own: state[own]})


def asked(state: Mapping[str, Any]) -> dict[str, Any]:
    """The options of `lab.train` for this state."""
    return {
        "steps": state["steps"], "seeds": range(state["seed"], state["seed"] + state["runs"]),
        "group_size": state["group_size"], "lr": state["lr"], "epochs": state["epochs"],
    }  # fmt: skip


def pace(state: Mapping[str, Any], measure: str | tuple[str, ...]) -> int:
    """Every how many steps to measure: what needs the exact gradient costs three times a step, so it is done rarely.

    A spike lasts one step, so where norms are asked for every step is measured.
    """
    return 1 if measure == "basic" or "grad_norm" in measure else max(1, state["steps"] // MEASURED)


@st.cache_resource(max_entries=12, show_spinner=False)
def start(state: str, measure: str | tuple[str, ...]) -> Job:
    """The run of a state (as JSON), started once and kept, so that a second look is immediate."""
    wanted = json.loads(state)
    options = asked(wanted) | {"measure": measure, "every": pace(wanted, measure)}
    return Job(partial(lab.train, made(wanted), wanted["variants"], **options))


def trained(page: Page, measure: str | tuple[str, ...]) -> lab.Trace:
    """The trace of the page's state; where it takes longer, a progress bar and a button that stops it."""
    settled = json.dumps({name: page.state[name] for name in RUN if name in page.state}, sort_keys=True)
    before = st.session_state.get(page.key("run"))
    if before and before != (settled, measure) and not (old := start(*before)).wait(0):
        old.stop()
        start.clear(*before)
    st.session_state[page.key("run")] = (settled, measure)
    job = page.ask(start, settled, measure)
    if not job.wait(AT_ONCE):
        page.say("Training …")
        watch(job)
        st.stop()
    if job.stopped:
        st.info(f"Stopped after {job.done} of {job.total} steps (of all blocks of seeds together).")
        st.button("Run it to the end", on_click=start.clear, args=(settled, measure), icon=":material/play_arrow:")
    trace: lab.Trace = page.ask(job.answer)
    if trace.frame.is_empty():
        page.say("Stopped before the first step, so there is nothing to see yet.")
        st.stop()
    return trace


RUN = (
    "world", "plan", "task", "variants", "group_size", "lr", "law", "noise", "steps", "prompts", "runs", "epochs",
    "seed",
)  # fmt: skip


@st.fragment(run_every=0.3)
def watch(job: Job) -> None:
    """Progress of a run, and the button that stops it."""
    if job.wait(0):
        st.rerun()
    st.progress(job.share, text=f"{job.done} of {job.total} steps")
    st.button("Stop and show what is there", on_click=job.stop, icon=":material/stop:")


def code(state: Mapping[str, Any], measure: str | tuple[str, ...]) -> list[str]:
    """Lines that repeat the run."""
    seeds = f"range({state['seed']}, {state['seed'] + state['runs']})" if state["seed"] else str(state["runs"])
    every = f", every={pace(state, measure)}" if pace(state, measure) > 1 else ""
    return [
        "import lab",
        *_world_lines(state),
        f"trace = lab.train(world, {state['variants']!r},",
        f"                  steps={state['steps']}, seeds={seeds}, group_size={state['group_size']},",
        f"                  lr={state['lr']:g}, epochs={state['epochs']}, measure={measure!r}{every})",
    ]


def _world_lines(state: Mapping[str, Any]) -> list[str]:
    """Lines that make the world."""
    name = world_of(state)
    if name != "bandit":
        own = state["plan" if name == "agents" else "task"]
        return [f"from lab.worlds import {name}", "", f"world = {name}({own!r}, prompts={state['prompts']})"]
    law = noisy(state["law"], state["noise"])
    noise = f", noise={state['noise']:g}" if law.name in NOISY else ""
    return [
        "from simulators.families import graded",
        "",
        f"world = graded({state['prompts']}, law={law.name!r}{noise})",
    ]
