"""Logs of verl: rollouts (`trainer.rollout_data_dir`), validations (`trainer.validation_data_dir`), the file logger.

Rollouts and validations are `<step>.jsonl`, one JSON object each: input, output, gts, score (the sum of the token-level
scores), step, and what the reward function returned beside its score (`_write_generations` in
verl/trainer/ppo/ray_trainer.py and verl/trainer/ppo/v1/trainer_base.py, verl 0.9). The newer trainer adds `uid`,
`<group>_<rollout>_<output>` for each row; older versions wrote one `uid` for each group, or none. A validation has a
key `reward` that repeats the score (`_validate`). Advantages are not logged. The metrics are one `.jsonl` file with
{"step": 1, "data": {...}} in each line, in which orjson writes NaN as null (`FileLogger` in verl/utils/tracking.py).
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from lab.errors import InputError
from lab.logs.columns import join, moved, tidy
from lab.logs.contract import Known, Raw, reader
from lab.logs.formats import finished, framed, names_in, records
from lab.logs.scalars import per_step, scalar_name
from lab.logs.tracked import tracked
from lab.text import listed, printable

__all__ = ["read"]

_NAMES = {"input": "prompt", "output": "completion"}
_NUMBERED = re.compile("[0-9]{1,18}")
_TRAINING = re.compile("rollout|train")  # in the name of a folder
_VALIDATION = re.compile("(?<![a-z])(e?val(?![a-z])|valid|evaluation)")
_OUTPUT = r"^(?<group>.+)_(?<rollout>\d{1,18})_(?<output>\d{1,18})$"


def _rollouts(path: Path) -> list[Path]:
    """The dumped files of a folder, else those of one run in the folders below, ordered by folder and step."""
    if not path.is_dir():
        return [] if _is_metrics(path) else [path]
    files = [f for f in path.glob("*.jsonl") if _NUMBERED.fullmatch(f.stem)]
    if not files:
        below = [f for f in path.glob("*/*.jsonl") if _NUMBERED.fullmatch(f.stem)]
        folders = {
            folder for folder in {f.parent for f in below} if _is_dump(min(f for f in below if f.parent == folder))
        }
        runs = [folder for folder in folders if not _VALIDATION.search(folder.name.lower())]
        files = [f for f in below if f.parent in folders] if len(runs) < 2 else []
    return sorted(finished(files), key=lambda f: (f.parent.name, int(f.stem)))


def _metrics(path: Path) -> Path | None:
    """The file of the metrics: itself, or the one in the folder, or the one beside it."""
    if not path.is_dir():
        return path if _is_metrics(path) else None
    for folder in (path, path.absolute().parent):
        found = [f for f in sorted(folder.glob("*.jsonl")) if not _NUMBERED.fullmatch(f.stem) and _is_metrics(f)]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _is_dump(file: Path) -> bool:
    return {"input", "output", "step"} <= _keys(file)


def _is_metrics(file: Path) -> bool:
    return _keys(file) == {"step", "data"}


def _keys(file: Path) -> set[str]:
    """Keys of the first line; none where it is no line of JSON."""
    try:
        return set(names_in(file)) if file.suffix == ".jsonl" else set()
    except InputError:
        return set()


def _is_log(path: Path) -> bool:
    inside = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    return any(map(_is_dump, _rollouts(path)[:1])) or any(map(_is_metrics, inside[:64]))


_HOLDS = "<step>.jsonl, written where trainer.rollout_data_dir is set, or the file logger's .jsonl"


@reader("verl", recognises=_is_log, holds=_HOLDS)
def read(path: Path, steps: Container[int] | None) -> Raw:
    """A folder of dumped rollouts, one that holds such folders, or one file."""
    found = _metrics(path)
    metrics, notes = _scalars(found) if found else _tracked(path) or per_step([])
    files = _rollouts(path)
    if not files:
        notes.append(f"{path} has no rollouts; trainer.rollout_data_dir of verl writes them.")
        return Raw(pl.DataFrame(), metrics=metrics, notes=tuple(notes))
    chosen = [f for f in files if steps is None or not f.stem.isdecimal() or int(f.stem) in steps]
    if not chosen:
        raise InputError(f"{path} has none of the wanted steps; it has {len(files)}: {listed([f.stem for f in files])}")
    frame, lacking, said = _frame(chosen)
    known = Known(rewards=("score",), said={"metrics": found.name if found else ""})
    if "uid" in frame.columns and not frame["uid"].null_count():
        known = replace(known, groups="_group")
        frame, earlier = _grouped(frame)
        said += earlier
    return Raw(frame, known, metrics, (*notes, *said), lacking=lacking)


def _frame(files: list[Path]) -> tuple[pl.DataFrame, dict[str, Path], list[str]]:
    """The rows of all files, the columns that some lack, and what was left out."""
    rows, torn = records(files)
    whole = {file: part for file, part in zip(files, rows, strict=True) if part}
    if not whole:
        raise InputError(
            f"{files[0]} has no whole line" + (f", nor has any other of {len(files)} files" * (len(files) > 1))
        )
    frame, lacking, left = join(list(whole), [tidy(_named(framed(part), file), file) for file, part in whole.items()])
    return frame, lacking, [*torn, *left]


def _tracked(path: Path) -> tuple[pl.DataFrame, list[str]] | None:
    """The metrics in a folder of TensorBoard or W&B where verl makes it, within the run's or beside the rollouts."""
    folders = (path, path.absolute().parent) if path.is_dir() else (path.absolute().parent,)
    found = (tracked(folder, ("tensorboard_log/*/*", "wandb/*run-*")) for folder in folders)
    return next((metrics for metrics in found if metrics), None)


