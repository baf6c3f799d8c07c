"""Where the completion files of TRL lie, whatever folder the user points at."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from lab.errors import InputError
from lab.logs.formats import names_in, tables
from lab.text import listed

__all__ = ["LogFiles", "find_files", "is_log"]

_NAME = re.compile(r"completions_([0-9]+)\.parquet")


@dataclass(frozen=True)
class LogFiles:
    """Files of one run.

    Attributes:
        run: The folder of the run, where trainer_state.json and run_info.json may lie.
        parquet: The completion files, ordered by step.
        ignored: Names of Parquet files beside them that are named otherwise.
    """

    run: Path
    parquet: tuple[Path, ...]
    ignored: tuple[str, ...] = ()


def is_log(path: Path) -> bool:
    """Whether completion files lie there: told by their names, or by the columns of a Parquet file."""
    files = _parquet(_folder(path)) if path.is_dir() else [path]
    return any(_NAME.fullmatch(f.name) for f in files) or any(_completions(f) for f in files[:1])


def _completions(file: Path) -> bool:
    """A Parquet file with steps, prompts and completions that is not in the lab's own form."""
    if file.suffix != ".parquet":
        return False
    try:
        names = names_in(file)
    except InputError:
        return False
    own = "group" in names and any(name.partition("/")[0] == "reward" for name in names)
    return {"step", "prompt", "completion"} <= set(names) and not own


def _folder(path: Path) -> Path:
    return path if _parquet(path) or not (path / "completions").is_dir() else path / "completions"


def find_files(path: Path, steps: Container[int] | None = None) -> LogFiles:
    """Completion files of a run folder, of its `completions` folder, or one Parquet file.

    Args:
        path: What the user named.
        steps: Leave out files whose name says another step.

    Raises:
        InputError: No completion file is there, or none of the wanted steps.
    """
    if not path.is_dir():
        folder = path.absolute().parent
        return LogFiles(folder.parent if folder.name == "completions" else folder, (path,))
    folder = _folder(path)
    files = _parquet(folder)
    if not files:
        raise InputError(f"{folder} holds no completion files of TRL, completions_<step>.parquet")
    run = folder.absolute().parent if folder.absolute().name == "completions" else folder
    named = [f for f in files if _NAME.fullmatch(f.name)] or files
    wanted = [f for f in named if steps is None or _step(f) is None or _step(f) in steps]
    if not wanted:
        known = sorted(_step(f) or 0 for f in named)
        raise InputError(f"{folder} has none of the wanted steps; it has {len(known)}: {listed(known)}")
    return LogFiles(run, tuple(wanted), tuple(f.name for f in files if f not in named))


def _step(file: Path) -> int | None:
    match = _NAME.fullmatch(file.name)
    return int(match[1]) if match else None


def _parquet(folder: Path) -> list[Path]:
    return sorted(tables(folder, (".parquet",)), key=lambda f: (_step(f) or 0, f.name))
