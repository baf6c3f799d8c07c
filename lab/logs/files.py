"""Where the files of a training log lie, whatever folder the user points at."""

from __future__ import annotations

import re
import stat
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from lab.errors import InputError
from lab.logs.infer import listed
from lab.logs.parquet import status

__all__ = ["LogFiles", "find_files"]

_NAME = re.compile(r"completions_(\d+)\.parquet")
_HELP = "TRL writes completions/completions_<step>.parquet into its output folder when log_completions=True"


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


def find_files(path: str | Path, steps: Container[int] | None = None) -> LogFiles:
    """Completion files of a run folder, of its `completions` folder, or one Parquet file.

    Args:
        path: What the user named; `~` is the home folder.
        steps: Leave out files whose name says another step.

    Raises:
        InputError: Nothing is there, nothing of a training log is there, or several runs are.
    """
    try:
        path = Path(path).expanduser()
    except (TypeError, RuntimeError) as reason:
        raise InputError(f"{path!r} is no path: {reason}") from None
    if not stat.S_ISDIR(status(path)):
        folder = path.absolute().parent
        return LogFiles(folder.parent if folder.name == "completions" else folder, (path,))
    folder = path if _parquet(path) or not (path / "completions").is_dir() else path / "completions"
    files = _parquet(folder)
    if not files:
        raise InputError(_nothing(path, folder))
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
    try:
        files = [f for f in folder.iterdir() if f.suffix == ".parquet"]
    except OSError as reason:
        raise InputError(f"{folder} cannot be listed: {reason.strerror or reason}") from None
    return sorted(files, key=lambda f: (_step(f) or 0, f.name))


def _nothing(path: Path, folder: Path) -> str:
    entries = sorted(p.name for p in folder.iterdir())
    runs = sorted(p.parent.name for p in path.glob("*/completions") if p.is_dir()) if folder == path else []
    if runs:
        return f"{path} holds several runs; open one of them: {listed(runs)}"
    if not entries:
        return f"{folder} is empty; {_HELP}"
    return f"{folder} holds no completion files (it has {listed(entries, 6)}); {_HELP}"
