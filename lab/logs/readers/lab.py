"""The lab's own log, for a trainer without a reader: a table as docs/log_schema.md describes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO

import polars as pl

from lab.errors import InputError
from lab.files import write
from lab.logs.columns import column
from lab.logs.contract import Raw, reader
from lab.logs.formats import FORMATS, names_in, read_unfinished, tables
from lab.logs.scalars import per_step
from lab.logs.schema import lacking, raw
from lab.logs.table import RolloutTable
from lab.logs.texts import whole
from lab.text import listed

__all__ = ["read", "save_log"]

_METRICS = ".metrics"


def _is_log(path: Path) -> bool:
    files = (tables(path) if path.is_dir() else [path])[:8]
    return any(_holds_rollouts(file) or _holds_metrics(file) for file in files)


def _holds_rollouts(file: Path) -> bool:
    return file.suffix in FORMATS and not file.stem.endswith(_METRICS) and not lacking(_names(file))


def _holds_metrics(file: Path) -> bool:
    return file.suffix in FORMATS and file.stem.endswith(_METRICS) and "step" in _names(file)


def _names(file: Path) -> list[str]:
    try:
        return names_in(file)
    except InputError:
        return []


_HOLDS = "a .csv, .jsonl or .parquet file with step, group and reward columns, or <name>.metrics.csv with steps"


@reader("lab", recognises=_is_log, holds=_HOLDS)
def read(path: Path, steps: Container[int] | None) -> Raw:
    """One file, or all such files of a folder."""
    files = [f for f in tables(path) if _holds_rollouts(f)] if path.is_dir() else [path]
    alone = [f for f in (tables(path) if path.is_dir() and not files else files) if _holds_metrics(f)]
    if alone:
        metrics, said = _metrics(alone)
        return Raw(pl.DataFrame(), metrics=metrics, notes=tuple(said))
    if not files:
        raise InputError(f"{path} holds no log in the lab's own form: {listed(lacking([]))} are needed")
    frames, torn = read_unfinished(files)
    filled = {file: frame for file, frame in zip(files, frames, strict=True) if frame.width}
    if not filled:
        raise InputError(f"{files[0]} has no whole line")
    metrics, said = _metrics([m for f in files if (m := f.with_stem(f.stem + _METRICS)).is_file()])
    return raw(list(filled), list(filled.values()), metrics=metrics, notes=[*torn, *said])


def _metrics(files: Sequence[Path]) -> tuple[pl.DataFrame, list[str]]:
    """The tables of metrics, one row per step, and what was left out."""
    frames, torn = read_unfinished(files)
    metrics, odd = per_step(row for frame in frames for row in frame.iter_rows(named=True))
    return metrics, [*torn, *odd]


def save_log(log: RolloutTable | pl.DataFrame, path: str | Path) -> Path:
    """Write rollouts as a log that `lab.load` reads: CSV, JSON lines or Parquet, by the ending of `path`.

    Args:
        log: Rollouts of a loaded log, or a frame of your own with the columns of docs/log_schema.md.
        path: A .csv, .jsonl or .parquet file. A loaded log's metrics are written beside it (`name.metrics.csv`), or
            alone where it has no rollouts.

    Returns:
        What `lab.load` opens: the path, or that of the metrics alone.

    Raises:
        InputError: Another ending, or a frame without step, group or rewards.
    """
    path = Path(path).expanduser()
    if path.suffix not in _WRITE:
        raise InputError(f"{path}: the name must end in {', '.join(_WRITE)}")
    beside = path.with_stem(path.stem.removesuffix(_METRICS) + _METRICS)
    if isinstance(log, RolloutTable) and log.metrics.height:
        write(beside, _WRITE[path.suffix](log.metrics))
        if log.frame.is_empty() and log.evaluation.is_empty():
            return beside
    frame = _written(log) if isinstance(log, RolloutTable) else log
    if missing := lacking(frame.columns):
        raise InputError(f"a log needs the columns {listed(missing)}; the frame has {listed(frame.columns)}")
    write(path, _WRITE[path.suffix](frame))
    return path


def _written(table: RolloutTable) -> pl.DataFrame:
    """The table's frame under the names of the schema, with the rows of evaluations marked."""
    if table.evaluation.height:
        marked = [f.with_columns(evaluation=pl.lit(e)) for f, e in ((table.frame, False), (table.evaluation, True))]
        return _written(replace(table, frame=pl.concat(marked), evaluation=pl.DataFrame()))
    rewards = [column(c).alias(f"reward/{c}") for c in table.reward_columns]
    weights = [pl.lit(w).alias(f"weight/{c}") for c, w in zip(table.reward_columns, table.reward_weights, strict=True)]
    lead = ["step", "group", "rollout", "prompt", "completion"]
    logged = ["advantage"] if table.has_advantages else []
    trainer = [pl.lit(table.trainer).alias("trainer")] if table.trainer else []
    return whole(table.frame).select(*lead, *rewards, *weights, *logged, *trainer, *map(column, table.extra_columns))


def _json_lines(frame: pl.DataFrame, file: IO[bytes]) -> None:
    """One object per line; NaN and the infinities as Python writes and reads them, where Polars writes null."""
    for row in frame.iter_rows(named=True):
        file.write(f"{json.dumps(row, ensure_ascii=False, default=str)}\n".encode())


_WRITE: dict[str, Callable[[pl.DataFrame], Callable[[IO[bytes]], object]]] = {
    ".csv": lambda frame: frame.write_csv,
    ".jsonl": lambda frame: partial(_json_lines, frame),
    ".parquet": lambda frame: frame.write_parquet,
}
