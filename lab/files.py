"""Files that are whole or not there, a lock on a folder, and arrays on disk."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from lab.errors import InputError

__all__ = ["TEMPORARY", "clean", "locked", "read_arrays", "write", "write_arrays"]

#: How the name of a file begins that is still being written.
TEMPORARY = ".part-"
_LOCK = ".lock"


def write(path: Path, fill: Callable[[IO[bytes]], Any]) -> None:
    """Write a whole file: `fill` writes a temporary one beside it, which takes the name once it is on the disk."""
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    try:
        with temporary.open("wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _settle(path.parent)


def _settle(folder: Path) -> None:
    """Have the folder's list of names on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def clean(folder: Path) -> None:
    """Remove what killed processes left of files that they were writing; call it under the folder's lock."""
    for path in folder.glob(f"{TEMPORARY}*"):
        path.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder against other processes; a killed process lets go of it.

    Raises:
        InputError: Another process holds it.
    """
    import fcntl

    with (folder / _LOCK).open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{folder} is being written by another process; wait for it, or stop it first") from None
        yield


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write named arrays as one .npz, whole."""
    write(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Arrays of an .npz; nothing is ever unpickled.

    Raises:
        InputError: It is damaged, or no such file.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return dict(stored)
    except (OSError, ValueError, TypeError, KeyError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is damaged: {error or type(error).__name__}") from None
