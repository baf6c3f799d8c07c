"""Reward models: from preferences, from returns, or from what training on it leads to, to a reward."""

from lab.reward_models.bradley_terry import Learned, bradley_terry, learned_reward, prefer

__all__ = ["Learned", "bradley_terry", "learned_reward", "prefer"]
