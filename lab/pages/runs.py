"""What the pages that train have in common: the settings of a run, the run beside the page, its code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import polars as pl
import streamlit as st

import lab
from lab.errors import worlds_with
from lab.measures.metrics import metric
from lab.methods import names
from lab.pages import places
from lab.pages.background import Job
from lab.pages.places import PLACES, closed, given, group_size, made, widget
from lab.pages.shell import Page, plain
from lab.pages.state import Choice, Choices, Property, Whole, seed
from lab.training.settings import declared
from lab.training.train import Refusal
from lab.world_registry import fixed, suited

MEASURED = 75  # points of a curve that needs the exact gradient
AT_ONCE = 1.0  # seconds that a page waits for a run before it shows a progress bar

Measure = str | tuple[str, ...]


def settings(variants: Sequence[str], **defaults: Any) -> list[Property]:
    """The properties of a run: its world, these variants, and the rest with these defaults."""
    start = {"group_size": 8, "lr": 2.0, "runs": 16, "steps": 150, "epochs": 1} | defaults
    free = [name for name in PLACES if "group_size" not in fixed(name)]
    known = [
        *places.properties(),
        Choices(name="variants", label="Variants", options=names(), default=[lab.variant(v).name for v in variants],
                width=440),
        replace(of_run("group_size"), when={"world": free}),
        replace(of_run("lr"), typed=True, width=140, format="%g"),
        Choice(name="steps", label=declared()["steps"].label, options=[50, 150, 500, 2000], default=start["steps"]),
        Whole(name="runs", label=declared()["seeds"].label, low=2, high=64, default=start["runs"], width=150,
              help="Independent runs; the bands are 95% intervals over them."),
        of_run("epochs"),
        seed(),
    ]  # fmt: skip
    return [replace(each, default=start[each.name]) if each.name in start else each for each in known]


def of_run(name: str) -> Any:
    """The property that sets a setting of a run, as it is declared: its label, the part that a slider offers, help."""
    return widget(declared()[name], name)


def controls(page: Page, state: Mapping[str, Any]) -> None:
    """The widgets of `settings` that matter in the state's world, its variants narrowed to those that can train."""
    away = closed_by_default(state["world"])
    with page.controls():
        for each in page.properties:
            if each.name in RUN and each.matters(state):
                page.control(each.name, **(narrowed(state["variants"], away) if each.name == "variants" else {}))
    legend(away, places.about(state["world"]))


def usual(name: str) -> dict[str, Any]:
    """The state of a run in a world where nothing else is chosen."""
    return {**DEFAULT, **PLACES[name].suits, "world": name}


def closed_by_default(name: str) -> dict[str, Refusal]:
    """Variants that cannot train in a world as the pages have it by default."""
    return closed(name, given(usual(name)), None, group_size(usual(name)))


def narrowed(chosen: Sequence[str], away: Mapping[str, Refusal]) -> dict[str, list[str]]:
    """The options of a list of variants: those that are possible, and those that are chosen whatever they are."""
    return {"options": [v for v in names() if v not in away or v in chosen]}


def legend(away: Mapping[str, Refusal], about: str) -> None:
    """What the place is, how many variants are possible there, and why the others are not."""
    with st.container(horizontal=True, vertical_alignment="center", key="about-world"):
        number = len(names())
        st.caption(f"{about} {number - len(away)} of {number} variants are possible here.", width="content")
        if away:
            with st.popover(f"The other {len(away)}", type="tertiary"):
                st.markdown(_explained(away))


def _explained(away: Mapping[str, Refusal]) -> str:
    """The variants that cannot train in a world, by what they lack, as Markdown."""
    groups: dict[str, list[str]] = {}
    for name, refusal in away.items():
        groups.setdefault(_reason(refusal), []).append(f"**{name}**")
    return "\n\n".join(f"{', '.join(found)}  \n{plain(why)}" for why, found in groups.items())


def _reason(refusal: Refusal) -> str:
    """Why a variant cannot train here: the fields that are lacking, with the worlds that have them; else its words."""
    if not refusal.fields:
        return refusal.words
    return f"Reads {', '.join(refusal.fields)}, which this world does not have ({worlds_with(refusal.fields)})."


def fitting(page: Page) -> dict[str, Any]:
    """The page's state with the variants that can train in its world; the others are named with the reason."""
    state = page.state
    return left(page, page.ask(closed, state["world"], given(state), state["variants"], group_size(state)))


def left(page: Page, away: Mapping[str, Refusal], prop: str = "variants") -> dict[str, Any]:
    """The page's state with those of the variants under `prop` that are not away, whose reasons are told."""
    state = page.state
    offered = next(each.options for each in page.properties if isinstance(each, Choice) and each.name == "world")
    for name in state[prop]:
        if name not in away:
            continue
        refusal = away[name]
        with st.container(horizontal=True, vertical_alignment="center"):
            st.warning(f"**{name}** is left out. {plain(_reason(refusal))}")
            for place in filter(offered.__contains__, _homes(refusal)):
                st.button(f"Go to {PLACES[place].label}", on_click=page.enter, args=("world", place),
                          key=page.key(f"go {name} {place}"))  # fmt: skip
    possible = [name for name in state[prop] if name not in away]
    if not possible:
        page.say("None of these variants is possible in this world.")
        st.stop()
    return state | {prop: possible}


def _homes(refusal: Refusal) -> list[str]:
    """Worlds of the pages that provide all the fields that are lacking."""
    from simulators import providers

    found = [set(providers(f)) for f in refusal.fields]
    return [name for name in PLACES if found and all(name in each for each in found)]


