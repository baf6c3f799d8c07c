"""Rollouts that a trainer logs from a queue as long as a batch: what is new each time, and what was evaluated.

TRL and ms-swift keep the rows of the last generation batch and write all of them at every log. They come again under a
step that generates none; after an evaluation the last rows are those that were evaluated, and they stay until the next
batch pushes them out. Both have the same settings for the size of a group and the weights of the rewards.
"""

from __future__ import annotations

import json
import math
from collections.abc import Container, Mapping, Sequence
from typing import Any

from lab.logs.scalars import number

__all__ = ["Batches", "Row", "settings"]

Row = dict[str, Any]


class Batches:
    """Rows of line after line, each of an evaluation marked and where it came first.

    Args:
        evaluated: Steps of which an evaluation alone was logged.
    """

    def __init__(self, evaluated: Container[Any]) -> None:
        self.evaluated = evaluated
        self.notes: list[str] = []
        self.steps: dict[Any, list[Row]] = {}
        self.last: list[Row] = []

    @property
    def rows(self) -> list[Row]:
        """All rows so far, in the order of the log."""
        return [row for rows in self.steps.values() for row in rows]

    def add(self, rows: list[Row]) -> None:
        """Take the next line: what stood in the line before stays what it was, a step's second line is evaluated."""
        if not rows:
            return
        step = rows[0]["step"]
        self._resume(step)
        old = _overlap(self.last, rows)
        for row, known in zip(rows, self.last[len(self.last) - old :], strict=False):
            row["evaluation"] = known["evaluation"]
        for row in rows[old:]:
            row["evaluation"] = step in self.steps or step in self.evaluated
        mixed = step in self.steps or any(row["evaluation"] for row in rows)
        if new := rows[old:] if mixed else rows:
            self.steps.setdefault(step, []).extend(new)
        self.last = rows

    def _resume(self, step: Any) -> None:
        """A run that goes on from a checkpoint logs its steps again."""
        again = [known for known in self.steps if isinstance(known, int) and isinstance(step, int) and known > step]
        if again:
            self.notes.append(f"The run was resumed at step {step}; what had been logged from there on is left out.")
            self.steps = {known: rows for known, rows in self.steps.items() if known not in (step, *again)}


def _overlap(before: Sequence[Row], rows: Sequence[Row]) -> int:
    """How many rows at the beginning are those at the end of the line before."""
    old, new = ([(row["prompt"], row["completion"]) for row in part] for part in (before, rows))
    return next((k for k in range(min(len(old), len(new)), 0, -1) if old[len(old) - k :] == new[:k]), 0)


def settings(config: Mapping[str, Any], rewards: Sequence[str]) -> tuple[int | None, dict[str, float]]:
    """Rollouts per prompt, and the weight of each reward, as far as the settings of TRL or ms-swift tell.

    Args:
        config: The settings; a tracker may keep lists as text.
        rewards: Names of the rewards in the order of the trainer, which is that of the weights.
    """
    size, told = config.get("num_generations"), config.get("reward_weights")
    if isinstance(told, str):
        told = None if told == "None" else _list(told)
    if told is None and "reward_weights" in config:
        told = [1.0] * len(rewards)
    weights = [number(w) for w in told] if isinstance(told, list) and len(told) == len(rewards) else []
    finite = {name: w for name, w in zip(rewards, weights, strict=False) if w is not None and math.isfinite(w)}
    whole = isinstance(size, int) and not isinstance(size, bool) and size > 0
    return size if whole else None, finite if len(finite) == len(rewards) else {}


def _list(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return ()
