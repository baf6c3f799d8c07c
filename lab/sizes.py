"""Sizes, looked at before the memory for them is taken."""

from __future__ import annotations

import functools
import inspect
import math
import os
from collections.abc import Callable, Sized
from numbers import Integral
from pathlib import Path
from typing import Any, TypeVar

from lab.errors import InputError

__all__ = ["check_memory", "free_memory", "sized"]

F = TypeVar("F", bound=Callable[..., Any])

_GIB = 2.0**30


def check_memory(what: str, size: float) -> None:
    """Refuse what this machine has no memory for.

    Args:
        what: What takes the memory: names with values, as the caller gave them.
        size: About how many bytes it takes, rather too few than too many.

    Raises:
        InputError: There is less than that; the message has both numbers.
    """
    free = free_memory()
    if size > free:
        raise InputError(
            f"{what}: this would need about {size / _GIB:,.0f} GiB; this machine has {free / _GIB:,.0f} GiB free"
        )


def sized(size: float, *names: str) -> Callable[[F], F]:
    """Decorator: a function refuses arguments that there is no memory for, before it begins.

    Args:
        size: About how many bytes it takes at once for each unit of the product of what `names` name.
        names: Arguments that are a count, or counts of which the largest is taken; of `seeds` it is how many there are.
            One that is none of these counts as 1: the function itself says what is wrong with it.
    """

    def decorate(function: F) -> F:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def checked(*args: Any, **options: Any) -> Any:
            try:
                given = signature.bind(*args, **options)
            except TypeError:
                return function(*args, **options)
            given.apply_defaults()
            counts = [(name, _count(name, given.arguments[name])) for name in names]
            what = ", ".join(f"{name}={count:.0f}" for name, count in dict(counts).items())
            check_memory(what, size * math.prod(count for _, count in counts))
            return function(*args, **options)

        return checked  # type: ignore[return-value]

    return decorate


def _count(name: str, given: Any) -> float:
    if isinstance(given, Integral):
        return float(min(max(int(given), 1), 10**300))
    if name == "seeds":
        return float(len(given)) if isinstance(given, Sized) else 1.0
    listed = given if isinstance(given, list | tuple | range) else ()
    return max((_count("", one) for one in listed), default=1.0)


def free_memory() -> float:
    """Bytes of memory that can still be had; infinite where the system does not tell."""
    limits = [_available(), _left_in_group()]
    return min(limit for limit in limits if limit is not None) if any(limits) else float("inf")


def _available() -> float | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        known = "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {})
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")) if known else None


def _left_in_group() -> float | None:
    """What is left of the limit of the control group, as a container has one."""
    group = Path("/sys/fs/cgroup")
    try:
        return float(int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    except (OSError, ValueError):
        return None
