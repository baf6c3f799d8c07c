"""A run's folder that W&B keeps on the machine: `wandb/run-<date>-<id>`, its tables and its `.wandb` file.

`files/media/table/<key>_<step>_<hash>.table.json` holds a table, {"columns": [...], "data": [[...], ...]}, cut at
10,000 rows (`Table._to_table_json` in wandb/sdk/data_types/table.py). Two are read: `completions` of TRL and ms-swift
(step, prompt, completion, rewards, advantage: `GRPOTrainer.log`), logged from a queue, and `val/generations` of verl
(step, input_1, output_1, score_1, ...: `ValidationGenerationsLogger` in verl/utils/tracking.py), samples of the
evaluations, all of which stand in the last table. The metrics are records of `run-<id>.wandb`: history (2) with items
(1) of a key (1 or 2) and a value in JSON (16); the settings likewise in config (5) and run (17; config 4)
(wandb/proto/wandb_internal.proto). Without that file `files/wandb-summary.json` gives their last values.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from lab.errors import InputError
from lab.logs.columns import join, tidy
from lab.logs.contract import Known, Raw, reader
from lab.logs.formats import content, framed, parsed
from lab.logs.queued import Batches, Row, settings
from lab.logs.scalars import number, per_step, scalar_name, whole
from lab.logs.wire import Damage, bytes_of, fields, text, wandb_records
from lab.text import listed, printable

__all__ = ["read"]

_NAME = re.compile(r"(?P<key>.+)_(?P<step>[0-9]{1,18})_[0-9a-z]+\.table\.json", re.DOTALL)
_PLACES = ("*.table.json", "table/**/*.table.json", "media/table/**/*.table.json", "files/media/table/**/*.table.json")
_SUMMARY = "wandb-summary.json"
_STEPS = ("train/global_step", "training/global_step", "trainer/global_step", "global_step", "_step")
_MOST = 10_000  # rows of a table
_HISTORY, _CONFIG, _RUN = 2, 5, 17  # kinds of records
_HOLDS = "run-<date>-<id> in the folder wandb, with run-<id>.wandb and files/media/table"


def _tables(path: Path) -> list[Path]:
    """The tables of a folder, the oldest first; or the one that was named."""
    found = [f for place in _PLACES for f in path.glob(place)] if path.is_dir() else [path]
    return sorted((f for f in found if _NAME.fullmatch(f.name)), key=lambda f: (_key(f), f.parent, f.name))


def _key(file: Path) -> int:
    return int(_NAME.fullmatch(file.name)["step"])  # type: ignore[index]


def _record(path: Path) -> Path | None:
    """The `.wandb` file of the run that a folder or a file belongs to."""
    if path.suffix == ".wandb" and path.is_file():
        return path
    folders = [path, *path.absolute().parents][: 5 if path.is_dir() else 6]
    return next((f for folder in folders for f in sorted(folder.glob("*.wandb"))), None)


def _summary(path: Path) -> Path | None:
    return next((f for f in (path / _SUMMARY, path / "files" / _SUMMARY) if f.is_file()), None)


def _is_log(path: Path) -> bool:
    if not path.is_dir():
        return path.suffix == ".wandb" or bool(_tables(path))
    return bool(any(path.glob("*.wandb")) or _summary(path) or _tables(path))


@reader("wandb", recognises=_is_log, holds=_HOLDS)
def read(path: Path, steps: Container[int] | None) -> Raw:
    """A run's folder or one within it, its `.wandb` file, or one table."""
    history, config, notes = _logged(path)
    at = next((key for key in _STEPS if any(key in entry for entry in history)), "_step")
    plain = [{key: v for key, v in entry.items() if key == at or not key.startswith("_")} for entry in history]
    metrics, odd = per_step(plain, scalar_name, at)
    tables, left = _contents(_tables(path))
    rows, trainer, said = _rows(tables, history)
    notes = [*notes, *odd, *left, *said]
    if not rows:
        lacking = "The run has no table of rollouts; log_completions=True of TRL or ms-swift writes one."
        return Raw(pl.DataFrame(), metrics=metrics, notes=(*notes, lacking))
    frame, _, dropped = join([path], [tidy(framed(rows), path)])
    named = tuple(c for c in frame.columns if f"reward/{c}" in metrics.columns)
    known = Known(rewards=("score",)) if trainer == "verl" else _known(config, named)
    return Raw(frame, known, metrics, (*notes, *dropped), trainer=trainer)


def _known(config: Mapping[str, Any], rewards: tuple[str, ...]) -> Known:
    size, weights = settings(config, rewards)
    where = "the settings that W&B keeps"
    said = {"group_size": where, "weights": where, "rewards": "W&B's history", "metrics": "W&B's history"}
    return Known(group_size=size, rewards=rewards, weights=weights, said=said)


# ------------------------------------------------------------------------------------------------- tables


