"""Rollouts that verl dumps into `trainer.rollout_data_dir`: `<step>.jsonl`, one JSON object per rollout.

Keys (verl 0.9, `RayPPOTrainer._write_generations`): input, output, gts, score (the sum of the token-level scores),
step, and what the reward function returned beside its score. Advantages are not logged. Some versions add `uid`: one
for each group, or `<group>_<rollout>_<session>` for each rollout.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import replace
from pathlib import Path

import polars as pl

from lab.errors import InputError
from lab.logs.columns import join, moved, tidy
from lab.logs.contract import Known, Raw, reader
from lab.logs.formats import names_in, read_files, tables
from lab.text import listed

__all__ = ["read"]

_NAMES = {"input": "prompt", "output": "completion"}
_OF_A_ROLLOUT = r"^(.+)_\d+_\d+$"


def _files(path: Path) -> list[Path]:
    """The dumped files, ordered by step."""
    if not path.is_dir():
        return [path]
    return sorted(
        (f for f in tables(path, (".jsonl",)) if re.fullmatch("[0-9]{1,18}", f.stem)), key=lambda f: int(f.stem)
    )


def _is_log(path: Path) -> bool:
    file = next(iter(_files(path)), None)
    if file is None or file.suffix != ".jsonl":
        return False
    try:
        return {"input", "output", "step"} <= set(names_in(file))
    except InputError:
        return False


@reader("verl", recognises=_is_log, holds="<step>.jsonl, written where trainer.rollout_data_dir is set")
def read(path: Path, steps: Container[int] | None) -> Raw:
    """The folder of the dumped rollouts, or one file of it."""
    files = _files(path)
    chosen = [f for f in files if steps is None or not f.stem.isdecimal() or int(f.stem) in steps]
    if not chosen:
        raise InputError(f"{path} has none of the wanted steps; it has {len(files)}: {listed([f.stem for f in files])}")
    frames = [tidy(_named(frame, file), file) for frame, file in zip(read_files(chosen), chosen, strict=True)]
    frame, lacking, notes = join(chosen, frames)
    known = Known(rewards=("score",))
    if "uid" in frame.columns:
        known = replace(known, groups="_group")
        frame = frame.with_columns(_group(frame["uid"]).alias("_group"))
    return Raw(frame, known, notes=tuple(notes), lacking=lacking)


def _group(uid: pl.Series) -> pl.Series:
    """The group of each rollout, from an identifier of the group or of the rollout."""
    told = uid.cast(pl.String)
    parts = told.str.extract(_OF_A_ROLLOUT, 1)
    return told if told.n_unique() < len(told) or parts.null_count() else parts


def _named(frame: pl.DataFrame, file: Path) -> pl.DataFrame:
    if "score" not in frame.columns:
        raise InputError(f"{file} is a rollout log of verl without scores; it has no key 'score'")
    return frame.rename(moved(frame, _NAMES.values())).rename(_NAMES)
