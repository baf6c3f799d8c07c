"""What comes with the lab in `data`: small real logs, and runs of its own."""

from __future__ import annotations

from pathlib import Path

from lab.shipped import shipped

__all__ = ["bundled", "bundled_run"]


def bundled() -> dict[str, Path]:
    """Name -> folder of each bundled log, in alphabetical order; `load` opens them."""
    return {p.name: p for p in sorted(shipped("data/logs").iterdir()) if p.is_dir()}


def bundled_run(name: str) -> Path:
    """Folder of a run of the lab's own in `data/runs`; `lab.store.Run` opens it."""
    return shipped("data/runs") / name
