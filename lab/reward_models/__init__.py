"""Reward models: from preferences, from returns, or from what training on it leads to, to a reward.

Those of responses are known by name: `fit(name, comparisons, seed)` gives a function that scores responses.
"""

from lab.reward_models import (  # noqa: F401  # known by name once imported
    by_policies,
    by_reactions,
    by_users,
    crm,
    ensembles,
    oprm,
    pairwise,
    reform,
    secrets_rm,
)
from lab.reward_models.bradley_terry import Learned, bradley_terry, learned_reward, prefer
from lab.reward_models.door import Score, find, fit, names, reward_model
from lab.reward_models.rules import reward_rule

__all__ = [
    "Learned",
    "Score",
    "bradley_terry",
    "find",
    "fit",
    "learned_reward",
    "names",
    "prefer",
    "reward_model",
    "reward_rule",
]
