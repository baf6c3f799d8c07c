"""Positions in a row with a goal at the end, and events on the way that a reward may pay for.

>>> from simulators.mdp.chains import Chain
>>> chain = Chain(length=20, discount=0.97)
>>> chain.mdp, round(chain.mdp.returns(chain.reward, chain.mdp.optimal(chain.reward)), 3)
(MDP(states=21, actions=3, discount=0.97), 0.561)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from simulators.errors import check_count
from simulators.mdp.mdp import MDP
from simulators.records import Floats, Ints

__all__ = ["ACTIONS", "BACK", "FORWARD", "SEARCH", "Chain"]

Bools = NDArray[np.bool_]

#: Actions by index; a search stays where it is.
ACTIONS = ("back", "forward", "search")
BACK, FORWARD, SEARCH = range(3)


@dataclass(frozen=True, eq=False)
class Chain:
    """Positions 0..L: start at 0, reward 1 on entering L, where the episode ends.

    Back moves one position back (0 bounces), forward one on, search stays. Event 0 is a search at the lure; with
    `every`, entering a multiple of it by a forward move is an event too, numbered 1, 2, ... along the chain.

    Attributes:
        length: L, at least 2.
        discount: g in (0, 1).
        horizon: Steps after which an episode is cut off (no end: the value of the position reached still counts).
        slip: Probability that a forward move throws back to 0: one for all positions, or one each [L].
        every: Distance of the messages along the chain; 0: none.
        lure: Position at which a search is event 0, below L.

    Raises:
        ValueError: A number outside these ranges.

    Source: dense-rewards, oni and robo-dopamine in the catalogue; the worlds are the lab's own.
    """

    length: int = 20
    discount: float = 0.97
    horizon: int = 60
    slip: float | Sequence[float] = 0.0
    every: int = 0
    lure: int = 2

    def __post_init__(self) -> None:
        check_count("length", self.length, least=2)
        check_count("horizon", self.horizon, least=1)
        check_count("every", self.every, least=0)
        if not 0 < self.discount < 1:
            raise ValueError(f"discount={self.discount!r}; it must lie between 0 and 1")
        if not 0 <= check_count("lure", self.lure, least=0) < self.length:
            raise ValueError(f"lure={self.lure}; it must be a position before the goal, 0..{self.length - 1}")
        slip = np.asarray(self.slip, dtype=np.float64)
        if slip.shape not in ((), (self.length,)) or not ((slip >= 0) & (slip <= 1)).all():
            raise ValueError(
                f"slip={self.slip!r}; it must be a probability, or one for each of {self.length} positions"
            )

    @classmethod
    def gate(cls, success: float, length: int = 20, discount: float = 0.95, horizon: int = 60, every: int = 0) -> Chain:
        """A chain whose last forward move succeeds with probability `success` and otherwise throws back to 0."""
        slip = np.zeros(check_count("length", length, least=2))
        slip[-1] = 1 - success
        return cls(length, discount, horizon, tuple(slip.tolist()), every)

    @property
    def goal(self) -> int:
        """The last position, L."""
        return self.length

    @cached_property
    def mdp(self) -> MDP:
        """The same as an MDP [L + 1, 3, L + 1]; the goal keeps every action in place."""
        here, transition = np.arange(self.length), np.zeros((self.length + 1, 3, self.length + 1))
        transition[here, BACK, np.maximum(here - 1, 0)] = 1
        transition[here, FORWARD, here + 1] = 1 - np.asarray(self.slip)
        transition[here, FORWARD, 0] += np.asarray(self.slip)
        transition[here, SEARCH, here] = 1
        transition[self.goal, :, self.goal] = 1
        start = np.eye(self.length + 1)[0]
        return MDP(transition, self.discount, start)

    @cached_property
    def end(self) -> Bools:
        """Whether an episode ends on entering each position [L + 1]."""
        return np.arange(self.length + 1) == self.goal

    @cached_property
    def reward(self) -> Floats:
        """The reward that is meant, R [L + 1, 3, L + 1]: 1 on entering the goal."""
        entering = np.zeros(self.mdp.transition.shape)
        entering[: self.goal, :, self.goal] = 1.0
        return entering

    @cached_property
    def progress(self) -> Floats:
        """Position over L, from 0 to 1 [L + 1]."""
        return np.arange(self.length + 1) / self.length

    @property
    def events(self) -> int:
        """Number of kinds of events E."""
        return 1 + (self.length // self.every if self.every else 0)

    @cached_property
    def event(self) -> Ints:
        """Event of each transition [L + 1, 3, L + 1], -1 for none."""
        found = np.full(self.mdp.transition.shape, -1)
        found[self.lure, SEARCH, self.lure] = 0
        if self.every:
            entered = np.arange(self.every, self.length + 1, self.every)
            found[entered - 1, FORWARD, entered] = np.arange(1, self.events)
        return found

    def counting(self, most: int) -> tuple[MDP, Floats, Ints]:
        """The MDP whose states are (position, how often the lure was searched, at most `most`), for rewards that count.

        Args:
            most: Number of occurrences told apart, at least 1.

        Returns:
            The MDP of (L + 1)(most + 1) states, position first; the reward that is meant in it; and the occurrence
            1..most + 1 of the lure that each transition is, 0 for the others (both [S, 3, S]).
        """
        counts, size = check_count("most", most, least=1) + 1, self.length + 1
        after = np.eye(counts)[np.minimum(np.arange(counts) + 1, most)]
        lured = (self.event == 0)[:, None, :, :, None]
        moves = np.where(lured, after[:, None, None, :], np.eye(counts)[:, None, None, :])
        shape = (size * counts, 3, size * counts)
        transition = (self.mdp.transition[:, None, :, :, None] * moves).reshape(shape)
        meant = np.broadcast_to(self.reward[:, None, :, :, None], (size, counts, 3, size, counts)).reshape(shape)
        number = np.where(lured, np.arange(1, counts + 1)[:, None, None, None], 0)
        occurrence = np.broadcast_to(number, (size, counts, 3, size, counts)).reshape(shape)
        start = np.eye(size * counts)[0]
        return MDP(transition, self.discount, start), meant, occurrence
