"""A world on trial: a policy a little off its first one, and what is drawn from it."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.world_registry import suited
from simulators.records import Policy, Rollouts, Truth, World

__all__ = ["SEEDS", "STEPS", "NotTried", "Trial", "copied", "direction", "moved", "numbers"]

Array = NDArray[Any]
SEEDS, STEPS = (3, 5, 8), 24
_FEW, _MOST = 4, 4096


class NotTried(Exception):
    """A promise that a world does not make, or that cannot be tried; the reason."""


class Trial:
    """A world with a policy a little off its first one, and what is drawn from it."""

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.seed = world, seed
        self.group_size = int(suited(world).get("group_size", _FEW))
        self.rng = np.random.default_rng(seed)

    def policy(self, seeds: Any = SEEDS) -> Policy:
        """A first policy, the same for the same seeds."""
        return self.world.init([s + self.seed for s in seeds])

    def draw(self, policy: Policy, step: int = 0, fields: Any = ()) -> Rollouts:
        """A batch of rollouts."""
        return self.world.rollout(policy, self.group_size, step, fields=fields)

    @property
    def double(self) -> bool:
        """Whether its numbers are of 64 bits."""
        return "64" in str(self.start.parameters.dtype)

    @property
    def close(self) -> float:
        """How near two of its numbers are that should be the same."""
        return 1e-9 if self.double else 1e-4

    @cached_property
    def start(self) -> Policy:
        """A policy a little off the first one."""
        policy = self.policy()
        return moved(policy, direction(policy, self.rng), 0.1)

    @cached_property
    def rollouts(self) -> Rollouts:
        """Its rollouts, with every field that the world provides."""
        return self.draw(self.start, fields=self.world.provides)

    @cached_property
    def real(self) -> Array:
        """Which tokens are real [S, P, G, T]."""
        mask = self.rollouts.mask
        return np.ones(self.rollouts.actions.shape, bool) if mask is None else np.asarray(mask, bool)

    @cached_property
    def batches(self) -> tuple[list[Rollouts], list[Truth]]:
        """Batches of several steps with their truths."""
        if not self.world.exact:
            raise NotTried("the world claims no truth")
        drawn = [self.draw(self.start, step, fields=self.world.provides) for step in range(STEPS)]
        return drawn, [self.world.truth(self.start, r, gradient=False) for r in drawn]

    @cached_property
    def first_actions(self) -> Array:
        """Probability of each action in the first place [A, S, P, G]."""
        found, refused = [], 0
        for action in range(_MOST):
            try:
                found.append(self._first(action))
                refused = 0
            except Exception as error:  # what lies beyond the last action is refused, each world in its own way
                found.append(np.zeros(self.real.shape[:3]))
                refused += 1
                if refused > 2:
                    if len(found) - refused < 2:
                        raise NotTried(f"the first action cannot be exchanged ({error})") from None
                    return np.array(found[:-refused])
        raise NotTried(f"there are more than {_MOST} actions")

    @cached_property
    def exchangeable(self) -> bool:
        """Whether one action can stand for another, so that each has a probability, and not a density."""
        try:
            return len(self.first_actions) > 0
        except NotTried:
            return False

    def _first(self, action: int) -> Array:
        actions, mask = np.array(self.rollouts.actions), self.rollouts.mask
        actions[..., 0] = action
        if mask is not None:
            mask = np.zeros_like(self.real)
            mask[..., 0] = True
        return np.exp(self.world.log_prob(self.start, replace(self.rollouts, actions=actions, mask=mask))[..., 0])


def direction(policy: Policy, rng: np.random.Generator) -> Array:
    """A random direction in the space of the parameters."""
    return rng.normal(size=tuple(policy.parameters.shape))


def moved(policy: Policy, way: Array, size: float) -> Policy:
    """A policy moved along a direction."""
    parameters = copied(policy.parameters)
    parameters[...] = parameters + _like(parameters, size * way)
    return replace(policy, parameters=parameters)


def _like(like: Any, array: Array) -> Any:
    """An array of the kind of another one, NumPy's or torch's."""
    return array if isinstance(like, np.ndarray) else like.new_tensor(array)


def copied(parameters: Any) -> Any:
    """Parameters of their own with the same numbers."""
    return parameters.copy() if isinstance(parameters, np.ndarray) else parameters.clone()


def numbers(array: Any) -> Array:
    """An array of NumPy's, whatever it was."""
    return np.asarray(array.cpu() if hasattr(array, "cpu") else array, dtype=np.float64)
