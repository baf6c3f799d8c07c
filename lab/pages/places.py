"""The worlds as the pages that train offer them: their main settings, what suits them, who can train there."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import streamlit as st

from lab.pages.state import Choice, Number, Property, Scenes, Whole
from lab.training.train import Refusal, refused
from lab.world_registry import DEFAULTS, WORLDS, world
from simulators import reward_laws
from simulators.bandit.families import NOISY
from simulators.records import World

LAWS = {law.name: law.name.replace("_", " ") for law in reward_laws.named()} | {"bernoulli": "right or wrong"}
PLANS = {"conditional": "called when it goes wrong", "solver-verifier": "solver and verifier", "search": "search"}
TASKS = {"dialogue": "dialogue", "search": "search", "steps": "solving in steps"}
TOKEN_TASKS = ["arithmetic", "brackets", "copy", "reverse", "length", "targets", "tool-call"]
TEXT_TASKS = ["arithmetic", "countdown", "sorting", "brackets", "tools"]


@dataclass(frozen=True)
class Place:
    """A world on a page.

    Attributes:
        label: what the list of worlds calls it.
        settings: setting of its world -> property of the page that sets it; the others keep their defaults.
        suits: values of the page's other properties with which a first picture is there in a second or two.
        dear: measurements that are left out because they take longer than all the rest.
        listed: its responses are few enough for an implied reward.
        heavy: it takes seconds to make, so its list of variants is narrowed by fields alone.
    """

    label: str
    settings: Mapping[str, str] = field(default_factory=dict)
    suits: Mapping[str, Any] = field(default_factory=dict)
    dear: tuple[str, ...] = ()
    listed: bool = False
    heavy: bool = False


def _as_called(*names: str, **others: str) -> dict[str, str]:
    """Settings of the page's name for them, then those that the page calls otherwise."""
    return dict(zip(names, names, strict=True)) | others


_FEW = {"runs": 8}
_KNOWN: dict[str, Place] = {
    "bandit": Place("bandit", _as_called("prompts", "law", "noise"), listed=True),
    "toy-lm": Place("toy language model", _as_called("tasks", "prompts", "length"), _FEW | {"lr": 16.0}),
    "hidden-lm": Place("language model with a hidden state", _as_called("tasks", "prompts", "length"),
                       _FEW | {"tasks": "targets", "prompts": 4, "length": 6, "lr": 8.0}),
    "turns": Place("several turns", _as_called("task", "prompts"), _FEW | {"lr": 10.0}, ("cosine", "grad_error")),
    "agents": Place("several agents", _as_called("plan", "prompts", "penalty"), _FEW),
    "graphs": Place("communication graphs", _as_called("members", "critical", queries="prompts"),
                    _FEW | {"prompts": 4, "lr": 4.0}),
    "judged": Place("judged responses", _as_called("prompts", "drift", noise="judge_noise"),
                    _FEW | {"prompts": 4, "lr": 4.0}, listed=True),
    "captions": Place("captions", _as_called("prompts"), _FEW | {"prompts": 4, "lr": 8.0}, listed=True),
    "preferences": Place("preference pairs", _as_called("pairs", "signal"),
                         {"lr": DEFAULTS["preferences"]["lr"], "runs": 8}),
    "delayed": Place("rewards seen only at the end", _as_called("prompts"), _FEW | {"prompts": 4}),
    "queries": Place("sets of objects", {"scenes": "prompts"},
                     _FEW | {"prompts": 4, "lr": DEFAULTS["queries"]["lr"], "steps": 50}),
    "lengths": Place("how long to respond", _as_called("prompts"),
                     _FEW | {"prompts": 16, "lr": DEFAULTS["lengths"]["lr"]}),
    "reward-hacks": Place("a metric that can be gamed", _as_called("trained"), _FEW, listed=True),
    "small-lm": Place("small transformer (torch)", _as_called("prompts", task="text_task"),
                      {"lr": DEFAULTS["small-lm"]["lr"], "runs": 2, "steps": 50, "prompts": 4}, heavy=True),
}  # fmt: skip
#: Every world of `lab.world_registry.WORLDS`; one that is not among the above keeps its defaults.
PLACES = {name: _KNOWN.get(name, Place(name, suits=_FEW)) for name in (*_KNOWN, *WORLDS) if name in WORLDS}
SCENES: Scenes = {"world": {name: place.suits for name, place in PLACES.items()}}


