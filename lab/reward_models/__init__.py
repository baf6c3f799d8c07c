"""Reward models: from preference data to a reward."""

from lab.reward_models.bradley_terry import Learned, bradley_terry, learned_reward, prefer

__all__ = ["Learned", "bradley_terry", "learned_reward", "prefer"]
