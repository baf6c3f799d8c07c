"""Tables in files of unknown origin, Parquet, JSON lines or CSV, into Polars frames; and how much is read at once."""

from __future__ import annotations

import csv
import json
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from lab.errors import InputError
from lab.logs import parquet
from lab.logs.parquet import status
from lab.logs.texts import shorten
from lab.text import printable

__all__ = [
    "FORMATS", "MAX_BYTES", "MAX_PARQUET_ROWS", "MAX_ROWS", "content", "finished", "framed", "names_in", "parsed",
    "read_files", "read_unfinished", "records", "tables", "unfinished",
]  # fmt: skip

#: Rollouts that are read at once; longer logs are read in parts (`steps=`).
MAX_ROWS = 1_000_000

#: The same in Parquet, which is decoded column by column: they fit in two GiB of memory with their diagnosis.
MAX_PARQUET_ROWS = 10_000_000

#: A log of Parquet files with more rollouts, or more bytes of text, is long: its texts stay in the files.
LONG_ROWS, LONG_TEXTS = 1_000_000, 2**29

#: Bytes that are read at once, after decompression.
MAX_BYTES = 2**30

#: Endings of the files that hold tables.
FORMATS = (".parquet", ".jsonl", ".csv")

#: While a growing log is read, the files that are left out because they are not written to their end; else None.
unfinished: ContextVar[list[Path] | None] = ContextVar("unfinished", default=None)

_HEAD = 64  # lines that are looked at to recognise a file
_LINE = 2**24  # and how long they may be
_TEXTS = {"prompt": pl.String, "completion": pl.String}


def tables(folder: Path, endings: Sequence[str] = FORMATS) -> list[Path]:
    """Files of a folder with one of these endings, in alphabetical order.

    Raises:
        InputError: The folder cannot be listed.
    """
    try:
        found = sorted(f for f in folder.iterdir() if f.suffix in endings)
    except OSError as reason:
        raise InputError(f"{folder} cannot be listed: {reason.strerror or reason}") from None
    return finished(found)


def finished(files: Sequence[Path]) -> list[Path]:
    """The files; while a growing log is read, those that are written to their end."""
    if (left_out := unfinished.get()) is None:
        return list(files)
    open_still = [f for f in files if not _finished(f)]
    left_out += [f for f in open_still if f not in left_out]
    return [f for f in files if f not in open_still]


def _finished(file: Path) -> bool:
    """Whether a file is written to its end, as far as its last bytes tell."""
    try:
        if file.suffix == ".parquet":
            return parquet.footer(file).rows >= 0
        with file.open("rb") as opened:
            opened.seek(max(0, file.stat().st_size - 1))
            return opened.read() == b"\n"
    except (InputError, OSError):
        return False


def content(file: Path) -> bytes:
    """All bytes of a file that is no table.

    Raises:
        InputError: It is no regular file, cannot be read, or has more than `MAX_BYTES`.
    """
    _harmless([file])
    try:
        return file.read_bytes()
    except OSError as reason:
        raise InputError(f"{file} cannot be read: {reason.strerror or reason}") from None


def names_in(file: Path) -> list[str]:
    """Names of a table's columns, from the file's footer or first line.

    Raises:
        InputError: It is no such file, or damaged.
    """
    if file.suffix == ".parquet":
        parquet.footer(file)
        return parquet.names(file)
    if file.suffix == ".jsonl":
        return list(_object(next(_lines(file, _HEAD), (1, ""))[1], file, 1))
    try:
        return next(csv.reader(line for _, line in _lines(file, _HEAD)), [])
    except csv.Error as reason:
        raise InputError(f"{file} cannot be read as CSV: {reason}") from None


def read_files(files: Sequence[Path]) -> Iterable[pl.DataFrame]:
    """A frame for each file, to go through once; nothing is decoded before all are known to be of a harmless size.

    Raises:
        InputError: A file is damaged or no regular file; together they have more than `MAX_ROWS`, of Parquet
            `MAX_PARQUET_ROWS`, or `MAX_BYTES`.
    """
    if _all_parquet(files):
        return _read_parquet(files)
    _harmless(files)
    frames = [_READ[file.suffix](file) for file in files]
    _check_rows(files, sum(frame.height for frame in frames))
    return frames