def _contents(files: Sequence[Path]) -> tuple[list[Row], list[str]]:
    """The tables, each with its columns and rows, and what was left out."""
    found, notes = [], []
    for file in files:
        table = _parsed(content(file))
        columns, data = (table.get("columns"), table.get("data")) if isinstance(table, dict) else (None, None)
        if not isinstance(columns, list) or not isinstance(data, list):
            notes.append(f"{printable(file.name)} is left out: it is no table, half written perhaps.")
            continue
        if len(data) >= _MOST:
            notes.append(f"{printable(file.name)} has {len(data)} rows; W&B cuts tables there.")
        rows = [
            {**dict.fromkeys(map(str, columns)), **dict(zip(map(str, columns), row, strict=False))}
            for row in data
            if isinstance(row, list)
        ]
        found.append({"columns": [str(c) for c in columns], "rows": rows, "file": file})
    return found, notes


def _rows(tables: Sequence[Row], history: Sequence[Row]) -> tuple[list[Row], str, list[str]]:
    """The rollouts of all tables, whose trainer they are, and what was left out."""
    queued = [t for t in tables if {"step", "prompt", "completion"} <= set(t["columns"])]
    sampled = [t for t in tables if t["columns"][:4] == ["step", "input_1", "output_1", "score_1"]]
    other = {t["file"].name.partition("_")[0] for t in tables if t not in queued and t not in sampled}
    notes = [f"Tables that hold no rollouts are left out: {listed(sorted(other))}."] if other else []
    if not queued:
        return [row for row in sampled[-1]["rows"] for row in _samples(row)] if sampled else [], "verl", notes
    batches = Batches(_evaluated(history))
    for table in queued:
        rows = [{"advantage" if k == "advantages" else k: v for k, v in row.items()} for row in table["rows"]]
        batches.add([{**row, "step": _step(row, table["file"])} for row in rows])
    trainer = "ms_swift" if "advantages" in queued[-1]["columns"] else "trl"
    return batches.rows, trainer, [*notes, *batches.notes]


def _step(row: Row, file: Path) -> int:
    step = whole(row.get("step"))
    if isinstance(step, bool) or not isinstance(step, int):
        raise InputError(f"{file}: step is {step!r}; it must be a whole number")
    return step


def _evaluated(history: Sequence[Row]) -> set[float | None]:
    """Steps of which an evaluation alone was logged."""
    trained = {number(e.get(_STEPS[0])) for e in history if "train/loss" in e}
    return {number(e.get(_STEPS[0])) for e in history if any(k.startswith("eval/") for k in e)} - trained


def _samples(row: Row) -> Iterator[Row]:
    """The samples that verl puts side by side into one row."""
    for i in range(1, (len(row) + 2) // 3):
        if row.get(f"input_{i}") is not None:
            names = {"prompt": f"input_{i}", "completion": f"output_{i}", "score": f"score_{i}"}
            yield {"step": row["step"], **{new: row.get(old) for new, old in names.items()}, "evaluation": True}


# ------------------------------------------------------------------------------------------------ history


def _logged(path: Path) -> tuple[list[Row], Row, list[str]]:
    """What was logged, entry by entry; the settings; and what was left out."""
    file, summary = _record(path), _summary(path)
    if file is not None:
        try:
            messages, notes = wandb_records(content(file))
            return *_entries(messages), notes
        except Damage as reason:
            return [], {}, [f"{printable(file.name)} is left out: {reason}."]
    last = _parsed(content(summary)) if summary else None
    rest = f"{_SUMMARY} gives their last values" if isinstance(last, dict) else "the tables are all there is"
    said = f"The curves of the metrics are missing: they stand in the run's .wandb file; {rest}."
    return [last] if isinstance(last, dict) else [], {}, [said]


def _entries(messages: Sequence[bytes]) -> tuple[list[Row], Row]:
    """The history and the settings."""
    history: list[Row] = []
    config: Row = {}
    for kind, part in (field for message in messages for field in fields(message)):
        if kind == _HISTORY:
            history.append(_items(part))
        elif kind == _CONFIG:
            config |= _items(part)
        elif kind == _RUN:
            config |= _items(dict(fields(bytes_of(part))).get(4, b""))
    return history, config


def _items(message: int | bytes) -> Row:
    """Keys and values of a record."""
    found = {}
    for item in (value for kind, value in fields(bytes_of(message)) if kind == 1):
        parts = list(fields(bytes_of(item)))
        key = ".".join(text(value) for kind, value in parts if kind in (1, 2))
        value = _parsed(bytes_of(dict(parts).get(16, b"")))
        found[key] = float(value) if value in ("NaN", "Infinity", "-Infinity") else value
    return found


def _parsed(raw: bytes) -> Any:
    """What JSON says; None where it is none."""
    try:
        return parsed(raw)
    except (ValueError, RecursionError):
        return None
