"""Who is called when: plans by which several agents work on one prompt.

A plan is a walk over states. In each state one agent acts, its call is right or wrong, and the plan draws the next
state from the row of that outcome, until the trajectory is lost or won. States are numbered so that every step goes
forward; an agent may act in many states, so it can be called repeatedly, conditionally, or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simulators.errors import check_count, one_of
from simulators.records import Floats, Ints

__all__ = ["ORCHESTRAS", "Orchestra", "conditional", "orchestra", "search", "solver_verifier"]

LOST, WON = "lost", "won"


@dataclass(frozen=True, eq=False)
class Orchestra:
    """A plan of calls.

    Attributes:
        name: short name.
        agents: names of the agents [N].
        agent: index of the agent that acts in each state [Q]; the walk starts in state 0.
        follow: probability of each next state after a wrong (0) and a right (1) call [Q, 2, Q + 2]; the last two
            columns are the ends, lost and won.

    Raises:
        ValueError: for an agent that does not exist, rows that are no distributions, or a step that is not forward.
    """

    name: str
    agents: tuple[str, ...]
    agent: Ints
    follow: Floats

    def __post_init__(self) -> None:
        states = len(self.agent)
        if self.follow.shape != (states, 2, states + 2) or not states:
            raise ValueError(f"follow must have shape ({states}, 2, {states + 2}), not {self.follow.shape}")
        if self.agent.min() < 0 or self.agent.max() >= len(self.agents):
            raise ValueError(f"agent must lie in 0..{len(self.agents) - 1}")
        if (self.follow < 0).any() or not np.allclose(self.follow.sum(axis=-1), 1.0, rtol=0, atol=1e-12):
            raise ValueError("each row of follow must be a distribution")
        if np.tril(self.follow.max(axis=1)[:, :states]).any():
            raise ValueError("a state may only be followed by a later one")

    @property
    def length(self) -> int:
        """Most calls of a trajectory T."""
        calls = np.zeros(len(self.agent) + 2, np.int64)
        for state in range(len(self.agent))[::-1]:
            calls[state] = 1 + calls[self.follow[state].max(axis=0) > 0].max()
        return int(calls[0])


Steps = Mapping[str, tuple[str, Mapping[str, float], Mapping[str, float]]]


def _plan(name: str, agents: Sequence[str], steps: Steps) -> Orchestra:
    """An orchestra from state -> (its agent, next states if wrong, next states if right), all by name."""
    column = {state: i for i, state in enumerate([*steps, LOST, WON])}
    follow = np.zeros((len(steps), 2, len(steps) + 2))
    for row, (_, *outcomes) in zip(follow, steps.values(), strict=True):
        for into, chances in zip(row, outcomes, strict=True):
            for state, chance in chances.items():
                into[column[state]] = chance
    return Orchestra(name, tuple(agents), np.array([agents.index(who) for who, *_ in steps.values()]), follow)


def conditional(calls: int = 4, *, after_wrong: float = 0.5, after_right: float = 0.05) -> Orchestra:
    """The solver alone decides; the checker and the helper are called the more, the worse it goes.

    A right solution is checked once and then helped with probability `after_right`; a wrong one is checked `calls`
    times and helped with probability `after_wrong`. Neither call changes the outcome.
    """
    check_count("calls", calls, least=1)
    for chance in (after_wrong, after_right):
        if not 0 <= chance <= 1:
            raise ValueError(f"the probability of a call must be from 0 to 1, not {chance}")
    steps: dict[str, Any] = {"solve": ("solver", {"check 1": 1.0}, {"praise": 1.0})}
    for i in range(1, calls):
        steps[f"check {i}"] = ("checker", *[{f"check {i + 1}": 1.0}] * 2)
    steps[f"check {calls}"] = ("checker", *[{"help": after_wrong, LOST: 1 - after_wrong}] * 2)
    steps["help"] = ("helper", {LOST: 1.0}, {LOST: 1.0})
    steps["praise"] = ("checker", *[{"help after": after_right, WON: 1 - after_right}] * 2)
    steps["help after"] = ("helper", {WON: 1.0}, {WON: 1.0})
    return _plan("conditional", ("solver", "checker", "helper"), steps)


def solver_verifier(loops: int = 2) -> Orchestra:
    """The solver answers and the verifier accepts or sends it back, `loops` answers at most; the last one counts.

    A right call of the verifier accepts a right answer and rejects a wrong one.
    """
    check_count("loops", loops, least=1)
    steps: dict[str, Any] = {}
    for i in range(1, loops):
        steps[f"solve {i}"] = ("solver", {f"wrong {i}": 1.0}, {f"right {i}": 1.0})
        steps[f"wrong {i}"] = ("verifier", {LOST: 1.0}, {f"solve {i + 1}": 1.0})
        steps[f"right {i}"] = ("verifier", {f"solve {i + 1}": 1.0}, {WON: 1.0})
    steps[f"solve {loops}"] = ("solver", {LOST: 1.0}, {WON: 1.0})
    return _plan("solver-verifier", ("solver", "verifier"), steps)


def search(rounds: int = 3, *, needed: int = 2) -> Orchestra:
    """A router sends to the searcher or to the answerer, `rounds` searches at most; `needed` finds make it sure.

    A right call of the router searches while finds are lacking and answers when there are enough. A right answer on k
    of the finds wins with probability (k + 1)/(needed + 1).
    """
    check_count("rounds", rounds, least=1)
    check_count("needed", needed, least=0)
    steps: dict[str, Any] = {}
    for i in range(rounds):
        for k in range(min(i, needed) + 1):
            ways = {f"search {i} {k}": 1.0}, {f"answer {k}": 1.0}
            steps[f"route {i} {k}"] = ("router", *(ways[::-1] if k < needed else ways))
        for k in range(min(i, needed) + 1):
            after = [f"route {i + 1} {n}" if i + 1 < rounds else f"answer {n}" for n in (k, min(k + 1, needed))]
            steps[f"search {i} {k}"] = ("searcher", {after[0]: 1.0}, {after[1]: 1.0})
    for k in range(min(rounds, needed) + 1):
        sure = (k + 1) / (needed + 1)
        steps[f"answer {k}"] = ("answerer", {LOST: 1.0}, {WON: sure, LOST: 1 - sure})
    return _plan("search", ("router", "searcher", "answerer"), steps)


#: Name of an orchestra -> function that makes it with its defaults.
ORCHESTRAS: Mapping[str, Callable[..., Orchestra]] = {
    "conditional": conditional, "solver-verifier": solver_verifier, "search": search,
}  # fmt: skip


def orchestra(name: str | Orchestra) -> Orchestra:
    """The orchestra of that name; one that is made already is returned as it is.

    Raises:
        ValueError: no orchestra has that name.
    """
    if isinstance(name, Orchestra):
        return name
    return one_of("orchestra", name, ORCHESTRAS)()