def _all_parquet(files: Sequence[Path]) -> bool:
    return all(file.suffix == ".parquet" for file in files)


def _read_parquet(files: Sequence[Path]) -> Iterator[pl.DataFrame]:
    """A frame for each file, with what stands for its texts where the log is long."""
    claims = [parquet.footer(file) for file in files]
    rows, texts = [claim.rows for claim in claims], sum(claim.texts for claim in claims)
    long = sum(rows) > LONG_ROWS or texts > LONG_TEXTS
    held = sum(claim.size for claim in claims) - long * texts
    _check_rows(files, sum(rows), max([held, *(claim.block for claim in claims)]))
    return parquet.read_all(files, rows, *([shorten] if long else []))


def read_unfinished(files: Sequence[Path]) -> tuple[list[pl.DataFrame], list[str]]:
    """As `read_files`, of files that are perhaps still being written.

    Returns:
        A frame for each file; and in sentences what was left out: a last line that is cut off.
    """
    if _all_parquet(files):
        return list(_read_parquet(files)), []
    _harmless(files)
    frames, notes = [], []
    for file in files:
        frame, torn = _UNFINISHED[file.suffix](file) if file.suffix in _UNFINISHED else (_READ[file.suffix](file), [])
        frames.append(frame)
        notes += torn
    _check_rows(files, sum(frame.height for frame in frames))
    return frames, notes


def records(
    files: Sequence[Path], row: Callable[[dict[str, Any]], dict[str, Any]] = dict
) -> tuple[list[list[dict[str, Any]]], list[str]]:
    """The objects of files of JSON lines, for logs that hold more than a table.

    Args:
        files: The files.
        row: What is kept of each object; whatever it leaves out takes no memory.

    Returns:
        A list for each file; and what was left out, in sentences: the last line of a file, where it was not written to
        its end.

    Raises:
        InputError: Another line is no JSON object, or `row` says what is wrong with it; a file is no regular file;
            together they have more than `MAX_ROWS` or `MAX_BYTES`.
    """
    _harmless(files)
    found, notes = [], []
    for file in files:
        rows, torn = _whole(file, row)
        found.append(rows)
        notes += torn
        _check_rows(files, sum(map(len, found)))
    return found, notes


