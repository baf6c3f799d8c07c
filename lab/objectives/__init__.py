"""Objectives: advantages and log-probabilities in, the weight of each token on grad log pi out.

grad J = sum of w * grad log pi, so w = -d loss / d logp_new: one implementation serves every world.
"""

from __future__ import annotations

from lab.objectives.battery import couples
from lab.objectives.door import bind, call, clip_share, loss, penalty, weights
from lab.objectives.kl import ESTIMATORS, kl_gradient, kl_value
from lab.objectives.tokens import AGGREGATIONS
from lab.registry import Rule, find, rules
from lab.walk import import_all

__all__ = [
    "AGGREGATIONS", "ESTIMATORS", "bind", "call", "clip_share", "couples", "kl_gradient", "kl_value", "loss",
    "names", "penalty", "rule", "weights",
]  # fmt: skip

import_all(__name__, __path__)


def rule(name: str) -> Rule:
    """The registered objective of that name; raises UnknownNameError with the nearest names."""
    return find("objective", name)


def names(presets: bool = True) -> list[str]:
    """Names of all objectives, presets (`base@framework`) included unless `presets` is False."""
    return [name for name in rules("objective") if presets or "@" not in name]
