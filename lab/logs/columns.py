"""The columns of a log: named literally, their types checked, their texts made plain, several files in one frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
from polars import selectors

from lab.errors import InputError
from lab.logs.footer import TEXTS
from lab.logs.texts import SHORT, plain
from lab.text import listed

__all__ = [
    "INNER", "by_pieces", "changes", "column", "finite", "gathered", "join", "moved", "pieces", "reward_values",
    "since", "tidy",
]  # fmt: skip

#: Columns that the lab adds while it reads: where a row stands, its run of rows, its group as a
#: reader tells it, and its place in the order of the log.
INNER = ("_file", "_row", "_run", "_group", "_place")

_FILE, _ROW = pl.Categorical(), pl.UInt32()


def column(name: str) -> pl.Expr:
    """The column of that very name; `pl.col` would read one that begins with ^ and ends with $ as a pattern."""
    return selectors.by_name(name).as_expr()


def pieces(steps: pl.Series) -> list[tuple[int, int]]:
    """First row and number of rows of consecutive whole steps, about `_PIECE` rows each; rows are in their order."""
    ends = np.cumsum(steps.rle().struct.field("len").to_numpy())
    bounds = [0]
    while bounds[-1] < len(steps):
        whole = int(np.searchsorted(ends, bounds[-1] + _PIECE))
        bounds.append(int(ends[min(whole, len(ends) - 1)]))
    return [(start, end - start) for start, end in pairwise(bounds)] or [(0, 0)]


_PIECE = 2**20


def by_pieces(frame: pl.DataFrame, made: Callable[[pl.DataFrame], pl.DataFrame]) -> pl.DataFrame:
    """What is made of the rows, a piece of the steps at a time: what looks at no other group takes less memory so."""
    parts = [made(frame.slice(start, rows)) for start, rows in pieces(frame["step"])]
    return parts[0] if len(parts) == 1 else pl.concat(parts)


def changes(name: str) -> pl.Expr:
    """Whether a row has another value in a column than the row before; true in the first row."""
    return pl.col(name).ne_missing(pl.col(name).shift(1)) | (pl.int_range(pl.len()) == 0)


def since(start: pl.Expr) -> pl.Expr:
    """Rows since the last one at which a condition holds, 0 there; it holds in the first row."""
    row = pl.int_range(pl.len())
    return row - pl.when(start).then(row).forward_fill()


def moved(frame: pl.DataFrame, names: Iterable[str]) -> dict[str, str]:
    """New names, not yet taken, for those columns of a log whose names the table needs."""
    given = {}
    for name in names:
        new = f"{name}_logged"
        while new in frame.columns:
            new += "_"
        given[name] = new
    return {name: new for name, new in given.items() if name in frame.columns}


def tidy(frame: pl.DataFrame, file: Path, needed: Sequence[str] = ("step", "prompt", "completion")) -> pl.DataFrame:
    """Rows of one file: step as integer, prompt and completion as text, advantage as number, `_file` and `_row`.

    Raises:
        InputError: A needed column is missing, or one of these is of the wrong type.
    """
    lacking = [c for c in needed if c not in frame.columns]
    if lacking:
        raise InputError(
            f"{file} has no column {listed(map(repr, lacking))}. Found: {listed(frame.columns)}; needed: "
            f"{', '.join(needed)}, one numeric column per reward and, if logged, advantage"
        )
    frame = frame.rename(moved(frame, INNER)).with_columns(
        _step(frame, file),
        *(_text(frame, c, file) if c in frame.columns else pl.lit("").alias(c) for c in TEXTS),
    )
    if "advantage" in frame.columns:
        frame = frame.with_columns(_number(frame, "advantage", str(file)))
    return frame.with_columns(
        pl.lit(str(file)).cast(_FILE).alias("_file"), pl.int_range(pl.len(), dtype=_ROW).alias("_row")
    )


def _step(frame: pl.DataFrame, file: Path) -> pl.Series:
    step = frame["step"]
    if not (step.dtype.is_numeric() or (step.dtype == pl.Null and step.is_empty())):
        raise InputError(f"{file}: column 'step' is {step.dtype}; it must hold whole numbers")
    whole = step.cast(pl.Int64, strict=False)
    bad = (whole.is_null() | (whole.cast(pl.Float64) != step.cast(pl.Float64))).fill_null(True)
    if bad.any():
        row = int(bad.arg_max() or 0)
        raise InputError(f"{file}, row {row}: step is {step[row]}; it must be a whole number")
    return whole


def _text(frame: pl.DataFrame, name: str, file: Path) -> pl.Series:
    """Text as it is; a conversation as `role: content` lines."""
    text = plain(name, frame.schema[name])
    if text is None:
        kind = frame.schema[name]
        raise InputError(f"{file}: column {name!r} is {kind}; it must hold text or lists of messages (role, content)")
    column = frame.select(text).to_series()
    if name == "prompt" and column.null_count():
        raise InputError(
            f"{file}, row {column.is_null().arg_max()}: the prompt is missing; groups are told by their prompts"
        )
    return column


def _number(frame: pl.DataFrame, name: str, where: str) -> pl.Series:
    """Float64, NaN and infinities included."""
    column = frame[name].alias("")  # a method of a series, too, may read its name as a pattern
    if not (column.dtype.is_numeric() or column.dtype in (pl.Null, pl.Boolean)):
        raise InputError(f"{where}: column {name!r} is {column.dtype}; it must hold numbers")
    return column.cast(pl.Float64).alias(name)


def finite(frame: pl.DataFrame, names: Iterable[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Columns of numbers with null in place of what is not finite, and a list of what was replaced.

    Returns:
        The frame; `_file`, `_row`, column and value ("nan", "inf", "-inf").
    """
    broken = [pl.DataFrame(schema=_BROKEN)]
    for name in names:
        values = frame[name].alias("")
        bad = ~values.is_finite().fill_null(True)
        if bad.any():
            said = values.filter(bad).cast(pl.String).str.to_lowercase()
            broken.append(frame.filter(bad).select("_file", "_row", column=pl.lit(name), value=said).cast(_BROKEN))  # type: ignore[arg-type]
            frame = frame.with_columns(pl.Series(name, values.set(bad, None)))
    return frame, pl.concat(broken)


