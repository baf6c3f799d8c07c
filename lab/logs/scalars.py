"""A trainer's own metrics, one entry after the other as it logged them, as one row per step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import polars as pl

from lab.text import listed

__all__ = ["number", "per_step"]


def per_step(
    entries: Iterable[Mapping[str, Any]], named: Callable[[str], str] = str, step: str = "step"
) -> tuple[pl.DataFrame, list[str]]:
    """One row per step: step (Int64) and one Float64 column per metric.

    A step's entries are merged, the last wins; entries without a whole step and what is no number is left out.

    Args:
        entries: What was logged, in the order of the log.
        named: The metric's name here (`lab.logs.contract.SCALARS`) from the trainer's.
        step: The key that holds the step.

    Returns:
        The table, and what was left out, in sentences.
    """
    steps: dict[int, dict[str, float]] = {}
    odd = []
    for entry in entries:
        at = number(entry.get(step))
        if at is None or not at.is_integer():
            continue
        if abs(at) >= 2**63:
            odd.append(at)
            continue
        numbers = {named(key): number(value) for key, value in entry.items() if key != step}
        steps.setdefault(int(at), {}).update({k: v for k, v in numbers.items() if v is not None and k != "step"})
    names = sorted({name for entry in steps.values() for name in entry})
    ordered = sorted(steps)
    columns = {name: pl.Series([steps[s].get(name) for s in ordered], dtype=pl.Float64) for name in names}
    said = [f"Metrics of steps that no run reaches are left out: {listed(odd)}."] if odd else []
    return pl.DataFrame({"step": pl.Series(ordered, dtype=pl.Int64), **columns}), said


def number(value: Any) -> float | None:
    """The value as a float; None where it is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None
