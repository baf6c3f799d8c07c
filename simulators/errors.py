"""Messages shared by the worlds: what was wrong, where, and what would be right."""

from __future__ import annotations

import difflib
import operator
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["check_count", "check_numbers", "check_room", "one_of", "unknown_name"]

_GIB = 2**30


def unknown_name(kind: str, name: str, known: Iterable[str]) -> ValueError:
    """The error for a name that is not among the `known` ones, with the nearest one offered."""
    names = sorted(known)
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    offer = f"nearest: {near[0]!r}; " if near else ""
    return ValueError(f"unknown {kind} {name!r}; {offer}known: {', '.join(names) or 'none'}")


def one_of(kind: str, name: Any, known: Mapping[str, Any]) -> Any:
    """The one of that name; the error of `unknown_name` where there is none."""
    if not isinstance(name, str) or name not in known:
        raise unknown_name(kind, name, known)
    return known[name]


def check_count(name: str, value: Any, *, least: int, most: int | None = None) -> int:
    """`value` as an int of at least `least`; a ValueError or TypeError that names it otherwise."""
    try:
        count = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, not {value!r}") from None
    if count < least:
        raise ValueError(f"{name} must be at least {least}, not {count}")
    if most is not None and count > most:
        raise ValueError(f"{name} must be at most {most}, not {count}")
    return count


def check_numbers(name: str, given: Any) -> NDArray[np.float64]:
    """`given` as an array of finite numbers; a ValueError that names it otherwise."""
    try:
        array = np.asarray(given)
        if array.dtype.kind == "c":
            raise TypeError
        table = np.array(array, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} must be real numbers, in rows of one length, not {_short(given)}") from None
    if not np.isfinite(table).all():
        raise ValueError(f"{name} must be finite, not {_short(given)}")
    return table


def check_room(numbers: int, **sizes: int) -> None:
    """Refuse what would not fit into half of the memory of this machine, before any of it is taken.

    Args:
        numbers: how many numbers of 8 bytes will be held, about.
        **sizes: what they are made of; the largest is named, with the most that fits beside the others.

    Raises:
        ValueError: they do not fit.
    """
    needed, room = 8 * numbers, _memory() // 2
    if needed <= room:
        return
    name = max(sizes, key=lambda size: sizes[size])
    others = ", ".join(f"{n}={v}" for n, v in sizes.items() if n != name)
    raise ValueError(
        f"{name}={sizes[name]} would need about {needed / _GIB:.3g} GiB{others and f' with {others}'}; "
        f"at most {sizes[name] * room // needed} fits into half of this machine's {2 * room / _GIB:.3g} GiB"
    )


def _memory() -> int:
    """Bytes of memory of this machine; 16 GiB where it does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 16 * _GIB


def _short(given: Any) -> str:
    words = repr(given)
    return words if len(words) <= 80 else words[:77] + "..."
