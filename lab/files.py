"""Files that are whole or not there, checksums inside them, a lock on a folder, and arrays on disk."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from lab.errors import InputError, UnwrittenError

__all__ = ["BLANK", "TEMPORARY", "clean", "intact", "locked", "read_arrays", "sealed", "write", "write_arrays"]

#: How the name of a file begins that is still being written.
TEMPORARY = ".part-"
_LOCK = ".lock"

#: What stands in a file's content where `sealed` puts the checksum of all the rest.
BLANK = "sha256:" + "0" * 64
_DIGITS = re.compile(rb"[0-9a-f]{64}")
_TAIL = 2**16  # bytes at the end of a file among which a checksum is looked for whose mark is damaged


def write(path: Path, fill: Callable[[IO[bytes]], Any]) -> None:
    """Write a whole file: `fill` writes a temporary one beside it, which takes the name once it is on the disk.

    Raises:
        UnwrittenError: The disk is full, or refuses; what stood under the name before still stands there.
    """
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    try:
        with temporary.open("wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        _drop(temporary)
        raise UnwrittenError(f"{path} cannot be written: {error.strerror or error}") from error
    except BaseException:
        _drop(temporary)
        raise
    _settle(path.parent)


def _drop(path: Path) -> None:
    """Remove a file if it is there; where that fails, the reason why it was not finished is the one to tell."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


def sealed(data: bytes) -> bytes:
    """The content of a file, in which `BLANK` stands once, with the checksum of all its bytes in that place."""
    mark, blank = BLANK[:7].encode(), BLANK.encode()
    return data.replace(blank, mark + hashlib.sha256(data).hexdigest().encode())


def intact(path: Path) -> bool:
    """Whether a file has a checksum, which is then right; a file of before there were any has none.

    Raises:
        InputError: A bit of it is not as it was written.
    """
    data = path.read_bytes()
    mark = data.rfind(BLANK[:7].encode())
    if mark < 0 and not _DIGITS.search(data[-_TAIL:]):
        return False
    digest = data[mark + 7 : mark + 71]
    blank = data[: mark + 7] + b"0" * 64 + data[mark + 71 :]
    if mark < 0 or hashlib.sha256(blank).hexdigest().encode() != digest:
        raise InputError(f"{path} is damaged: its content is not that of its checksum")
    return True


def _settle(folder: Path) -> None:
    """Have the folder's list of names on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def clean(folder: Path) -> None:
    """Remove what killed processes left of files that they were writing; call it under the folder's lock.

    Raises:
        InputError: Something of that name is no file.
    """
    for path in folder.glob(f"{TEMPORARY}*"):
        if path.is_dir() and not path.is_symlink():
            raise InputError(f"{path} is a folder, where files are that are being written; move it out of the way")
        path.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder against other processes; a killed process lets go of it.

    Raises:
        InputError: Another process holds it, or its lock is no file.
    """
    import fcntl

    if (folder / _LOCK).is_dir():
        raise InputError(f"{folder / _LOCK} is a folder, where the lock of the run is kept; move it out of the way")
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
    except Exception as error:  # an archive that is damaged may fail in any way
        raise InputError(f"{path} is damaged: {error or type(error).__name__}") from None
