"""The lab's own log, for a trainer without a reader: a table in CSV, JSON lines or Parquet, as docs/log_schema.md says.

Columns: step, group, rollout, prompt, completion, `reward/<name>` for each reward (or one column reward),
`weight/<name>`, advantage, trainer, and whatever else there is. Step, group and a reward are needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

import polars as pl

from lab.errors import InputError
from lab.files import write
from lab.logs.columns import column, join, tidy
from lab.logs.contract import Known, Raw, reader
from lab.logs.formats import FORMATS, names_in, read_files, tables
from lab.logs.table import RolloutTable
from lab.text import listed

__all__ = ["read", "save_log"]

_OWN = ("step", "group", "rollout", "prompt", "completion", "reward", "advantage", "trainer", "_file", "_row", "_group")
_METRICS = ".metrics"


def _is_log(path: Path) -> bool:
    return any(_holds_rollouts(file) for file in (tables(path) if path.is_dir() else [path])[:8])


def _holds_rollouts(file: Path) -> bool:
    if file.suffix not in FORMATS or file.stem.endswith(_METRICS):
        return False
    try:
        return not _lacking(names_in(file))
    except InputError:
        return False


def _lacking(names: Iterable[str]) -> list[str]:
    """What a log needs and these columns do not give."""
    names = list(names)
    rewarded = any(name == "reward" or name.startswith("reward/") for name in names)
    return [c for c in ("step", "group") if c not in names] + ([] if rewarded else ["reward or reward/<name>"])


@reader("lab", recognises=_is_log, holds="a .csv, .jsonl or .parquet file with step, group and reward columns")
def read(path: Path, steps: Container[int] | None) -> Raw:
    """One file, or all such files of a folder."""
    files = [f for f in tables(path) if _holds_rollouts(f)] if path.is_dir() else [path]
    if not files:
        raise InputError(f"{path} holds no log in the lab's own form: {listed(_lacking([]))} are needed")
    frames = [_tidy(frame, file) for frame, file in zip(read_files(files), files, strict=True)]
    frame, lacking, notes = join(files, frames)
    names = {c: c.removeprefix("reward/") for c in frame.columns if c.startswith("reward/")} or {"reward": "total"}
    names = {c: name if name not in (*_OWN, *frame.columns) else c for c, name in names.items()}
    trainer = _constant(frame, "trainer") if "trainer" in frame.columns else ""
    weights = {n: _weight(frame, w) for c, n in names.items() if (w := f"weight/{c[7:]}") in frame.columns}
    known = Known(groups="_group", rewards=tuple(names.values()), weights=weights, said={"weights": "the log"})
    left = {"trainer", "rollout", "reward", *(c for c in frame.columns if c.startswith("weight/"))} - set(names)
    rows = frame.select([column(c).alias(names.get(c, c)) for c in frame.columns if c not in left])
    return Raw(rows, known, _metrics(files), tuple(notes), lacking={names.get(c, c): f for c, f in lacking.items()},
               trainer=str(trainer))  # fmt: skip


def _tidy(frame: pl.DataFrame, file: Path) -> pl.DataFrame:
    """Rows in the order of their number within the group, where they have one."""
    lacking = _lacking(frame.columns)
    if lacking:
        raise InputError(f"{file} has no column {listed(lacking)}. Found: {listed(frame.columns)}")
    texts = [pl.col(c).cast(pl.String).fill_null("") for c in ("prompt",) if c in frame.columns]
    rows = tidy(frame.with_columns(texts), file, ("step", "group")).rename({"group": "_group"})
    return rows.sort("step", "rollout", maintain_order=True, nulls_last=True) if "rollout" in rows.columns else rows


def _constant(frame: pl.DataFrame, name: str) -> str | float:
    """The one value of a column that must not vary."""
    values = frame[name].drop_nulls().unique()
    if len(values) != 1:
        raise InputError(f"{frame['_file'][0]}: column {name!r} must hold one value throughout; it has {len(values)}")
    return values[0]


def _weight(frame: pl.DataFrame, name: str) -> float:
    value = _constant(frame, name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{frame['_file'][0]}: column {name!r} holds {value!r}; a weight is a finite number")
    return float(value)


def _metrics(files: Sequence[Path]) -> pl.DataFrame:
    """The tables of metrics beside the files, one row per step."""
    beside = [m for f in files if (m := f.with_stem(f.stem + _METRICS)).is_file()]
    frames = [frame.with_columns(pl.col("step").cast(pl.Int64)) for frame in read_files(beside)]
    return pl.concat(frames, how="diagonal_relaxed").sort("step") if frames else pl.DataFrame(schema={"step": pl.Int64})


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
    if lacking := _lacking(frame.columns):
        raise InputError(f"a log needs the columns {listed(lacking)}; the frame has {listed(frame.columns)}")
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
