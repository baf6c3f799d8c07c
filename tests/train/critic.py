"""A world whose policy has a second block of parameters."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from simulators import Bandit, Policy, Rollouts


class Critic(Bandit):
    """A bandit with a critic: a number for each prompt that follows the mean reward."""

    def init(self, seeds: Any) -> Policy:
        plain = super().init(seeds)
        return Policy(plain.parameters, plain.seeds, {"critic": np.zeros((len(seeds), self.prompts))})

    def pull(self, policy: Policy, rollouts: Rollouts, weights: Mapping[str, Any]) -> dict[str, Any]:
        gap = rollouts.rewards.mean(axis=(2, 3)) - policy.further["critic"]
        return {"policy": super().pull(policy, rollouts, weights), "critic": gap}