def _scalars(file: Path) -> tuple[pl.DataFrame, list[str]]:
    """What the file logger wrote."""
    (lines,), torn = records([file])
    metrics, odd = per_step(_entries(lines), scalar_name)
    return metrics, [f"The metrics are those of {printable(file.name)}.", *torn, *odd]


def _entries(lines: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """One flat entry per line, with NaN where orjson wrote null."""
    for line in lines:
        if isinstance(data := line.get("data"), dict):
            yield {**{k: float("nan") if v is None else v for k, v in data.items()}, "step": line.get("step")}


def _grouped(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """The group of each rollout, from an identifier of the group or of the rollout; the last output of each rollout."""
    uid = frame["uid"].cast(pl.String)
    parts = frame.select("step", "evaluation", uid).with_columns(
        pl.col("uid").str.extract_groups(_OUTPUT).alias("part")
    )
    if parts.is_duplicated().any() or parts.unnest("part")["group"].null_count():
        return frame.with_columns(uid.alias("_group")), []
    parts = parts.unnest("part").with_columns(pl.col("output").cast(pl.Int64))
    last = pl.col("output") == pl.col("output").max().over("step", "evaluation", "group", "rollout")
    whole = parts.select(last).to_series()
    earlier = len(whole) - int(whole.sum())
    said = f"{earlier} rows are earlier outputs of rollouts of several turns; of each rollout the last one is read."
    return frame.with_columns(parts["group"].alias("_group")).filter(whole), [said] if earlier else []


def _named(frame: pl.DataFrame, file: Path) -> pl.DataFrame:
    """The columns of one file under the names of the table, a validation marked as evaluation."""
    if "score" not in frame.columns:
        raise InputError(f"{file} is a rollout log of verl without scores; it has no key 'score'")
    evaluated = pl.lit(_evaluated(frame, file.absolute().parent.name.lower())).alias("evaluation")
    return frame.rename(moved(frame, (*_NAMES.values(), "evaluation"))).rename(_NAMES).with_columns(evaluated)


def _evaluated(frame: pl.DataFrame, folder: str) -> bool:
    """Whether a validation wrote the file: its folder says so, or a key `reward` that repeats the score."""
    if _VALIDATION.search(folder) or _TRAINING.search(folder):
        return not _TRAINING.search(folder)
    return "reward" in frame.columns and frame["reward"].equals(frame["score"], check_names=False)
