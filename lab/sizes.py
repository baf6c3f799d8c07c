"""Sizes, looked at before the memory for them is taken."""

from __future__ import annotations

import os
from pathlib import Path

from lab.errors import InputError

__all__ = ["check_memory", "free_memory"]

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