_BROKEN: dict[str, pl.DataType] = {"_file": _FILE, "_row": _ROW, "column": pl.String(), "value": pl.String()}


def reward_values(
    frame: pl.DataFrame, columns: Sequence[str], lacking: Mapping[str, Path]
) -> tuple[pl.DataFrame, pl.DataFrame, list[str]]:
    """Reward columns and advantages as Float64, null where there is no finite number.

    Returns:
        The frame; what is no finite number, as `finite` lists it (without rewards that are NaN: they are missing); how
        many rewards are missing, in sentences.

    Raises:
        InputError: A reward is no number; a file lacks the column.
    """
    for name in columns:
        if name in lacking:
            raise InputError(
                f"{lacking[name]} has no column {name!r}, which other files have as a reward; are they of one run? "
                "reward_columns= names the rewards, steps= chooses the files"
            )
    frame = frame.with_columns(_number(frame, name, str(frame["_file"][0])) for name in columns)
    logged = [c for c in ("advantage",) if c in frame.columns]
    frame, broken = finite(frame, [*columns, *logged])
    broken = broken.filter(pl.col("column").is_in(logged) | (pl.col("value") != "nan"))
    missing = {name: count for name in columns if (count := frame[name].null_count())}
    said = [f"{n} of {frame.height} rewards {name!r} are missing (NaN), kept as null." for name, n in missing.items()]
    return frame, broken, said