def asked(state: Mapping[str, Any]) -> dict[str, Any]:
    """The options of `lab.train` for this state."""
    own = {k: v for k, v in suited(state["world"]).items() if k == "optimizer"}
    return {
        "steps": state["steps"], "seeds": range(state["seed"], state["seed"] + state["runs"]),
        "group_size": group_size(state), "lr": state["lr"], "epochs": state["epochs"], **own,
    }  # fmt: skip


def measured(state: Mapping[str, Any], wanted: Sequence[str]) -> tuple[str, ...]:
    """The measurements among those wanted that the state's world knows and that are not too dear."""
    world = made(state)
    more = ("gold",) if world.can("gold") else () if world.exact else ("reward",)
    return tuple(name for name in (*more, *wanted) if name not in PLACES[state["world"]].here.dear)


def absent(state: Mapping[str, Any], wanted: Sequence[str], frame: pl.DataFrame) -> None:
    """Says which of the measurements wanted are not there, and why."""
    away = [name for name in wanted if name not in frame.columns]
    dear = [metric(name).label for name in away if name in PLACES[state["world"]].here.dear]
    unknown = [metric(name).label for name in away if name not in PLACES[state["world"]].here.dear]
    if dear:
        st.caption(f"Not shown: {', '.join(dear)}, which takes longer here than all the rest; "
                   'lab.train(..., measure="full") has it.')  # fmt: skip
    if unknown:
        st.caption(f"Not shown: {', '.join(unknown)}, which this world cannot know; nothing is guessed in its place.")


def goal(frame: pl.DataFrame) -> tuple[str, str]:
    """What a trace is judged by: the expected reward, or the rollouts' own where the world does not know it."""
    return ("value", "an expected reward") if "value" in frame.columns else ("reward", "a mean reward")


def pace(state: Mapping[str, Any], measure: Measure) -> int:
    """Every how many steps to measure: what needs the exact gradient costs three times a step, so it is done rarely.

    A spike lasts one step, so where norms are asked for every step is measured.
    """
    every_step = measure == "basic" or ("grad_norm" in measure and "value" not in measure)
    return 1 if every_step else max(1, state["steps"] // MEASURED)


@st.cache_resource(max_entries=12, show_spinner=False)
def start(state: str, measure: Measure) -> Job:
    """The run of a state (as JSON), started once and kept, so that a second look is immediate."""
    wanted = json.loads(state)
    options = asked(wanted) | {"measure": measure, "every": pace(wanted, measure)}
    return Job(partial(lab.train, made(wanted), wanted["variants"], **options))


def trained(page: Page, state: Mapping[str, Any], measure: Measure) -> lab.Trace:
    """The trace of a state; where it takes longer, a progress bar and a button that stops it."""
    run = {each.name for each in page.properties if each.name in RUN and each.matters(state)}
    run |= {"group_size", *PLACES[state["world"]].settings.values()}
    settled = json.dumps({name: state[name] for name in run}, sort_keys=True)
    before = st.session_state.get(page.key("run"))
    if before and before != (settled, measure) and start(*before).left(page.reader):
        start.clear(*before)
    st.session_state[page.key("run")] = (settled, measure)
    job = page.ask(start, settled, measure)
    if not job.wait(AT_ONCE, page.reader):
        page.say("Training …")
        watch(job, page.reader)
        st.stop()
    if job.stopped:
        st.info(f"Stopped after {job.done} of {job.total} steps, those of all seeds of all variants counted.")
        st.button("Run it to the end", on_click=start.clear, args=(settled, measure), icon=":material/play_arrow:")
    trace: lab.Trace = page.ask(job.answer)
    if trace.frame.is_empty():
        page.say("Stopped before the first step, so there is nothing to see yet.")
        st.stop()
    return trace


@st.fragment(run_every=0.3)
def watch(job: Job, reader: str) -> None:
    """Progress of a run, and the button that stops it."""
    if job.wait(0, reader):
        st.rerun()
    st.progress(job.share, text=f"{job.done} of {job.total} steps")
    stop_button(job)


def stop_button(job: Job) -> None:
    """Stops a run that nobody else looks at."""
    if job.readers > 1:
        st.caption("Another window looks at this run too, so it goes on; with another setting you leave it alone.")
    else:
        st.button("Stop and show what is there", on_click=job.stop, icon=":material/stop:")


def code(state: Mapping[str, Any], measure: Measure) -> list[str]:
    """Lines that repeat the run."""
    seeds = f"range({state['seed']}, {state['seed'] + state['runs']})" if state["seed"] else str(state["runs"])
    options = asked(state)
    more = "".join(f", {k}={v!r}" for k, v in options.items() if k == "optimizer")
    every = f", every={pace(state, measure)}" if pace(state, measure) > 1 else ""
    return [
        "import lab",
        "",
        f"world = {made_by(state)}",
        f"trace = lab.train(world, {state['variants']!r},",
        f"                  steps={state['steps']}, seeds={seeds}, group_size={options['group_size']},",
        f"                  lr={state['lr']:g}, epochs={state['epochs']}{more}, measure={measure!r}{every})",
    ]


def made_by(state: Mapping[str, Any]) -> str:
    """The call that makes the world of a state."""
    return f"lab.world({state['world']!r}{''.join(f', {k}={v!r}' for k, v in given(state).items())})"


#: Names of the properties that decide a run, and their defaults.
DEFAULT = {each.name: each.default for each in settings(["grpo"])}
RUN = tuple(DEFAULT)
