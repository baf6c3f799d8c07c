"""Import every module of a folder once, so that the folder is the list."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable

__all__ = ["import_all"]


def import_all(package: str, path: Iterable[str]) -> list[str]:
    """Import all public modules of `package` in alphabetical order and return their full names."""
    found = [f"{package}.{m.name}" for m in pkgutil.iter_modules(path) if not m.name.startswith("_")]
    for name in sorted(found):
        importlib.import_module(name)
    return sorted(found)