def join(files: Sequence[Path], frames: Sequence[pl.DataFrame]) -> tuple[pl.DataFrame, dict[str, Path], list[str]]:
    """All files in one frame; columns that hold lists or bytes are left out.

    Returns:
        The frame; for each column that some files lack, the first of these; what was left out, in sentences.

    Raises:
        InputError: One column holds text in one file and numbers in another; only some have advantages; no rows at all.
    """
    filled = {file: frame for file, frame in zip(files, frames, strict=True) if frame.height}
    if not filled:
        raise InputError(
            f"{files[0]} has no rows" + (f", nor has any other of {len(files)} files" if len(files) > 1 else "")
        )
    notes = [f"{len(files) - len(filled)} file(s) have no rows."] if len(filled) < len(files) else []
    nested = sorted({c for f in filled.values() for c, kind in f.schema.items() if _nested(kind)})
    if nested:
        notes.append(f"Columns that hold lists or bytes are left out: {listed(nested)}.")
    filled = {f: frame.select([column(c) for c in frame.columns if c not in nested]) for f, frame in filled.items()}
    _check_kinds(filled)
    names = list(dict.fromkeys(c for f in filled.values() for c in f.columns))
    without = ((c, next((file for file, f in filled.items() if c not in f.columns), None)) for c in names)
    lacking = {c: file for c, file in without if file}
    if "advantage" in lacking:
        raise InputError(f"{lacking['advantage']} has no column 'advantage', other files have it; are they of one run?")
    if lacking:
        notes.append(f"Columns that only some files have: {listed(lacking)}.")
    return pl.concat(filled.values(), how="diagonal_relaxed"), lacking, notes


def gathered(files: Sequence[Path], frames: Iterable[pl.DataFrame]) -> tuple[pl.DataFrame, dict[str, Path], list[str]]:
    """The rows of all files in one frame, as `tidy` and `join` make them; at once where they have the same columns."""
    parts = [(some[0][0], _block(*zip(*some, strict=True))) for some in _alike(files, frames)]
    return join([first for first, _ in parts], [frame for _, frame in parts])


def _alike(files: Sequence[Path], frames: Iterable[pl.DataFrame]) -> Iterator[list[tuple[Path, pl.DataFrame]]]:
    """Files that follow one another and have rows and the same columns, up to a number of them; others alone."""
    some: list[tuple[Path, pl.DataFrame]] = []
    for file, frame in zip(files, frames, strict=True):
        last = some[-1][1] if some else None
        if last is not None and not (
            len(some) < _BLOCK and frame.height and last.height and frame.schema == last.schema
        ):
            yield some
            some = []
        some.append((file, frame))
    if some:
        yield some


_BLOCK = 1000


def _block(files: Sequence[Path], frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The rows of files of the same columns, as `tidy` makes them."""
    if len(files) == 1:
        return tidy(frames[0], files[0])
    try:
        whole = tidy(pl.concat(frames, rechunk=True), files[0])
    except InputError:  # then file by file, so that the file is named
        return pl.concat(tidy(frame, file) for frame, file in zip(frames, files, strict=True))
    heights = [frame.height for frame in frames]
    row = np.concatenate([np.arange(height, dtype=np.uint32) for height in heights])
    names = pl.Series(map(str, files), dtype=pl.String).cast(_FILE)
    return whole.with_columns(names.gather(np.repeat(np.arange(len(files)), heights)).alias("_file"),
                              pl.Series("_row", row))  # fmt: skip


def _nested(kind: pl.DataType) -> bool:
    return kind == pl.Binary or (kind.is_nested() and kind != SHORT)


def _check_kinds(frames: Mapping[Path, pl.DataFrame]) -> None:
    """A column is text everywhere or numbers everywhere."""
    first: dict[str, tuple[str, Path]] = {}
    for file, frame in frames.items():
        for name, dtype in frame.schema.items():
            kind = "numbers" if dtype.is_numeric() or dtype == pl.Boolean else str(dtype)
            if dtype == pl.Null:
                continue
            known, where = first.setdefault(name, (kind, file))
            if known != kind:
                raise InputError(
                    f"{file}: column {name!r} holds {kind}, in {where} it holds {known}; are they of one run?"
                )
