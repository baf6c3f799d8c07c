"""A log that still grows: diagnosed again whenever its files have changed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.errors import InputError, check_number
from lab.logs.diagnosis import Diagnosis, diagnose
from lab.logs.loading import expanded, load

__all__ = ["watch"]


def watch(path: str | Path, *, every: float = 5.0, **options: Any) -> Iterator[Diagnosis | InputError]:
    """Diagnose a growing log, at once and then after each change of its files, for as long as it is asked.

    Args:
        path: Folder or file; it need not be there yet.
        every: Seconds between two looks at the files.
        **options: As `lab.load` takes them.

    Yields:
        The diagnosis of what is written so far, without files that are not written to their end; or why there is none
        yet.

    Raises:
        InputError: `every` is no positive number.
    """
    check_number("every", every, lambda seconds: seconds > 0, "a number of seconds above 0")
    before = None
    while True:
        if (now := _stamps(expanded(path))) != before:
            before = now
            try:
                yield diagnose(load(path, growing=True, **options))
            except InputError as reason:
                yield reason
        time.sleep(every)


def _stamps(path: Path) -> dict[str, tuple[int, int]]:
    """Size and time of each file of a log."""
    found = {}
    for file in (path, *path.rglob("*")):
        try:
            at = file.stat()
        except OSError:
            continue
        found[str(file)] = at.st_size, at.st_mtime_ns
    return found
