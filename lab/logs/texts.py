"""Prompts and completions: as text in the table of a log, or, of a long log, what stands for them there.

A long log has more text than memory. While its files are read, each text becomes a `SHORT`: what tells it from others,
how long it is, and whether it is empty. The text stays in its file and is read again where it is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from polars.exceptions import PanicException, PolarsError

from lab.errors import InputError
from lab.logs.footer import TEXTS
from lab.logs.parquet import footer

__all__ = ["PLACE", "SHORT", "blank", "empty", "filled", "holding", "is_short", "key", "letters", "place", "plain",
           "shorten", "whole"]  # fmt: skip

#: What stands for a text: its hash, its letters, and whether it holds nothing but tags and white space.
SHORT = pl.Struct({"key": pl.UInt64, "letters": pl.UInt32, "empty": pl.Boolean})

#: Where the row stands whose texts are short: columns of the table of a long log.
PLACE = ("_file", "_row")

_EMPTY = r"^(?:\s|</?[A-Za-z_][\w-]*>|(?:assistant|user|system|tool):)*$"


def plain(name: str, kind: pl.DataType) -> pl.Expr | None:
    """A column as text, a conversation as `role: content` lines; None where it is of another type."""
    text = pl.col(name)
    if kind in (pl.String, SHORT):
        return text
    if kind in (pl.Categorical, pl.Enum, pl.Null):
        return text.cast(pl.String)
    if not (isinstance(kind, pl.List) and isinstance(kind.inner, pl.Struct)):
        return None
    fields = {f.name: f.dtype for f in kind.inner.fields}
    element = pl.element().struct
    if fields.get("role") == pl.String and fields.get("content") == pl.String:
        line = element.field("role").fill_null("") + pl.lit(": ") + element.field("content").fill_null("")
    else:
        line = element.json_encode()
    return text.list.eval(line).list.join("\n")


def shorten(rows: pl.LazyFrame) -> pl.LazyFrame:
    """The rows of files with a `SHORT` in place of each text, null in place of null."""
    schema = rows.collect_schema()
    told = {name: plain(name, schema[name]) for name in TEXTS if name in schema}
    return rows.with_columns(_shortened(text).alias(name) for name, text in told.items() if text is not None)


def _shortened(text: pl.Expr) -> pl.Expr:
    parts = pl.struct(text.hash().alias("key"), text.str.len_chars().alias("letters"),
                      text.str.contains(_EMPTY).alias("empty"))  # fmt: skip
    return pl.when(text.is_not_null()).then(parts)


def filled(frame: pl.DataFrame, name: str) -> pl.Expr:
    """The texts, without letters where they are missing."""
    if is_short(frame, name):
        return pl.when(pl.col(name).is_null()).then(_shortened(pl.lit(""))).otherwise(name).alias(name)
    return pl.col(name).cast(pl.String).fill_null("")


def is_short(frame: pl.DataFrame, name: str) -> bool:
    """Whether a column holds `SHORT` in place of texts."""
    return frame.schema[name] == SHORT


def key(frame: pl.DataFrame, name: str) -> pl.Expr:
    """A number of each text: the same where the texts are."""
    return pl.col(name).struct.field("key").alias(name) if is_short(frame, name) else pl.col(name).hash()


def letters(frame: pl.DataFrame, name: str) -> pl.Expr:
    """Letters of each text."""
    return pl.col(name).struct.field("letters").alias(name) if is_short(frame, name) else pl.col(name).str.len_chars()


def blank(frame: pl.DataFrame, name: str) -> pl.Expr:
    """Whether each text has no letter."""
    return letters(frame, name) == 0 if is_short(frame, name) else pl.col(name) == ""


def empty(frame: pl.DataFrame, name: str = "completion") -> pl.Expr:
    """Whether nothing is left of each text but tags, names of roles and white space."""
    return (
        pl.col(name).struct.field("empty").alias(name) if is_short(frame, name) else pl.col(name).str.contains(_EMPTY)
    )


def place(frame: pl.DataFrame) -> list[str]:
    """The columns that tell where texts stand, if the frame has them."""
    return [name for name in PLACE if name in frame.columns]


def whole(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with their texts, read again where they are short.

    Raises:
        InputError: A file has changed since, or cannot be read any more.
    """
    short = [name for name in TEXTS if name in rows.columns and is_short(rows, name)]
    if not short or rows.is_empty():
        return rows.with_columns(pl.lit(None, pl.String).alias(name) for name in short).drop(place(rows))
    return rows.with_columns(_read(rows, short)).drop(PLACE)


