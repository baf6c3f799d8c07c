"""Softmax tables: probabilities, running sums and log-normalisers of rows of logits.

Both exponential and sums are fixed sequences of IEEE operations, so a table has the same bits on
every machine, and LLVM vectorises the rows (a library exp costs three times as much).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from simulators.records import Floats, Policy

__all__ = ["Tables", "exp", "tables"]

_LOG2_E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_ROUND = 1.5 * 2.0**52
_BIAS, _MANTISSA = np.int64(1023), np.int64(52)


@dataclass(frozen=True, eq=False)
class Tables:
    """The softmax of every row of logits.

    Attributes:
        logits: the logits that the tables were computed from [..., A].
        probabilities: π(a) [..., A].
        cumulative: Σ of exp(logit − max) up to and including a [..., A], not normalised.
        log_total: log Σ exp(logit) [...].
    """

    logits: Floats
    probabilities: Floats
    cumulative: Floats
    log_total: Floats


def tables(policy: Policy) -> Tables:
    """The policy's softmax tables; rows whose logits have not changed are not computed again.

    Valid until the next call for the same policy.
    """
    logits = policy.parameters
    held = policy.memo.get("softmax")
    if held is None or held.logits.shape != logits.shape:
        empty = [np.full(logits.shape, np.nan) for _ in range(3)]
        held = policy.memo["softmax"] = Tables(*empty, np.full(logits.shape[:-1], np.nan))
    arms = logits.shape[-1]
    _refresh(
        np.ascontiguousarray(logits, dtype=np.float64).reshape(-1, arms),
        held.logits.reshape(-1, arms),
        held.probabilities.reshape(-1, arms),
        held.cumulative.reshape(-1, arms),
        held.log_total.reshape(-1),
    )
    return held


@numba.njit(cache=True, nogil=True)
def exp(x: float) -> float:
    """eˣ for x ≤ 0 within 1 ulp; 0 below −708 (no subnormals), nan for nan.

    x = n ln 2 + r with |r| ≤ ln 2 / 2; Taylor's polynomial of degree 13 in r, times 2ⁿ by its bits.
    """
    k = x * _LOG2_E + _ROUND
    n = k - _ROUND
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    p = 1.0 / 6227020800.0
    p = p * r + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    scale = np.int64((np.float64(k).view(np.int64) + _BIAS) << _MANTISSA).view(np.float64)
    return 0.0 if x < -708.0 else p * scale


@numba.njit(cache=True, nogil=True)
def _refresh(logits: Any, held: Any, probabilities: Any, cumulative: Any, log_total: Any) -> None:
    rows, arms = logits.shape
    for i in range(rows):
        changed = 0
        for a in range(arms):
            changed += logits[i, a] != held[i, a]
        if changed == 0:
            continue
        top = logits[i, 0]
        for a in range(arms):
            held[i, a] = logits[i, a]
            top = logits[i, a] if logits[i, a] > top else top
        for a in range(arms):
            probabilities[i, a] = exp(logits[i, a] - top)
        total = 0.0
        for a in range(arms):
            total += probabilities[i, a]
            cumulative[i, a] = total
        for a in range(arms):
            probabilities[i, a] /= total
        log_total[i] = top + math.log(total)
