"""Comparing one output of the lab with one output of a golden file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lab.errors import LabError

#: The files hold nine significant digits, so every number in them is off by up to half a unit of the ninth.
DIGITS = 9


@dataclass(frozen=True)
class Tolerance:
    """How far an output may be off.

    Attributes:
        relative: Of the number itself.
        of_largest: Of the largest magnitude in the same array, for entries that are differences of such numbers.
        reason: Why not less.
    """

    relative: float
    of_largest: float
    reason: str


FLOAT64 = Tolerance(
    1e-9, 1e-12, "the source computes in float64; sums in another order differ by units in the last place"
)
FLOAT32 = Tolerance(2e-6, 2e-6, "the source computes in float32")


class UnknownOutputError(Exception):
    """An output of a golden file that the runner does not know how to compare."""


@dataclass
class Tally:
    """What was compared in one file."""

    cases: int = 0
    outputs: int = 0
    worst: float = 0.0
    misses: list[str] = field(default_factory=list)

    def miss(self, where: str, text: str) -> None:
        """Note an output that does not agree."""
        self.misses.append(f"{where}: {text}")

    def compare(self, where: str, ours: Any, theirs: Any, tolerance: Tolerance) -> None:
        """Compare numbers or arrays; worst is the largest error in units of its allowance."""
        self.outputs += 1
        expected = np.asarray(theirs, dtype=np.float64)
        got = np.asarray(ours, dtype=np.float64)
        if got.shape != expected.shape:
            self.miss(where, f"shape {got.shape}, the golden file has {expected.shape}")
            return
        if expected.size == 0:
            return
        allowed = _allowance(expected, tolerance)
        error = np.abs(got - expected) / allowed
        error = np.where(np.isnan(got) | np.isnan(expected), np.inf, error)
        self.worst = max(self.worst, float(error.max()))
        if error.max() > 1:
            at = np.unravel_index(int(error.argmax()), error.shape)
            place = tuple(int(i) for i in at)
            self.miss(
                where, f"{got[at]!r} at {place}, the golden file has {expected[at]!r} (allowed {allowed[at]:.2e})"
            )

    def same(self, where: str, ours: Any, theirs: Any) -> None:
        """Compare things that must be equal."""
        self.outputs += 1
        if np.asarray(ours).tolist() != np.asarray(theirs).tolist():
            self.miss(where, f"{np.asarray(ours).tolist()}, the golden file has {np.asarray(theirs).tolist()}")

    def raises(self, where: str, call: Callable[[], Any]) -> None:
        """The source raised; so must the lab."""
        self.outputs += 1
        try:
            result = call()
        except LabError:
            return
        self.miss(where, f"returned {np.asarray(result).tolist()}, the source raises")

    def finite(self, where: str, ours: Any) -> None:
        """The source gave NaN; the lab states a finite answer instead (see the rule's docstring)."""
        self.outputs += 1
        if not np.isfinite(np.asarray(ours, dtype=np.float64)).all():
            self.miss(where, "not finite, and the source is not either")


def _allowance(expected: np.ndarray, tolerance: Tolerance) -> np.ndarray:
    magnitude = np.abs(expected)
    digits = 0.5 * 10.0 ** (np.floor(np.log10(np.where(magnitude > 0, magnitude, 1.0))) + 1 - DIGITS)
    largest = max(float(magnitude.max()), 1e-300)
    return np.asarray(
        tolerance.relative * magnitude + tolerance.of_largest * max(largest, 1.0) + np.where(magnitude > 0, digits, 0.0)
    )
