"""What comes with the lab beside its code: recorded data, the settings of the dashboard."""

from __future__ import annotations

from pathlib import Path

__all__ = ["shipped"]

_PACKAGE = Path(__file__).parent


def shipped(name: str) -> Path:
    """A file or folder by its place at the top of the repository, such as `data/runs`; it need not be there.

    An installed lab has a copy inside the package: `pyproject.toml` says what the wheel takes along.
    """
    inside = _PACKAGE / name
    return inside if inside.exists() else _PACKAGE.parent / name
