"""A chain walked by groups: the reward says whether the goal was reached, a dense reward what each move is worth.

>>> import lab
>>> from lab.studies.walks import Walks
>>> from simulators.mdp.chains import Chain
>>> world = Walks("pbrs", Chain(4, 0.9, horizon=12), prompts=2)
>>> lab.train(world, ["grpo", "mapo@turn"], steps=20, seeds=2).frame["variant"].n_unique()
2

The learner of `lab.studies.shaping` is tabular Q-learning; this world has the same chains and dense rewards for what
`lab.train` can train.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lab.reward_models.constructions import CHAIN, Construction, chosen
from lab.rewards import shaping
from simulators.mdp.chains import ACTIONS, Chain
from simulators.records import Policy, Rollouts
from simulators.turns.tasks import Episode
from simulators.turns.world import Turns

__all__ = ["Pay", "Walk", "Walks", "paid"]

Array = NDArray[Any]


class Walk(NamedTuple):
    """Where rollouts went.

    Attributes:
        positions: Before each move and after the last [S, P, G, T + 1].
        actions: Moves, by their number in `simulators.mdp.chains.ACTIONS` [S, P, G, T].
        alive: Whether the goal was still ahead [S, P, G, T].
        seeds: Of the runs [S].
        step: Of the training.
    """

    positions: Array
    actions: Array
    alive: Array
    seeds: Array
    step: int


#: What each move of a walk is paid [S, P, G, T].
Pay = Callable[[Walk], Array]


class Walks(Turns):
    """Walks along a chain from its start, of at most `chain.horizon` moves; one policy for all groups.

    Args:
        pay: Name of a construction (`lab.studies.shaping.CONSTRUCTIONS`), a construction, or what each move is paid.
        chain: The chain.
        prompts: Groups per step P.
        bonus: Pay of an event, where a construction pays for events.
    """

    name = "walks"

    def __init__(
        self, pay: str | Construction | Pay = "sparse", chain: Chain = CHAIN, *, prompts: int = 4, bonus: float = 0.1
    ) -> None:
        super().__init__(_episode(chain), prompts=prompts, turns=chain.horizon, shared=True)
        self.chain = chain
        self.pay = pay if callable(pay) else paid(pay, chain, bonus)

    def rollout(
        self, policy: Policy, group_size: int, step: int, *, attempt: int = 0, fields: Sequence[str] = ()
    ) -> Rollouts:
        """Sample G walks of every group; see `Turns.rollout`. Moves behind the goal are masked."""
        asked = dict.fromkeys((*fields, "turn_rewards"))
        drawn = super().rollout(policy, group_size, step, attempt=attempt, fields=tuple(asked))
        here, arrived = drawn.state, drawn.turn_rewards
        assert here is not None and arrived is not None
        alive = here != self.chain.goal
        paid = None
        if "turn_rewards" in fields:
            positions = np.concatenate([here[..., :1], arrived.astype(np.int64)], axis=-1)
            paid = np.where(alive, self.pay(Walk(positions, drawn.actions, alive, policy.seeds, step)), 0.0)
        return replace(drawn, mask=alive, turn_rewards=paid)


def paid(construction: str | Construction, chain: Chain, bonus: float = 0.1) -> Pay:
    """What a construction pays for each move: its reward, and its pay for events over N^β at the N-th of a walk."""
    one = chosen([construction])[0]
    table = np.broadcast_to(chain.mdp.rewards(one.reward(chain, bonus)), chain.mdp.transition.shape)
    pays = np.append(np.zeros(chain.events) if one.pay is None else one.pay(chain, bonus), 0.0)

    def pay(walk: Walk) -> Array:
        move = walk.positions[..., :-1], walk.actions, walk.positions[..., 1:]
        event = np.where(walk.alive, chain.event[move], -1)
        faded = shaping.fading(0.0, shaping.occurrences(event), size=1.0, beta=one.beta)
        return np.asarray(table[move] + pays[event] * faded)

    return pay


def _episode(chain: Chain) -> Episode:
    """The tables of a chain as a task of the world of turns: everything is seen, a walk that ends at the goal wins.

    The process reward is the position arrived at.
    """
    moves, size = chain.mdp.transition, chain.goal + 1
    most = int((moves > 0).sum(axis=-1).max())
    following = np.argsort(moves <= 0, axis=-1, kind="stable")[..., :most]
    chance = np.take_along_axis(moves, following, axis=-1)
    return Episode(
        "chain", ACTIONS, tuple(map(str, range(size))), np.arange(size), following, chance,
        following.astype(np.float64), chain.end.astype(np.float64), (0,), -1, chain.horizon, 0.0, 0.0,
        float(chain.goal), np.zeros((size, len(ACTIONS))),
    )  # fmt: skip
