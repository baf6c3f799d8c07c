"""Shaping: what a dense reward teaches beside the reward that is meant, each trained live in a small world."""

from __future__ import annotations

from dataclasses import replace

from lab.explorers import shaping_blend, shaping_chain, shaping_returns
from lab.explorers.contract import REWARDS, Explorer, Picture, Questions, State
from lab.explorers.properties import RUN, Choice, Choices, Flag, Number, Property, Whole, seed
from lab.explorers.runs import runs_of
from lab.studies.blending import HEURISTICS
from lab.studies.shaping import CONSTRUCTIONS
from simulators.delayed.world import ENCODERS

METHODS = {
    "chain": "rewards by rule", "blend": "a learned blend (BARFI)", "returns": "learned from returns (LaRe)",
}  # fmt: skip
CHAIN, BLEND, RETURNS = ({"method": [name]} for name in METHODS)
SAMPLED = {"method": ["chain", "returns"]}
GUESSES = {
    "helpful": "helpful: nearer to the goal", "reversed": "reversed: away from the goal",
    "farmable": "farmable: pay for staying",
}  # fmt: skip

QUESTIONS: Questions = {
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
}  # fmt: skip


def explorer() -> Explorer:
    """What a dense reward teaches."""
    return Explorer(
        name="shaping", label="Shaping", room=REWARDS, title="What does a dense reward teach, beside what is meant?",
        properties=properties(), questions=QUESTIONS, draw=picture,
        first=("method", "constructions", "success", "heuristic", "entropy", "encoders", "collected"),
    )  # fmt: skip


def properties() -> list[Property]:
    """How the dense reward is made, then what each way of making it asks for."""
    return [
        Choice(name="method", label="How the dense reward is made", options=list(METHODS), names=METHODS,
               default="chain"),
        Choices(name="constructions", label="Rewards", options=list(CONSTRUCTIONS), most=6, when=CHAIN,
                default=["sparse", "pbrs", "increment", "progress"]),
        Number(name="success", label="The last move succeeds", low=0.05, high=1, step=0.05, default=0.3, when=CHAIN,
               help="Otherwise it throws back to the start: near the goal, but not there."),
        Whole(name="length", label="Positions before the goal", low=6, high=24, default=12, when=CHAIN,
              group="The chain"),
        Number(name="discount", label="Discount γ", low=0.8, high=0.99, step=0.01, default=0.95, when=CHAIN,
               group="The chain"),
        Number(name="bonus", label="Pay for an event", low=0, high=1, step=0.01, default=0.1, when=CHAIN,
               group="The chain", help="What a search at the lure, or a message, is paid."),
        Choice(name="episodes", label="Episodes", options=[300, 1000, 3000], default=1000, when=CHAIN, group=RUN,
               names={300: "300", 1000: "1 000", 3000: "3 000"}),
        Choice(name="heuristic", label="What the designer guessed", options=list(HEURISTICS), names=GUESSES,
               default="reversed", when=BLEND),
        Number(name="entropy", label="Weight of the learner's entropy", low=0.01, high=0.2, step=0.01, default=0.05,
               when=BLEND, help="It competes with the reward; a blend can make up for it."),
        Choice(name="steps", label="Outer steps", options=[10, 25, 50], default=25, when=BLEND, group=RUN),
        Flag(name="learn_discount", label="Learn the learner's discount too", default=False, when=BLEND, group=RUN),
        Choices(name="encoders", label="What is seen of a step", options=list(ENCODERS), most=4, when=RETURNS,
                default=["raw", "factors"]),
        Choice(name="collected", label="Episodes to learn the reward from", options=shaping_returns.SIZES, default=32,
               when=RETURNS),
        Choice(name="group_size", label="Group size", options=[4, 8, 16], default=8, when=RETURNS, group=RUN),
        Whole(name="horizon", label="Steps of an episode", low=5, high=40, default=20, when=RETURNS, group=RUN),
        replace(runs_of(low=4), when=SAMPLED),
        replace(seed(), when=SAMPLED),
    ]  # fmt: skip


def picture(state: State) -> Picture:
    """The pictures of the way in which the dense reward is made."""
    drawn = {"chain": shaping_chain.picture, "blend": shaping_blend.picture, "returns": shaping_returns.picture}
    return drawn[state["method"]](state)
