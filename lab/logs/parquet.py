"""Parquet files of unknown origin into Polars frames, or one clear sentence about what is wrong with them."""

from __future__ import annotations

import mmap
import stat
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path

import polars as pl
from polars.exceptions import PanicException, PolarsError

from lab.errors import InputError
from lab.logs.footer import Footer, read_footer

__all__ = ["Prepare", "footer", "names", "read", "read_all", "status"]

_TOGETHER = 1000  # files that are decoded at once

Prepare = Callable[[pl.LazyFrame], pl.LazyFrame]


def _as_it_is(rows: pl.LazyFrame) -> pl.LazyFrame:
    return rows


def status(path: Path) -> int:
    """File mode of a path.

    Raises:
        InputError: Nothing is there, it cannot be reached, or its links lead in a circle.
    """
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        raise InputError(f"{path} does not exist{_nearest_parent(path)}") from None
    except (OSError, ValueError, RuntimeError) as reason:
        raise InputError(f"{path} cannot be opened: {getattr(reason, 'strerror', None) or reason}") from None


def _nearest_parent(path: Path) -> str:
    parent = next((p for p in path.absolute().parents if p.is_dir()), None)
    return f"; the last folder on the way that exists is {parent}" if parent else ""


def footer(path: Path) -> Footer:
    """What the file claims to hold, checked against its bytes and before anything is decoded.

    Raises:
        InputError: It is no regular file, or no Parquet file, or damaged.
    """
    if not stat.S_ISREG(status(path)):
        raise InputError(f"{path} is no regular file; a Parquet file is needed")
    try:
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                raise InputError(f"{path} is empty (0 bytes); a Parquet file is needed")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return read_footer(data, str(path))
    except OSError as reason:
        raise InputError(f"{path} cannot be read: {reason.strerror or reason}") from None


def read(path: Path, prepare: Prepare = _as_it_is) -> pl.DataFrame:
    """The whole file as a frame; call `footer` first where the file's size is not known to be harmless.

    Args:
        path: The file.
        prepare: What becomes of its rows while they are decoded.

    Raises:
        InputError: The pages cannot be decoded.
    """
    try:
        return _decoded([path], prepare)
    except (PolarsError, PanicException, OSError) as reason:
        detail = str(reason).strip().partition("\n")[0][:200]
        raise InputError(f"{path} is damaged: its pages cannot be decoded ({detail}); copy or write it again") from None


def read_all(paths: Sequence[Path], rows: Sequence[int], prepare: Prepare = _as_it_is) -> Iterator[pl.DataFrame]:
    """A frame for each file, many read together where they have the same columns.

    Args:
        paths: The files.
        rows: How many rows each has, as its footer says.
        prepare: What becomes of their rows while they are decoded.

    Raises:
        InputError: The pages of a file cannot be decoded.
    """
    for start in range(0, len(paths), _TOGETHER):
        some = slice(start, start + _TOGETHER)
        yield from _read_together(paths[some], rows[some], prepare)


def _read_together(paths: Sequence[Path], rows: Sequence[int], prepare: Prepare) -> Iterator[pl.DataFrame]:
    try:
        whole = _decoded(paths, prepare)
    except (PolarsError, PanicException, OSError):
        return (read(path, prepare) for path in paths)  # one by one: the first that cannot be read is named
    starts = accumulate(rows, initial=0)
    return (whole.slice(start, height) for start, height in zip(starts, rows, strict=False))


def _decoded(paths: Sequence[Path], prepare: Prepare) -> pl.DataFrame:
    rows = pl.scan_parquet([p.absolute() for p in paths], glob=False, hive_partitioning=False)
    return rows.collect() if prepare is _as_it_is else prepare(rows).collect(engine="streaming")


def names(path: Path) -> list[str]:
    """Names of the columns, in their order.

    Raises:
        InputError: The footer cannot be decoded.
    """
    try:
        with path.open("rb") as file:
            return list(pl.read_parquet_schema(file))
    except (PolarsError, PanicException, OSError) as reason:
        raise InputError(f"{path} is damaged: its footer cannot be decoded ({str(reason)[:200]})") from None
