"""Softmax tables: probabilities, running sums and log-normalisers of rows of logits.

Both exponential and sums are fixed sequences of IEEE operations, so a table has the same bits on
every machine, and LLVM vectorises the rows (a library exp costs three times as much).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from simulators.compiled import kernel
from simulators.errors import check_numbers
from simulators.records import Floats, Policy

__all__ = ["Tables", "exp", "fill", "initial", "tables"]

_LOG2_E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_ROUND = 1.5 * 2.0**52
_CHUNK = 16
_BIAS, _MANTISSA = np.int64(1023), np.int64(52)
_C3, _C4, _C5, _C6, _C7, _C8, _C9, _C10, _C11, _C12, _C13 = (1.0 / math.factorial(n) for n in range(3, 14))


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
        unknown = np.full(logits.shape, np.nan)
        held = Tables(unknown, np.empty_like(unknown), np.empty_like(unknown), np.empty(logits.shape[:-1]))
        policy.memo["softmax"] = held
    flat = -1, logits.shape[-1]
    _refresh(
        np.ascontiguousarray(logits, np.float64).reshape(flat),
        held.logits.reshape(flat),
        held.probabilities.reshape(flat),
        held.cumulative.reshape(flat),
        held.log_total.reshape(-1),
    )
    return held


def initial(logits: ArrayLike, shape: tuple[int, ...], axes: str) -> Floats:
    """Initial logits broadcast to `shape`, whose axes are called such as "[P, H, A]".

    Raises:
        ValueError: they are not finite or do not broadcast.
    """
    table = check_numbers("initial logits", logits)
    try:
        return np.broadcast_to(table, shape).copy()
    except ValueError:
        raise ValueError(f"logits {table.shape} do not broadcast to {axes} {shape}") from None


@kernel
def exp(x: float) -> float:
    """eˣ for x ≤ 0 within 2 ulp; 0 below −708 (no subnormals), nan for nan.

    x = n ln 2 + r with |r| ≤ ln 2 / 2; Taylor's polynomial of degree 13 in r, its terms paired
    (Estrin's scheme: short chains of dependent operations), times 2ⁿ set by its bits.
    """
    k = x * _LOG2_E + _ROUND
    n = k - _ROUND
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    r2 = r * r
    r4 = r2 * r2
    p = (_C12 + _C13 * r) * r4 + ((_C8 + _C9 * r) + (_C10 + _C11 * r) * r2)
    p = p * r4 + ((_C4 + _C5 * r) + (_C6 + _C7 * r) * r2)
    p = p * r4 + ((1.0 + r) + (0.5 + _C3 * r) * r2)
    scale = np.int64((np.float64(k).view(np.int64) + _BIAS) << _MANTISSA).view(np.float64)
    return 0.0 if x < -708.0 else p * scale


@kernel
def fill(logits: Any, probabilities: Any, cumulative: Any, log_total: Any, moved: Any) -> None:
    """Fill the rows of the tables [R, A] (`log_total` [R]) that have `moved` [R] from their logits."""
    for start in range(0, moved.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        _fill_chunk(logits[part], probabilities[part], cumulative[part], log_total[part], moved[part])


@kernel
def _fill_chunk(logits: Any, probabilities: Any, cumulative: Any, log_total: Any, moved: Any) -> None:
    """Maxima, exponentials and sums apart: a processor overlaps those of different rows, not the terms of one row."""
    rows, arms = logits.shape
    for i in range(rows):
        if moved[i]:
            top = logits[i, 0]
            for a in range(arms):
                top = logits[i, a] if logits[i, a] > top else top
            log_total[i] = top
    _exponentials(logits, log_total, moved, probabilities)
    for i in range(rows):
        if moved[i]:
            total = 0.0
            for a in range(arms):
                total += probabilities[i, a]
                cumulative[i, a] = total
            log_total[i] += math.log(total)
            inverse = 1.0 / total
            for a in range(arms):
                probabilities[i, a] *= inverse


@kernel
def _exponentials(logits: Any, top: Any, moved: Any, out: Any) -> None:
    """out[i] = exp(logits[i] − top[i]), in a loop that LLVM vectorises."""
    rows, arms = logits.shape
    for i in range(rows):
        if moved[i]:
            highest = top[i]
            for a in range(arms):
                out[i, a] = exp(logits[i, a] - highest)


@kernel
def _refresh(logits: Any, held: Any, probabilities: Any, cumulative: Any, log_total: Any) -> None:
    rows, arms = logits.shape
    moved = np.empty(rows, np.bool_)
    for i in range(rows):
        changed = 0
        for a in range(arms):
            changed += logits[i, a] != held[i, a]
            held[i, a] = logits[i, a]
        moved[i] = changed > 0
    fill(logits, probabilities, cumulative, log_total, moved)
