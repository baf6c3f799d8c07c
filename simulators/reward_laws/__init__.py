"""Rewards without a policy: laws of one reward, and whole batches as single papers draw them.

>>> from simulators import reward_laws
>>> reward_laws.sample("log_normal", 3, seed=1).shape
(3,)
>>> reward_laws.batch("em_u", (400, 16), seed=1).shape
(400, 16)
"""

from __future__ import annotations

from simulators.reward_laws.batches import BATCHES, batch
from simulators.reward_laws.laws import (
    BERNOULLI,
    Law,
    bernoulli,
    contaminated_normal,
    draw,
    law,
    log_normal,
    named,
    normal,
    sample,
    student_t,
    three_level,
    warm,
)

__all__ = [
    "BATCHES", "BERNOULLI", "Law", "batch", "bernoulli", "contaminated_normal", "draw", "law", "log_normal", "named",
    "normal", "sample", "student_t", "three_level", "warm",
]  # fmt: skip
