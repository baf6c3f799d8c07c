"""The list of benchmarks, and how they are timed."""

from __future__ import annotations

import logging
import statistics
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lab.errors import UnknownNameError

__all__ = ["Benchmark", "Row", "alternate", "benchmark", "names", "run", "taking_turns"]


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        name: What was measured.
        value: Median over the runs, in `unit`.
        unit: Unit of `value`.
        reference: What it is compared with, "" for nothing.
        ratio: value over the reference's value (above 1: the lab does more per second), or None.
        runs: Number of timed runs behind each median.
    """

    name: str
    value: float
    unit: str
    reference: str
    ratio: float | None
    runs: int

    def as_dict(self) -> dict[str, Any]:
        """The row as it is printed by `advlab bench --json`."""
        return {
            "name": self.name, "value": self.value, "unit": self.unit, "reference": self.reference,
            "ratio": self.ratio, "runs": self.runs,
        }  # fmt: skip


@dataclass(frozen=True)
class Benchmark:
    """A named measurement that gives one or more rows."""

    name: str
    sentence: str
    measure: Callable[[], list[Row]]


_BENCHMARKS: dict[str, Benchmark] = {}


def benchmark(name: str, sentence: str) -> Callable[[Callable[[], list[Row]]], Callable[[], list[Row]]]:
    """Decorator that adds a measurement to the list under `name`."""

    def add(measure: Callable[[], list[Row]]) -> Callable[[], list[Row]]:
        _BENCHMARKS[name] = Benchmark(name, sentence, measure)
        return measure

    return add


def names() -> list[str]:
    """Names of all benchmarks."""
    return list(_BENCHMARKS)


def run(chosen: Iterable[str] = (), progress: Callable[[str], None] | None = None) -> list[dict[str, Any]]:
    """Run the named benchmarks (all by default).

    Args:
        chosen: Names, see `names`.
        progress: Called with the sentence of each benchmark before it runs.

    Returns:
        A list of {"name", "value", "unit", "reference", "ratio", "runs"}.

    Raises:
        UnknownNameError: No such benchmark.
    """
    wanted = list(chosen) or names()
    for name in wanted:
        if name not in _BENCHMARKS:
            raise UnknownNameError("benchmark", name, _BENCHMARKS)
    rows: list[dict[str, Any]] = []
    for name in wanted:
        if progress is not None:
            progress(_BENCHMARKS[name].sentence)
        with _quiet():
            rows += [row.as_dict() for row in _BENCHMARKS[name].measure()]
    return rows


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps to itself what torch and JAX say to whoever wrote the reference loops."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(logging.NOTSET)


def taking_turns(tasks: dict[str, Callable[[], Any]], runs: int = 7) -> dict[str, list[float]]:
    """Seconds of each run of each task, taking turns so that a busy moment hits them all; one warm-up each."""
    for task in tasks.values():
        task()
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(runs):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def alternate(tasks: dict[str, Callable[[], Any]], runs: int = 7) -> dict[str, float]:
    """Median seconds of each task, the tasks taking turns."""
    return {name: statistics.median(times) for name, times in taking_turns(tasks, runs).items()}
