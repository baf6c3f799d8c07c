"""Advantage rules: rewards of a group in, advantages out. One file per paper or textbook family.

>>> from lab import advantages
>>> advantages.compute("grpo", [0, 0, 0, 0, 0, 0, 0, 1]).round(3)
array([-0.353, -0.353, -0.353, -0.353, -0.353, -0.353, -0.353,  2.474])
"""

from __future__ import annotations

from lab.advantages.battery import PropertyReport, check, note_on_one
from lab.advantages.credit import Credit
from lab.advantages.door import added, as_rewards, bind, call, compute, credit
from lab.advantages.worked import explain
from lab.registry import Rule, find, rules
from lab.walk import import_all

__all__ = [
    "Credit",
    "PropertyReport",
    "added",
    "as_rewards",
    "bind",
    "call",
    "check",
    "compute",
    "credit",
    "explain",
    "names",
    "note_on_one",
    "rule",
]

import_all(__name__, __path__)


def rule(name: str) -> Rule:
    """The registered advantage rule (or preset) of that name; raises UnknownNameError with the nearest names."""
    return find("advantage", name)


def names(presets: bool = True) -> list[str]:
    """Names of all advantage rules, presets (`base@framework`) included unless `presets` is False."""
    return [name for name in rules("advantage") if presets or "@" not in name]
