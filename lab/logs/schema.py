"""The lab's own form of a log (docs/log_schema.md), which the readers of other trainers' logs bring theirs into.

Columns: step, group, rollout, prompt, completion, `reward/<name>` for each reward (or one column reward),
`weight/<name>`, advantage, trainer, and whatever else there is. Step, group and a reward are needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from lab.errors import InputError
from lab.logs.columns import column, join, tidy
from lab.logs.contract import Known, Raw
from lab.logs.formats import framed, records
from lab.logs.texts import filled
from lab.text import listed

__all__ = ["lacking", "objects", "raw"]

_OWN = ("step", "group", "rollout", "prompt", "completion", "reward", "advantage", "trainer", "_file", "_row", "_group")


def lacking(names: Iterable[str]) -> list[str]:
    """What a log needs and these columns do not give."""
    names = list(names)
    rewarded = any(name == "reward" or name.startswith("reward/") for name in names)
    return [c for c in ("step", "group") if c not in names] + ([] if rewarded else ["reward or reward/<name>"])


def objects(files: Sequence[Path], row: Callable[[dict[str, Any]], dict[str, Any]]) -> Raw:
    """A log of JSON lines, one rollout each.

    Args:
        files: The files, in the order of the log.
        row: A rollout in the lab's own form from the trainer's.

    Raises:
        InputError: As `lab.logs.formats.records` and `raw`.
    """
    rows, torn = records(files, row)
    filled = [(file, framed(found)) for file, found in zip(files, rows, strict=True) if found]
    if not filled:
        raise InputError(f"{files[0]} has no rows" + (f", nor has any other of {len(files)} files" * (len(files) > 1)))
    return raw([file for file, _ in filled], [frame for _, frame in filled], notes=torn)


def raw(
    files: Sequence[Path],
    frames: Sequence[pl.DataFrame],
    *,
    metrics: pl.DataFrame | None = None,
    notes: Sequence[str] = (),
) -> Raw:
    """Tables in the lab's own form as a reader hands them over.

    Raises:
        InputError: A needed column is missing or of the wrong type; a weight is no number or not the same in every row.
    """
    frame, absent, said = join(files, [_tidy(frame, file) for frame, file in zip(frames, files, strict=True)])
    names = {c: c.removeprefix("reward/") for c in frame.columns if c.startswith("reward/")} or {"reward": "total"}
    names = {c: name if name not in (*_OWN, *frame.columns) else c for c, name in names.items()}
    trainer = _constant(frame, "trainer") if "trainer" in frame.columns else ""
    weights = {n: _weight(frame, w) for c, n in names.items() if (w := f"weight/{c[7:]}") in frame.columns}
    known = Known(groups="_group", rewards=tuple(names.values()), weights=weights, said={"weights": "the log"})
    left = {"trainer", "rollout", "reward", *(c for c in frame.columns if c.startswith("weight/"))} - set(names)
    rows = frame.select([column(c).alias(names.get(c, c)) for c in frame.columns if c not in left])
    given = {} if metrics is None else {"metrics": metrics}
    return Raw(
        rows,
        known,
        notes=(*notes, *said),
        lacking={names.get(c, c): f for c, f in absent.items()},
        trainer=str(trainer),
        **given,
    )


def _tidy(frame: pl.DataFrame, file: Path) -> pl.DataFrame:
    """Rows in the order of their number within the group, where they have one."""
    missing = lacking(frame.columns)
    if missing:
        raise InputError(f"{file} has no column {listed(missing)}. Found: {listed(frame.columns)}")
    if "prompt" in frame.columns:
        frame = frame.with_columns(filled(frame, "prompt"))
    rows = tidy(frame, file, ("step", "group")).rename({"group": "_group"})
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
