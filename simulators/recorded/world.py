"""Rollouts that were written down, as a world that gives them again: every variant can be tried on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.records import FIELDS, Floats, Policy, Rollouts, World
from simulators.runs import started

__all__ = ["Recorded"]


class Recorded(World):
    """One step's rollouts of one run, whatever is asked for. Its policy has no parameters, so nothing trains here.

    Args:
        rollouts: What was sampled, S = 1. `logp_ref`, where it is there, is the initial policy's.
        words: Text of each action; their numbers where there are none.

    Attributes:
        prompts: Number of prompts P.
        provides: The optional fields that were written down.
    """

    name = "recorded"

    def __init__(self, rollouts: Rollouts, words: Sequence[str] | None = None) -> None:
        self.rollouts, self.words = rollouts, words
        self.prompts = rollouts.rewards.shape[1]
        self.provides = tuple(f for f in rollouts.held() if not FIELDS[f].everywhere)

    def pieces(self, tokens: Sequence[int] | NDArray[Any], prompt: int = 0) -> list[str]:
        """Each action as text."""
        return [self.words[int(t)] if self.words is not None else str(t) for t in tokens]

    def init(self, seeds: Sequence[int] | NDArray[Any]) -> Policy:
        """The initial policy, of which nothing is known but its log-probabilities of these rollouts."""
        return started(np.zeros(0), seeds)

    def rollout(
        self, policy: Policy, group_size: int, step: int, *, attempt: int = 0, fields: Sequence[str] = ()
    ) -> Rollouts:
        """The rollouts that were written down, as many as there are."""
        return self.rollouts

    def log_prob(self, policy: Policy, rollouts: Rollouts) -> Floats:
        """Log-probability of each action under the initial policy [S, P, G, T], nats.

        Raises:
            ValueError: It was not written down.
        """
        if self.rollouts.logp_ref is None:
            raise ValueError("the log-probabilities under the initial policy were not written down")
        return self.rollouts.logp_ref

    def gradient(self, policy: Policy, rollouts: Rollouts, weights: Floats) -> Floats:
        """Nothing: there are no parameters [S, 0]."""
        return np.zeros_like(policy.parameters)
