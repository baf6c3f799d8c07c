"""The small real logs that come with the lab, in `data/logs` at the top of its repository."""

from __future__ import annotations

from pathlib import Path

from lab.errors import InputError

__all__ = ["bundled", "logs_folder"]


def logs_folder() -> Path:
    """Folder of the bundled logs: `data/logs` beside the package `lab`.

    Raises:
        InputError: It is not there, as after an installation without the repository.
    """
    folder = Path(__file__).resolve().parents[2] / "data" / "logs"
    if not folder.is_dir():
        raise InputError(
            f"{folder} does not exist: the bundled logs come with the repository; open a folder of your own"
        )
    return folder


def bundled() -> dict[str, Path]:
    """Name -> folder of each bundled log, in alphabetical order; `load` opens them.

    Raises:
        InputError: The logs are not installed.
    """
    return {p.name: p for p in sorted(logs_folder().iterdir()) if (p / "completions").is_dir()}
