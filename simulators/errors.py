"""Messages shared by the worlds: what was wrong, where, and what would be right."""

from __future__ import annotations

import difflib
import operator
from collections.abc import Iterable
from typing import Any

__all__ = ["check_count", "unknown_name"]


def unknown_name(kind: str, name: str, known: Iterable[str]) -> ValueError:
    """The error for a name that is not among the `known` ones, with the nearest one offered."""
    names = sorted(known)
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    offer = f"nearest: {near[0]!r}; " if near else ""
    return ValueError(f"unknown {kind} {name!r}; {offer}known: {', '.join(names) or 'none'}")


def check_count(name: str, value: Any, *, least: int) -> int:
    """`value` as an int of at least `least`; a ValueError or TypeError that names it otherwise."""
    try:
        count = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, not {value!r}") from None
    if count < least:
        raise ValueError(f"{name} must be at least {least}, not {count}")
    return count
