"""Episodes of a tabular MDP: states and actions drawn, and how often each thing happens in them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from simulators.errors import check_count, unknown_name
from simulators.mdp.mdp import MDP
from simulators.records import Floats, Ints

__all__ = ["FEATURES", "Episodes", "counts", "walk"]

#: What a reward may depend on -> the shape of such a reward, for S states and A actions.
FEATURES = {"state": "S", "action": "SA", "transition": "SAS"}


class Episodes(NamedTuple):
    """n episodes of T steps.

    Attributes:
        states: [n, T + 1], the first one drawn from the start distribution.
        actions: [n, T].
    """

    states: Ints
    actions: Ints


def walk(
    mdp: MDP, episodes: int, horizon: int, *, policy: ArrayLike | None = None, rng: np.random.Generator
) -> Episodes:
    """Draws episodes under a policy.

    Args:
        mdp: The world.
        episodes: Number n.
        horizon: Steps T of each.
        policy: Actions [S] or probabilities [S, A]; uniform by default.
        rng: Where the numbers come from.

    Raises:
        ValueError: No episodes or steps, or no policy of this world.
    """
    number, steps = check_count("episodes", episodes, least=1), check_count("horizon", horizon, least=1)
    pi = mdp.probabilities(policy)
    states, actions = np.empty((number, steps + 1), dtype=int), np.empty((number, steps), dtype=int)
    states[:, 0] = _drawn(np.tile(mdp.start, (number, 1)), rng)
    for t in range(steps):
        actions[:, t] = _drawn(pi[states[:, t]], rng)
        states[:, t + 1] = _drawn(mdp.transition[states[:, t], actions[:, t]], rng)
    return Episodes(states, actions)


def counts(mdp: MDP, episodes: Episodes, of: str = "state") -> Floats:
    """How often each thing happens in each episode: the features under which a return is linear in the reward.

    Args:
        mdp: The world.
        episodes: Of `walk`.
        of: "state" (arrivals at it), "action" (in a state) or "transition".

    Returns:
        [n, S], [n, S, A] or [n, S, A, S]; every episode's counts add up to T.

    Raises:
        ValueError: Another name.
    """
    if of not in FEATURES:
        raise unknown_name("feature of an episode", of, FEATURES)
    here, after = episodes.states[:, :-1], episodes.states[:, 1:]
    place = {"state": (after,), "action": (here, episodes.actions), "transition": (here, episodes.actions, after)}[of]
    out = np.zeros((len(here), *(mdp.states if axis == "S" else mdp.actions for axis in FEATURES[of])))
    np.add.at(out, (np.arange(len(here))[:, None], *place), 1.0)
    return out


def _drawn(probabilities: Floats, rng: np.random.Generator) -> Ints:
    """One index from each row [n, k]."""
    u = rng.random((len(probabilities), 1))
    return np.asarray((probabilities.cumsum(axis=-1)[:, :-1] <= u).sum(axis=-1))
