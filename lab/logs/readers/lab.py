"""The lab's own log, for a trainer without a reader: a table as docs/log_schema.md describes it."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

import polars as pl

from lab.errors import InputError
from lab.files import write
from lab.logs.columns import column
from lab.logs.contract import Raw, reader
from lab.logs.formats import FORMATS, names_in, read_files, tables
from lab.logs.scalars import per_step
from lab.logs.schema import lacking, raw
from lab.logs.table import RolloutTable
from lab.text import listed

__all__ = ["read", "save_log"]

_METRICS = ".metrics"


def _is_log(path: Path) -> bool:
    return any(_holds_rollouts(file) for file in (tables(path) if path.is_dir() else [path])[:8])


def _holds_rollouts(file: Path) -> bool:
    if file.suffix not in FORMATS or file.stem.endswith(_METRICS):
        return False
    try:
        return not lacking(names_in(file))
    except InputError:
        return False


@reader("lab", recognises=_is_log, holds="a .csv, .jsonl or .parquet file with step, group and reward columns")
def read(path: Path, steps: Container[int] | None) -> Raw:
    """One file, or all such files of a folder."""
    files = [f for f in tables(path) if _holds_rollouts(f)] if path.is_dir() else [path]
    if not files:
        raise InputError(f"{path} holds no log in the lab's own form: {listed(lacking([]))} are needed")
    return raw(files, read_files(files), metrics=_metrics(files))


def _metrics(files: Sequence[Path]) -> pl.DataFrame:
    """The tables of metrics beside the files, one row per step."""
    beside = [m for f in files if (m := f.with_stem(f.stem + _METRICS)).is_file()]
    return per_step(row for frame in read_files(beside) for row in frame.iter_rows(named=True))[0]


def save_log(log: RolloutTable | pl.DataFrame, path: str | Path) -> Path:
    """Write rollouts as a log that `lab.load` reads: CSV, JSON lines or Parquet, by the ending of `path`.

    Args:
        log: Rollouts of a loaded log, or a frame of your own with the columns of docs/log_schema.md.
        path: A .csv, .jsonl or .parquet file. A loaded log's metrics are written beside it (`name.metrics.csv`).

    Returns:
        The path.

    Raises:
        InputError: Another ending, or a frame without step, group or rewards.
    """
    path = Path(path).expanduser()
    if path.suffix not in _WRITE:
        raise InputError(f"{path}: the name must end in {', '.join(_WRITE)}")
    frame = _written(log) if isinstance(log, RolloutTable) else log
    if missing := lacking(frame.columns):
        raise InputError(f"a log needs the columns {listed(missing)}; the frame has {listed(frame.columns)}")
    write(path, _WRITE[path.suffix](frame))
    if isinstance(log, RolloutTable) and log.metrics.height:
        write(path.with_stem(path.stem + _METRICS), _WRITE[path.suffix](log.metrics))
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
    return table.frame.select(*lead, *rewards, *weights, *logged, *trainer, *map(column, table.extra_columns))


_WRITE: dict[str, Callable[[pl.DataFrame], Callable[[IO[bytes]], object]]] = {
    ".csv": lambda frame: frame.write_csv,
    ".jsonl": lambda frame: frame.write_ndjson,
    ".parquet": lambda frame: frame.write_parquet,
}