def _where(name: str) -> dict[str, Collection[str]]:
    """The worlds that a property sets something of."""
    return {"world": [w for w, place in PLACES.items() if name in place.settings.values()]}


def properties() -> list[Property]:
    """The choice of a world and the main settings of each."""
    known = [
        Choice(name="plan", label="Plan", options=list(PLANS), names=PLANS, default="conditional",
               help="Who is called when."),
        Number(name="penalty", label="Cost of an invalid call", low=0, high=1, step=0.05, default=0.1, width=150),
        Choice(name="task", label="Task", options=list(TASKS), names=TASKS, default="search"),
        Choice(name="tasks", label="Task", options=TOKEN_TASKS, default="arithmetic", width=150),
        Choice(name="text_task", label="Task", options=TEXT_TASKS, default="arithmetic"),
        Choice(name="law", label="Reward law", options=list(LAWS), names=LAWS, default="bernoulli", width=190,
               help="How rewards scatter around the expected reward of an arm."),
        Number(name="noise", label="Noise", low=0, high=2, step=0.05, default=0.3, width=150,
               help="Spread of ordinary rewards; outliers are ten times as wide."),
        Whole(name="length", label="Most tokens", low=5, high=12, default=8, width=130,
              help="Of a response, the end token included."),
        Whole(name="members", label="Agents", low=3, high=8, default=5, width=130),
        Whole(name="critical", label="Critical edges", low=0, high=3, default=3, width=130,
              help="Edges of the graph that matter for the answer."),
        Number(name="drift", label="Mood of a judge", low=0, high=3, step=0.1, default=1.0, width=150,
               help="Deviation of what a call adds to all that it sees."),
        Number(name="judge_noise", label="Noise of a judge", low=0, high=2, step=0.1, default=0.3, width=150,
               help="Deviation on each response."),
        Whole(name="pairs", label="Pairs", low=4, high=100, default=30, width=130),
        Number(name="signal", label="Signal in token rewards", low=0, high=3, step=0.1, default=1.0, width=160,
               help="How much of the true token rewards is in the self-made ones, beside noise of 1."),
        Whole(name="trained", label="Families trained on", low=1, high=12, default=6, width=150,
              help="Of twelve families of tasks whose metric can be gamed."),
        Whole(name="prompts", label="Prompts", low=1, high=32, default=8, width=150,
              help="From easy to hard where the world can say so."),
    ]  # fmt: skip
    also: dict[str, dict[str, Collection[str]]] = {"noise": {"law": NOISY}}
    named = {name: place.label for name, place in PLACES.items()}
    choice = Choice(name="world", label="World", options=list(PLACES), names=named, default="bandit", width=260)
    return [choice, *(replace(each, when=_where(each.name) | also.get(each.name, {})) for each in known)]


def given(state: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the state's world; the noise only where the law takes one."""
    settings = {name: state[own] for name, own in PLACES[state["world"]].settings.items()}
    return {n: v for n, v in settings.items() if n != "noise" or "law" not in settings or settings["law"] in NOISY}


def made(state: Mapping[str, Any]) -> World:
    """The world of a state."""
    return world(state["world"], **given(state))


def group_size(state: Mapping[str, Any]) -> int:
    """Rollouts per prompt: the world's own where it knows no other."""
    return int(DEFAULTS.get(state["world"], {}).get("group_size", state["group_size"]))


def about(name: str) -> str:
    """What a world is, in a sentence."""
    text = (inspect.getdoc(WORLDS[name]) or "").split("\n\n")[0]
    return text.split("; ")[0].split(", see `")[0].rstrip(".") + "."


# No spinner: it would move the widgets below it, and they would lose their values.
@st.cache_data(max_entries=256, show_spinner=False)
def closed(name: str, settings: Mapping[str, Any], variants: Sequence[str] | None, size: int) -> dict[str, Refusal]:
    """Variants that cannot train in a world, kept for a second look."""
    return refused(world(name, **settings), variants, group_size=size, tried=not PLACES[name].heavy)
