"""Constructions: ways to make the reward that is trained on out of the reward that is meant, in a small chain.

`CONSTRUCTIONS` holds those known by name; a paper adds its own with `add_construction`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.errors import InputError, UnknownNameError
from lab.rewards import shaping
from simulators.mdp.chains import Chain

__all__ = ["CHAIN", "CONSTRUCTIONS", "Construction", "add_construction", "chosen", "meant"]

Array = NDArray[Any]

#: The chain of a study unless another is given.
CHAIN = Chain.gate(0.5, length=12, discount=0.95, every=3)


@dataclass(frozen=True)
class Construction:
    """A way to make a dense reward.

    Attributes:
        name: What it is called.
        words: What it pays, in a few words.
        reward: (chain, size of the bonus) -> reward trained on, R [L + 1, 3, L + 1] or what broadcasts to it.
        pay: (chain, size of the bonus) -> what each event pays besides [K], divided by N^beta at its N-th occurrence in
            an episode, to a learner who sees which events have happened; None: nothing.
        beta: How fast such pay fades.
    """

    name: str
    words: str
    reward: Callable[[Chain, float], Array]
    pay: Callable[[Chain, float], Array] | None = None
    beta: float = 3.0


#: Constructions by name.
CONSTRUCTIONS: dict[str, Construction] = {}


def add_construction(one: Construction) -> Construction:
    """Make a construction known by its name, and return it.

    Raises:
        InputError: Another construction has that name.
    """
    if CONSTRUCTIONS.setdefault(one.name, one) != one:
        raise InputError(f"construction {one.name!r} exists already; choose another name")
    return one


def _pbrs(chain: Chain, bonus: float) -> Array:
    phi = np.where(chain.end, 0.0, chain.progress)
    return shaping.pbrs(chain.reward, phi[:, None, None], phi, discount=chain.discount)


def _increment(chain: Chain, bonus: float) -> Array:
    return shaping.increment(chain.reward, chain.progress[:, None, None], chain.progress)


def _progress(chain: Chain, bonus: float) -> Array:
    return _increment(chain, bonus) - chain.reward


def _bonus(chain: Chain, bonus: float) -> Array:
    return shaping.bonus(chain.reward, chain.event == 0, size=bonus)


def meant(chain: Chain, bonus: float) -> Array:
    """The reward that is meant, as it is [L + 1, 3, L + 1]: where a construction only adds pay for events."""
    return chain.reward


def _lure(chain: Chain, bonus: float) -> Array:
    return bonus * np.eye(chain.events)[0]


for _one in (
    Construction("sparse", "the goal alone", meant),
    Construction("pbrs", "goal + γΦ(s′) − Φ(s), Φ the progress", _pbrs),
    Construction("increment", "goal + Φ(s′) − Φ(s), without the discount", _increment),
    Construction("progress", "Φ(s′) − Φ(s) alone", _progress),
    Construction("bonus", "goal + a bonus for every search at the lure", _bonus),
    Construction("count", "goal + the bonus over N³ for the N-th search at the lure", meant, _lure),
):
    add_construction(_one)


def chosen(constructions: Iterable[str | Construction] | None) -> list[Construction]:
    """The constructions of those names; a construction is itself, None means all that have a name.

    Raises:
        UnknownNameError: There is none of that name; the nearest are offered.
    """
    asked = list(CONSTRUCTIONS) if constructions is None else list(constructions)
    for one in asked:
        if isinstance(one, str) and one not in CONSTRUCTIONS:
            raise UnknownNameError("construction", one, CONSTRUCTIONS)
    return [CONSTRUCTIONS[one] if isinstance(one, str) else one for one in asked]
