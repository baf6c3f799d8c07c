"""Worlds that produce rollouts and know the truth about them, with counter-based randomness.

Names are loaded on first use, so that `import simulators` stays cheap (Numba takes half a second).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from simulators.records import Policy, Rollouts, Scored, Truth, World

if TYPE_CHECKING:
    from simulators.agents import Agents
    from simulators.bandit import Bandit
    from simulators.captions import Captions
    from simulators.delayed import Delayed
    from simulators.graphs import Graphs
    from simulators.hidden_lm import HiddenLM
    from simulators.judge import Judged
    from simulators.lengths import Lengths
    from simulators.mdp import MDP
    from simulators.preferences import Preferences
    from simulators.queries import Queries
    from simulators.reward_laws import Law
    from simulators.toy_lm import ToyLM
    from simulators.turns import Turns

__all__ = [
    "MDP",
    "Agents",
    "Bandit",
    "Captions",
    "Delayed",
    "Graphs",
    "HiddenLM",
    "Judged",
    "Law",
    "Lengths",
    "Policy",
    "Preferences",
    "Queries",
    "Rollouts",
    "Scored",
    "ToyLM",
    "Truth",
    "Turns",
    "World",
    "providers",
    "warm",
]

_HOMES = {
    "Agents": "simulators.agents",
    "Bandit": "simulators.bandit",
    "Captions": "simulators.captions",
    "Delayed": "simulators.delayed",
    "Graphs": "simulators.graphs",
    "HiddenLM": "simulators.hidden_lm",
    "Judged": "simulators.judge",
    "Law": "simulators.reward_laws",
    "Lengths": "simulators.lengths",
    "MDP": "simulators.mdp",
    "Preferences": "simulators.preferences",
    "Queries": "simulators.queries",
    "ToyLM": "simulators.toy_lm",
    "Turns": "simulators.turns",
}

_TORCH = {"small-lm": ("mask", "greedy_rewards", "hidden", "prediction_error")}
"""What a world of torch provides, which is not imported for it."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'simulators' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def providers(field: str) -> list[str]:
    """Names of the worlds that can fill an optional field of `Rollouts`, or have a score of that name, sorted."""
    homes = (getattr(import_module(home), name) for name, home in _HOMES.items())
    worlds = [found for found in homes if hasattr(found, "provides")]
    of_torch = {name for name, provided in _TORCH.items() if field in provided}
    return sorted({w.name for w in worlds if field in (*w.provides, *getattr(w, "scores", ()))} | of_torch)


def warm() -> None:
    """Compile every kernel, or load it from the disk cache, so that the first click is quick."""
    from simulators import agents, bandit, hidden_lm, reward_laws, stride, toy_lm, turns

    agents.warm()
    bandit.warm()
    hidden_lm.warm()
    stride.warm()
    reward_laws.warm()
    toy_lm.warm()
    turns.warm()
