"""My run: what a real training log tells, its groups and rollouts, and what other rules would have made of them."""

from __future__ import annotations

import numpy as np

from lab.advantages import names
from lab.explorers import my_run_browse, my_run_findings, my_run_what_if
from lab.explorers.contract import MY_RUN, Explorer, Offer, Picture, Questions, State
from lab.explorers.my_run_browse import EVALUATED, SCOPES, looked_at
from lab.explorers.my_run_log import (
    CORRECTIONS,
    about,
    bundled,
    chosen,
    edition,
    follows,
    if_opened,
    opened,
    properties,
)
from lab.explorers.properties import Choice, Choices, Flag, Property, Text, Whole
from lab.logs.browsing import ORDERS
from lab.logs.what_if import transforms

FINDINGS, BROWSE, WHAT_IF = "findings", "browse", "what-if"
VIEWS = {FINDINGS: "Findings", BROWSE: "Browse", WHAT_IF: "What if"}
PLACE = ("finding", "step", "group", "rollout")  # of one log, which mean nothing in another
QUESTIONS: Questions = {
    "Is anything wrong with this run?": {},
    "All rewards are equal: where do advantages come from?": {"log": "equal_rewards"},
    "Which batches were logged twice?": {"log": "reused_batches"},
    "Which groups were pushed hardest, and by what?": {"view": BROWSE, "step": 5},
    "What did it answer when it was evaluated?": {"log": "verl", "view": BROWSE, "scope": EVALUATED, "step": 4},
    "Two rewards: which rules change a sign?": {"view": WHAT_IF},
    "And if the rewards were a harmonic mean?": {"view": WHAT_IF, "transform": "harmonic-rpo"},
}


def explorer() -> Explorer:
    """What went wrong in a training run, and why."""
    log = properties()
    own = [*(each for each in log if each.name not in CORRECTIONS), *_places(), *_what_if()]
    fresh = {each.name: each.default for each in [*log, *own] if each.name in (*CORRECTIONS, *PLACE)}
    options = next(each.options for each in log if isinstance(each, Choice) and each.name == "log")
    known = bundled()
    return Explorer(
        name="my-run", label="My run", room=MY_RUN, title="What did my training run learn from?",
        properties=[Choice(name="view", label="Look at", options=list(VIEWS), names=VIEWS, default=FINDINGS),
                    *own, *(each for each in log if each.name in CORRECTIONS)],
        questions={words: values for words, values in QUESTIONS.items() if values.get("log", "two_rewards") in known},
        first=("log", "path", "follow", "files", "step", "scope", "find", "order", "rules", "every", "transform"),
        views="view", scenes={"log": {name: fresh for name in options}},
        draw=picture, offer=offer, settle=settle, edition=edition, follows=follows,
    )  # fmt: skip


def _places() -> list[Property]:
    """Where one looks in the log."""
    browse = {"view": [BROWSE]}
    return [
        Text(name="finding", label="Finding", drawn=False, when={"view": [FINDINGS]}),
        Whole(name="step", label="Step", default=-1, low=-1, high=10**12, when=browse,
              help="A click on a curve chooses one, too."),
        Choice(name="scope", label="Groups of", options=list(SCOPES), default="step", when=browse, names=SCOPES),
        Text(name="find", label="With this text", placeholder="in prompt or completion", when=browse),
        Choice(name="order", label="First those with", options=list(ORDERS), names=ORDERS, default="advantage",
               when=browse),
        Whole(name="group", default=-1, low=-1, high=10**9, drawn=False, when=browse),
        Whole(name="rollout", default=0, low=0, high=10**9, drawn=False, when=browse),
    ]  # fmt: skip


def _what_if() -> list[Property]:
    """The rules that stand beside the log."""
    return [
        Choices(name="rules", label="Rules beside the log", options=names(), most=8, when={"view": [BROWSE, WHAT_IF]},
                default=["dr_grpo", "gdpo", "mc-grpo", "ngrpo", "bnpo"],
                help="The first of them is the one whose signs are compared."),
        Flag(name="every", label="Every rule of the lab", default=False, when={"view": [WHAT_IF]}),
        Choice(name="transform", label="Rewards pass through", options=["", *transforms()], default="",
               names={"": "nothing"}, when={"view": [WHAT_IF]}, help="A reward rule of the lab."),
    ]  # fmt: skip


def offer(state: State) -> Offer:
    """The steps of the log, and what it is."""
    found = if_opened(state)
    if found is None:
        return Offer()
    steps = looked_at(state, found).groups["step"]
    bounds = {"step": (int(steps.min()), int(steps.max()))} if len(steps) else {}  # type: ignore[arg-type]
    scopes = [name for name in SCOPES if name in ("step", "log", state["scope"]) or found.table.evaluation.height]
    return Offer(about=about(found), bounds=bounds, options={"scope": scopes})


def settle(state: State) -> State:
    """A step that the log has: the nearest, and where none is said the one with the largest advantage."""
    found = if_opened(state) if state["view"] == BROWSE else None
    if found is None:
        return state
    if state["scope"] == EVALUATED and found.table.evaluation.is_empty():
        state = {**state, "scope": "step"}
    here = looked_at(state, found)
    if here.groups.is_empty():
        return state
    steps = here.groups["step"].unique().sort().to_numpy()
    wanted = state["step"]
    if wanted < 0 and here is found:
        loudest = found.steps.sort("advantage_max", descending=True, nulls_last=True, maintain_order=True)
        return {**state, "step": int(loudest["step"][0])}
    return {**state, "step": int(steps[np.abs(steps - wanted).argmin()])}


def picture(state: State) -> Picture:
    """The side of the log that is looked at."""
    if not chosen(state):
        return Picture(sentence="Choose a training log of your own; the bundled ones show what there is to see.")
    views = {FINDINGS: my_run_findings.picture, BROWSE: my_run_browse.picture, WHAT_IF: my_run_what_if.picture}
    return views[state["view"]](state, opened(state))
