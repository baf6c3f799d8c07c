"""The store of rlwatch, a SQLite file (`rlwatch_logs/metrics.db` by default): metrics, no rollouts.

Tables (rlwatch 0.5, rlwatch/storage.py, `MetricStore._init_db` and `log_metrics`): runs (run_id, framework, started_at,
config_json), metrics (run_id, step, timestamp, a column for each metric, extra_json for whatever else was logged) and
alerts (run_id, step, detector, severity, message). Several runs may stand in one file.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from lab.errors import InputError
from lab.logs.contract import Raw, reader
from lab.logs.formats import MAX_BYTES, MAX_ROWS, tables
from lab.logs.scalars import per_step
from lab.text import listed

__all__ = ["read"]

_ENDINGS = (".db", ".sqlite", ".sqlite3")
_MAGIC = b"SQLite format 3\0"
_TABLES = {"runs", "metrics"}
_PATIENCE = 50_000_000  # instructions of SQLite's machine after which a query is given up

#: rlwatch's names of what `lab.logs.SCALARS` names.
_NAMES = {"reward_mean": "reward", "kl_divergence": "kl", "clip_fraction": "clip_share"}
_NOT_METRICS = ("id", "run_id", "timestamp", "extra_json")


def _file(path: Path) -> Path | None:
    """The store itself, or the one in a folder or in its `rlwatch_logs`."""
    if not path.is_dir():
        return path if path.suffix in _ENDINGS else None
    within = path / "rlwatch_logs"
    found = [f for folder in (path, within) if folder.is_dir() for f in tables(folder, _ENDINGS)]
    return next((f for f in found if _is_store(f)), None)


def _is_store(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            if opened.read(len(_MAGIC)) != _MAGIC:
                return False
        with _opened(file) as store:
            return _table_names(store) >= _TABLES
    except (InputError, OSError):
        return False


def _is_log(path: Path) -> bool:
    file = _file(path)
    return file is not None and _is_store(file)


@reader("rlwatch", recognises=_is_log, holds="metrics.db, the SQLite store of rlwatch")
def read(path: Path, steps: Container[int] | None) -> Raw:
    """The store, or the folder it lies in."""
    file = _file(path)
    if file is None:
        raise InputError(f"{path} holds no store of rlwatch, a SQLite file such as metrics.db")
    with _opened(file) as store:
        if not _table_names(store) >= _TABLES:
            raise InputError(f"{file} is no store of rlwatch: it has no tables runs and metrics")
        runs = _rows(store, "SELECT run_id FROM runs ORDER BY started_at DESC")
        logged = {row["run_id"] for row in _rows(store, "SELECT DISTINCT run_id FROM metrics")}
        chosen = next((run for run in runs if run["run_id"] in logged), None)
        if chosen is None:
            raise InputError(f"{file} is a store of rlwatch without metrics of any run")
        entries = _rows(store, "SELECT * FROM metrics WHERE run_id = ? ORDER BY id", chosen["run_id"])
        alerts = _alerts(store, chosen["run_id"])
    metrics, odd = per_step(map(_flat, entries), lambda name: _NAMES.get(name, name))
    return Raw(pl.DataFrame(), metrics=metrics, notes=(_METRICS_ALONE, *_others(runs, chosen), *alerts, *odd))


_METRICS_ALONE = "rlwatch keeps metrics, no rollouts: what stands behind a step needs the trainer's own log."


def _others(runs: list[dict[str, Any]], chosen: dict[str, Any]) -> list[str]:
    left = [run["run_id"] for run in runs if run is not chosen]
    read = f"The store holds {len(runs)} runs; read is the one started last, {chosen['run_id']}; left out"
    return [f"{read}: {listed(left)}."] if left else []


def _alerts(store: sqlite3.Connection, run: str) -> list[str]:
    """What rlwatch itself has warned of."""
    if "alerts" not in _table_names(store):
        return []
    rows = _rows(store, "SELECT step, severity, detector FROM alerts WHERE run_id = ? ORDER BY step", run)
    said = [f"{row['detector']} at step {row['step']} ({row['severity']})" for row in rows]
    return [f"rlwatch itself warned of {listed(said, 6)}."] if said else []


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """One entry: its columns and what stands in extra_json."""
    try:
        extra = json.loads(row.get("extra_json") or "{}")
    except (TypeError, ValueError, RecursionError):
        extra = {}
    own = {name: value for name, value in row.items() if name not in _NOT_METRICS}
    return {**(extra if isinstance(extra, dict) else {}), **own}


@contextmanager
def _opened(file: Path) -> Iterator[sqlite3.Connection]:
    """The store, read only; what another process has not yet written into the file itself is read, too.

    Raises:
        InputError: It is too large, damaged, or no such file.
    """
    if file.stat().st_size > MAX_BYTES:
        raise InputError(f"{file} has {file.stat().st_size} bytes; stores up to {MAX_BYTES} bytes are read")
    pending = file.with_name(f"{file.name}-wal")
    how = "mode=ro" if pending.is_file() and pending.stat().st_size else "immutable=1"
    try:
        store = sqlite3.connect(f"{file.absolute().as_uri()}?{how}", uri=True)
    except sqlite3.Error as reason:
        raise InputError(f"{file} cannot be read as SQLite: {reason}") from None
    try:
        store.row_factory = sqlite3.Row
        store.text_factory = lambda text: text.decode(errors="replace")
        store.execute("PRAGMA trusted_schema = OFF")
        store.set_progress_handler(lambda: 1, _PATIENCE)
        yield store
    except (sqlite3.Error, UnicodeDecodeError) as reason:  # names of columns, and SQLite's own words, too
        raise InputError(f"{file} cannot be read as SQLite: {reason}") from None
    finally:
        store.close()


def _table_names(store: sqlite3.Connection) -> set[str]:
    return {row[0] for row in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _rows(store: sqlite3.Connection, query: str, *values: Any) -> list[dict[str, Any]]:
    """The rows of a query.

    Raises:
        InputError: There are more than `MAX_ROWS`.
    """
    rows = [dict(row) for row in store.execute(f"{query} LIMIT {MAX_ROWS + 1}", values)]
    if len(rows) > MAX_ROWS:
        raise InputError(f"a table of the store has more than {MAX_ROWS} rows; up to that many are read")
    return rows
