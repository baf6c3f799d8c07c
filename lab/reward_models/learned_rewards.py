"""Constructions that learn the dense reward: from comparisons, from demonstrations, from returns, by blending."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.reward_models import learned_reward
from lab.reward_models.barfi import align
from lab.reward_models.constructions import Construction, add_construction
from lab.reward_models.lare import ridge
from lab.rewards import feature_matching as irl
from lab.rewards import shaping
from simulators.mdp.chains import Chain
from simulators.mdp.episodes import walk

__all__ = ["from_demonstrations", "from_heuristic", "from_preferences", "from_returns"]

Array = NDArray[Any]

#: Pairs of episodes compared, or episodes of which the return is seen; their steps; how their actions are drawn (back,
#: forward, search).
EPISODES, HORIZON, DRAWN = 200, 40, (0.2, 0.6, 0.2)


def _ended(chain: Chain, reward: Array) -> Array:
    """The same reward where episodes end: entering the goal also pays what staying there would [L + 1, 3, L + 1]."""
    found = np.array(chain.mdp.rewards(reward))
    found[:, :, chain.goal] += chain.discount / (1 - chain.discount) * found[chain.goal, :, chain.goal].max()
    found[chain.goal] = 0.0
    return found


def from_preferences(chain: Chain, seed: int = 0) -> Array:
    """A reward of actions learned from 200 comparisons without noise [L + 1, 3, L + 1]."""
    policy = np.tile(DRAWN, (chain.goal + 1, 1))
    given: dict[str, Any] = {"temperature": 0.0, "horizon": HORIZON, "of": "action", "policy": policy, "seed": seed}
    return _ended(chain, learned_reward(chain.mdp, chain.reward, EPISODES, **given).reward)


def _preferences(chain: Chain, bonus: float) -> Array:
    return np.asarray(chain.mdp.remember("learned from preferences", lambda: from_preferences(chain)))


def from_demonstrations(chain: Chain, *, ended: bool = True) -> Array:
    """A reward of the position arrived at, learned from the best policy.

    Args:
        chain: The world.
        ended: Entering the goal, where the episode ends, pays what staying there would.
    """
    mdp, arrived = chain.mdp, np.eye(chain.goal + 1)
    model = mdp.transition, mdp.discount, mdp.start
    expert = irl.visits(*model, mdp.probabilities(mdp.optimal(chain.reward)))
    weights = irl.feature_matching(*model, mdp.transition @ arrived, expert, steps=50)
    return _ended(chain, weights) if ended else np.where(chain.end[:, None, None], 0.0, chain.mdp.rewards(weights))


def _demonstrations(chain: Chain, bonus: float) -> Array:
    return np.asarray(chain.mdp.remember("learned from demonstrations", lambda: from_demonstrations(chain)))


def from_returns(chain: Chain, seed: int = 0) -> Array:
    """A reward of the position arrived at, by LaRe's ridge regression on the returns of 200 episodes."""
    policy = np.tile(DRAWN, (chain.goal + 1, 1))
    drawn = walk(chain.mdp, EPISODES, HORIZON, policy=policy, rng=np.random.default_rng(seed))
    after, arrived = drawn.states[:, 1:], np.eye(chain.goal + 1)
    lengths = np.minimum(HORIZON, (after != chain.goal).sum(axis=1) + 1)
    found = ridge(arrived[after], (after == chain.goal).any(axis=1), lengths)(arrived)
    return np.where(chain.end[:, None, None], 0.0, np.broadcast_to(found, chain.mdp.transition.shape))


def _returns(chain: Chain, bonus: float) -> Array:
    return np.asarray(chain.mdp.remember("learned from returns", lambda: from_returns(chain)))


def from_heuristic(chain: Chain, heuristic: Array, *, steps: int = 25) -> Array:
    """BARFI's mixture of the goal's reward and a heuristic; the constant's weight is left out, for an episode ends.

    Args:
        chain: The world.
        heuristic: Reward [L + 1, 3, L + 1].
        steps: Outer steps; 0 for the plain sum.
    """
    _, goal, guess = align(chain.mdp, chain.reward, [heuristic], steps=steps)[-1].phi
    return np.asarray(goal * chain.reward + guess * heuristic)


def _blend(chain: Chain, bonus: float) -> Array:
    progress = shaping.increment(np.zeros_like(chain.reward), chain.progress[:, None, None], chain.progress)
    return np.asarray(chain.mdp.remember("learned as a blend", lambda: from_heuristic(chain, progress)))


_LEARNED: dict[str, tuple[str, Callable[[Chain, float], Array]]] = {
    "blend": ("BARFI's blend of the goal's reward and progress", _blend),
    "redistributed": ("a reward of positions learned from the returns of 200 episodes", _returns),
    "preferences": ("a reward of actions learned from 200 comparisons of episodes", _preferences),
    "demonstrations": ("a reward of positions learned from the best policy", _demonstrations),
}
for _name, (_words, _made) in _LEARNED.items():
    add_construction(Construction(_name, _words, _made))