def _whole(file: Path, row: Callable[[dict[str, Any]], dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """The objects of one file; a last line that is cut off becomes a sentence."""
    rows: list[dict[str, Any]] = []
    cut: InputError | None = None
    for number, line in _byte_lines(file):
        if cut:
            raise cut
        try:
            found = _object(line, file, number)
        except InputError as reason:
            cut = reason
            continue
        try:
            rows.append(row(found))
        except InputError as reason:
            raise InputError(f"{file}, line {number}: {reason}") from None
    said = f"The last line of {printable(file.name)} is left out: it is no JSON object, perhaps not written to its end."
    return rows, [said] if cut else []


def _byte_lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """Line numbers from 1, and the lines that are not blank, for whom a cut letter of UTF-8 is no reason to stop."""
    try:
        with file.open("rb") as opened:
            yield from ((number, line) for number, line in enumerate(opened, 1) if line.strip())
    except OSError as reason:
        raise InputError(f"{file} cannot be read: {reason.strerror or reason}") from None


def _harmless(files: Sequence[Path]) -> None:
    """Refuse files that say they have more than is read at once."""
    claims = [_claim(file) for file in files]
    _check_rows(files, sum(rows for rows, _ in claims), sum(size for _, size in claims))


def _check_rows(files: Sequence[Path], rows: int, size: int = 0) -> None:
    most = MAX_PARQUET_ROWS if _all_parquet(files) else MAX_ROWS
    if rows > most or size > MAX_BYTES:
        raise InputError(
            f"{files[0].parent}: {len(files)} file(s) claim {rows} rows and {size / 2**20:.0f} MiB; up to "
            f"{most} rows and {MAX_BYTES // 2**20} MiB are read at once: choose fewer with steps=range(1, 101)"
        )


def _claim(file: Path) -> tuple[int, int]:
    """Rows and bytes that a file says it has; a text file is as large as it is, and its rows are not known yet."""
    if file.suffix == ".parquet":
        claimed = parquet.footer(file)
        return claimed.rows, claimed.size
    if not stat.S_ISREG(status(file)):
        raise InputError(f"{file} is no regular file")
    return 0, file.stat().st_size


def _lines(file: Path, count: int | None = None) -> Iterator[tuple[int, str]]:
    """Line numbers from 1, and the lines that are not blank."""
    _claim(file)
    try:
        with file.open(encoding="utf-8-sig") as opened:
            lines = iter(lambda: opened.readline(_LINE), "") if count else opened
            for number, line in enumerate(islice(lines, count), 1):
                if line.strip():
                    yield number, line
    except UnicodeDecodeError as reason:
        raise InputError(f"{file} is no text in UTF-8 (byte {reason.start}); copy or write it again") from None
    except OSError as reason:
        raise InputError(f"{file} cannot be read: {reason.strerror or reason}") from None


def parsed(text: bytes) -> Any:
    """What JSON says; half of a surrogate pair, which is no text, becomes a question mark.

    Raises:
        ValueError: It is none.
        RecursionError: It is nested too deeply.
    """
    found = json.loads(text)
    if b"\\ud" in text or b"\\uD" in text:
        found = json.loads(json.dumps(found, ensure_ascii=False).encode(errors="replace"))
    return found


def _object(line: str | bytes, file: Path, number: int) -> dict[str, Any]:
    try:
        found = parsed(line if isinstance(line, bytes) else line.encode())
    except (ValueError, RecursionError) as reason:
        raise InputError(f"{file}, line {number} is no JSON: {str(reason)[:120]}") from None
    if not isinstance(found, dict):
        raise InputError(f'{file}, line {number} is no JSON object, such as {{"step": 1, "reward": 0.5}}')
    return found


def _json_lines(file: Path) -> pl.DataFrame:
    return framed([_object(line, file, number) for number, line in _lines(file)])


def framed(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Objects as a table; a key that some lack is missing (null) there."""
    names = dict.fromkeys(name for row in rows for name in row)
    return pl.DataFrame([_series(name, [row.get(name) for row in rows]) for name in names])


def _series(name: str, values: list[Any]) -> pl.Series:
    """Values of one key: numbers, text, lists of one kind; whatever is mixed becomes text."""
    if all(v is None or isinstance(v, int | float) for v in values) and any(isinstance(v, float) for v in values):
        values = [None if v is None else _float(v) for v in values]
    try:
        return pl.Series(name, values, strict=True)
    except (TypeError, ValueError, OverflowError, PolarsError):
        return pl.Series(name, [v if v is None or isinstance(v, str) else json.dumps(v) for v in values], pl.String)


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _comma_separated(file: Path) -> pl.DataFrame:
    return _from_csv(file.read_bytes(), file)


def _from_csv(content: bytes, file: Path) -> pl.DataFrame:
    try:
        frame = pl.read_csv(content, schema_overrides=_TEXTS, infer_schema_length=None)
        return frame.with_columns(s.cast(pl.Null) for s in frame if s.null_count() == len(s) and s.name not in _TEXTS)
    except PolarsError as reason:
        detail = str(reason).strip().partition("\n")[0][:200]
        raise InputError(f"{file} cannot be read as CSV: {detail}") from None


def _unfinished_csv(file: Path) -> tuple[pl.DataFrame, list[str]]:
    """The table without a last line that has fewer fields than the first and does not end."""
    content = file.read_bytes()
    whole, _, last = content.rpartition(b"\n")
    within_quotes = whole.count(b'"') % 2 == 1
    if not last or within_quotes or _fields(last) >= _fields(content.partition(b"\n")[0]):
        return _from_csv(content, file), []
    return _from_csv(whole, file), [
        f"The last line of {printable(file.name)} is left out: it is not written to its end."
    ]


def _fields(line: bytes) -> int:
    try:
        return len(next(csv.reader([line.decode(errors="replace")]), []))
    except csv.Error:
        return 0


def _unfinished_lines(file: Path) -> tuple[pl.DataFrame, list[str]]:
    (rows,), torn = records([file])
    return framed(rows), torn


_READ: dict[str, Callable[[Path], pl.DataFrame]] = {
    ".parquet": parquet.read,
    ".jsonl": _json_lines,
    ".csv": _comma_separated,
}
_UNFINISHED = {".jsonl": _unfinished_lines, ".csv": _unfinished_csv}
