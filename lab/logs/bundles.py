"""What comes with the lab in `data` at the top of its repository: small real logs, and runs of its own."""

from __future__ import annotations

from pathlib import Path

from lab.errors import InputError

__all__ = ["bundled", "bundled_run"]


def _folder(kind: str) -> Path:
    folder = Path(__file__).resolve().parents[2] / "data" / kind
    if not folder.is_dir():
        raise InputError(
            f"{folder} does not exist: the bundled {kind} come with the repository; open a folder of your own"
        )
    return folder


def bundled() -> dict[str, Path]:
    """Name -> folder of each bundled log, in alphabetical order; `load` opens them.

    Raises:
        InputError: The logs are not installed.
    """
    return {p.name: p for p in sorted(_folder("logs").iterdir()) if (p / "completions").is_dir()}


def bundled_run(name: str) -> Path:
    """Folder of a run of the lab's own in `data/runs`; `lab.store.Run` opens it.

    Raises:
        InputError: The runs are not installed.
    """
    return _folder("runs") / name
