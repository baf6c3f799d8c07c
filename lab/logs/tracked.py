"""Metrics that a tracker keeps beside the rollouts which the trainer itself writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from lab.errors import InputError
from lab.logs.contract import reader_of
from lab.logs.scalars import per_step
from lab.text import printable

__all__ = ["tracked"]


def tracked(run: Path, places: Sequence[str]) -> tuple[pl.DataFrame, list[str]] | None:
    """The metrics of the tracker's folder within a run's, and the sentences about it.

    Args:
        run: The folder.
        places: Patterns of where a tracker's folder may lie; the first with exactly one such folder is taken.

    Returns:
        None where there is no such folder.
    """
    for place in places:
        folders = [f for f in sorted(run.glob(place)) if f.is_dir() and not f.is_symlink()]
        logs = [(f, found) for f in folders if (found := reader_of(f))]
        if len(logs) == 1:
            folder, tracker = logs[0]
            where = printable(folder.relative_to(run))
            try:
                metrics = tracker.read(folder, None).metrics
            except InputError as reason:
                return per_step([])[0], [f"The metrics that {tracker.name} keeps in {where} are left out: {reason}."]
            return metrics, [f"The metrics are those that {tracker.name} keeps in {where}."]
    return None
