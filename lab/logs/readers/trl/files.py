"""Where the completion files of TRL and its trainer_state.json lie, whatever folder the user points at."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from lab.errors import InputError
from lab.logs.formats import names_in, tables
from lab.text import listed

__all__ = ["STATE", "LogFiles", "find_files", "is_log"]

#: Where the trainer keeps its metrics, in the run's folder and in every checkpoint.
STATE = "trainer_state.json"

_HEAD = 2**18  # bytes of it that are looked at to tell whose it is
_SWIFT = "logging.jsonl"  # a run of ms-swift, whose checkpoints hold the same file
_NAME = re.compile(r"completions_([0-9]+)\.parquet")


@dataclass(frozen=True)
class LogFiles:
    """Files of one run.

    Attributes:
        run: The folder of the run, where trainer_state.json and run_info.json may lie.
        parquet: The completion files, ordered by step; none where the metrics are all there is.
        ignored: Names of Parquet files beside them that are named otherwise.
    """

    run: Path
    parquet: tuple[Path, ...]
    ignored: tuple[str, ...] = ()


def is_log(path: Path) -> bool:
    """Whether completion files lie there, told by their names or by the columns of a Parquet file; or metrics alone."""
    files = _parquet(_folder(path)) if path.is_dir() else [path]
    return (
        any(_NAME.fullmatch(f.name) for f in files)
        or any(_completions(f) for f in files[:1])
        or any(_rewarded(f) for f in _states(path))
    )


def _states(path: Path) -> list[Path]:
    """The file itself, that of the folder, and those of its checkpoints."""
    if not path.is_dir():
        return [path] if path.name == STATE else []
    if (path / _SWIFT).is_file():
        return []
    return [f for f in (path / STATE, *sorted(path.glob(f"checkpoint-*/{STATE}"))) if f.is_file()]


def _rewarded(state: Path) -> bool:
    """Whether a trainer that has rewards wrote this file."""
    try:
        with state.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    return b'"log_history"' in head and b'"reward' in head


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
    """The folder itself; else `completions` in it, or the one other folder in it that has files of that name."""
    if _parquet(path) or not path.is_dir():
        return path
    if (path / "completions").is_dir():
        return path / "completions"
    inner = {f.parent for f in path.glob("*/completions_*.parquet") if _NAME.fullmatch(f.name)}
    return inner.pop() if len(inner) == 1 else path


def find_files(path: Path, steps: Container[int] | None = None) -> LogFiles:
    """Completion files of a run folder, of the folder in it that holds them, or one file.

    Args:
        path: What the user named.
        steps: Leave out files whose name says another step.

    Raises:
        InputError: No completion file is there, or none of the wanted steps.
    """
    if not path.is_dir():
        folder = path.absolute().parent
        found = () if path.name == STATE else (path,)
        return LogFiles(folder.parent if folder.name == "completions" else folder, found)
    folder = _folder(path)
    files = _parquet(folder)
    if not files and not _states(path):
        raise InputError(f"{folder} holds no completion files of TRL, completions_<step>.parquet")
    run = path if folder != path else folder.absolute().parent if folder.absolute().name == "completions" else folder
    if not files:
        return LogFiles(run, ())
    named = [f for f in files if _NAME.fullmatch(f.name)] or files
    wanted = [f for f in named if steps is None or _step(f) is None or _step(f) in steps]
    if not wanted:
        known = sorted(_step(f) or 0 for f in named)
        raise InputError(f"{folder} has none of the wanted steps; it has {len(known)}: {listed(known)}")
    others = () if len(named) == len(files) else tuple(f.name for f in files if not _NAME.fullmatch(f.name))
    return LogFiles(run, tuple(wanted), others)


def _step(file: Path) -> int | None:
    match = _NAME.fullmatch(file.name)
    return int(match[1]) if match else None


def _parquet(folder: Path) -> list[Path]:
    return sorted(tables(folder, (".parquet",)), key=lambda f: (_step(f) or 0, f.name))