def _read(rows: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Texts of the rows, in their order."""
    files, starts = _files(rows)
    number = rows["_file"].cast(pl.String).replace_strict(files, range(len(files)), return_dtype=pl.Int64).to_numpy()
    at = pl.Series("_at", starts[number] + rows["_row"].to_numpy(), dtype=pl.Int64)
    wanted = pl.col("_at").is_in(at.unique().implode())
    found = _collected(_scanned(files, names).filter(wanted).select("_at", *names), files)
    told = at.to_frame().join(found, on="_at", how="left", maintain_order="left")
    if _keys(told, names).equals(_keys(rows, names)):
        return told.drop("_at")
    raise InputError(f"{files[0]}: its texts are not those that were there when it was read; load it again")


def _keys(rows: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    return rows.select(pl.when(pl.col(name).is_not_null()).then(key(rows, name)).alias(name) for name in names)


def holding(rows: pl.DataFrame, pattern: str) -> pl.DataFrame:
    """The rows with a text that a pattern matches."""
    short = [name for name in TEXTS if name in rows.columns and is_short(rows, name)]
    here = rows.filter(pl.any_horizontal(pl.lit(False), *(
        pl.col(name).cast(pl.String).str.contains(pattern) for name in TEXTS if name not in short
    )))  # fmt: skip
    if not short or rows.is_empty():
        return here
    files, starts = _files(rows)
    matches = pl.any_horizontal(pl.col(name).str.contains(pattern) for name in short)
    at = _collected(_scanned(files, short).filter(matches).select("_at"), files)["_at"].to_numpy()
    number = np.searchsorted(starts, at, "right") - 1
    found = pl.DataFrame({"_file": pl.Series(files).gather(number).cast(rows.schema["_file"]),
                          "_row": pl.Series(at - starts[number]).cast(rows.schema["_row"])})  # fmt: skip
    return pl.concat([here, rows.join(found, on=PLACE, how="semi")]).unique(maintain_order=True)


def _files(rows: pl.DataFrame) -> tuple[list[str], np.ndarray]:
    """The files of the rows, and the place of the first row of each among all of theirs."""
    files = rows["_file"].cast(pl.String).unique(maintain_order=True).to_list()
    heights = [footer(Path(file)).rows for file in files]
    return files, np.cumsum([0, *heights[:-1]])


def _scanned(files: Sequence[str], names: Sequence[str]) -> pl.LazyFrame:
    """The texts in these files, with `_at`, their place among all of them."""
    found = pl.scan_parquet(
        [Path(file).absolute() for file in files],
        glob=False,
        hive_partitioning=False,
        row_index_name="_at",
        extra_columns="ignore",
        missing_columns="insert",
    )
    schema = found.collect_schema()
    told = {name: plain(name, schema[name]) for name in names}
    texts = (text if name != "prompt" else text.fill_null("") for name, text in told.items() if text is not None)
    return found.select(pl.col("_at").cast(pl.Int64), *texts)


def _collected(found: pl.LazyFrame, files: Sequence[str]) -> pl.DataFrame:
    try:
        return found.collect(engine="streaming")
    except (PolarsError, PanicException, OSError) as reason:
        detail = str(reason).strip().partition("\n")[0][:200]
        raise InputError(f"{files[0]} cannot be read again for its texts: {detail}; load the log again") from None
