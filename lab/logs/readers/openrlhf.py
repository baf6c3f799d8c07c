"""What OpenRLHF prints of a run, kept in a text file: metrics of each step, no rollouts.

Lines (OpenRLHF 0.8 to 0.11, openrlhf/trainer/ppo_trainer.py, `PPOTrainer.fit`, and ppo_trainer_async.py):
`Global step <n>: {'policy_loss': 0.1, ...}` after whatever Ray and the logger put before it, and
`Evaluation completed in <time>, global_step <n>, eval_metrics: {...}` or `Eval at step <n>: {...}`. The same goes to
TensorBoard and to W&B under `train/` and `eval/` (openrlhf/utils/logging_utils.py); their folders have readers, too.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from lab.errors import InputError
from lab.logs.contract import Raw, reader
from lab.logs.formats import MAX_BYTES, tables
from lab.logs.scalars import per_step, scalar_name

__all__ = ["read"]

_ENDINGS = (".log", ".txt", ".out", ".err")
_HEAD = 2**22  # bytes of a file that are looked at: models are loaded and much is said before the first step
_STEP = re.compile(r"(?P<kind>Global step|global_step|Eval at step) (?P<step>[0-9]{1,18})(?:, eval_metrics)?: (?=\{)")
_NUMBER = r"-?(?:inf|nan|[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?)"
_PAIR = re.compile(rf"'([^']*)': ({_NUMBER})(?=[,}}])")
_TOKEN = re.compile(
    r"(?P<text>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")|(?P<open>[\[({])|(?P<close>[\])}])|"
    rf"(?P<number>{_NUMBER})"
)
_ODD = re.compile(r"[\"\\\[(]")  # what makes a printed dictionary more than names and numbers
_METRICS_ALONE = "OpenRLHF prints metrics, no rollouts: groups and advantages are not in the log."


def _files(path: Path) -> list[Path]:
    files = tables(path, _ENDINGS) if path.is_dir() else [path] if path.suffix in _ENDINGS else []
    return [file for file in files if _speaks(file)]


def _speaks(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            head = opened.read(_HEAD).decode(errors="replace")
    except OSError:
        return False
    found = _STEP.search(head)
    return found is not None and "'policy_loss'" in head[found.end() :]


@reader("openrlhf", recognises=lambda path: bool(_files(path)), holds="a .log, .txt or .out file with what was printed")
def read(path: Path, steps: Container[int] | None) -> Raw:
    """The file, or the folder of one such file."""
    files = _files(path)
    if len(files) != 1:
        raise InputError(f"{path} holds {len(files)} files with steps that OpenRLHF has printed; open one file")
    file = files[0]
    if file.stat().st_size > MAX_BYTES:
        raise InputError(f"{file} has {file.stat().st_size} bytes; up to {MAX_BYTES} are read")
    found = list(_entries(file))
    entries = [entry for entry in found if entry]
    if not entries:
        raise InputError(f"{file} has no step of OpenRLHF that was printed to its end")
    metrics, odd = per_step(entries, scalar_name)
    cut = len(found) - len(entries)
    said = [f"{cut} step(s) of {file.name} are left out: their line is cut off."] if cut else []
    return Raw(pl.DataFrame(), metrics=metrics, notes=(_METRICS_ALONE, *said, *odd))


def _entries(file: Path) -> Iterator[dict[str, Any]]:
    """The metrics of each line that has some; without any where the line is cut off."""
    with file.open(encoding="utf-8", errors="replace") as opened:
        for line in opened:
            for found in _STEP.finditer(line):
                numbers = _numbers(line, found.end())
                kind = "" if found["kind"] == "Global step" else "eval/"
                yield {"step": int(found["step"]), **{kind + k: v for k, v in numbers.items()}} if numbers else {}


def _numbers(line: str, start: int) -> dict[str, float]:
    """The numbers of the printed dictionary that begins there; none if it does not end."""
    end = line.find("}", start)
    if end < 0:
        return {}
    if not _ODD.search(line, start, end) and line.count("{", start, end) == 1:
        return {name: float(value) for name, value in _PAIR.findall(line, start, end + 1)}
    depth, name = 0, ""
    numbers: dict[str, float] = {}
    for token in _TOKEN.finditer(line, start):
        depth += (token["open"] is not None) - (token["close"] is not None)
        if depth == 0:
            return numbers
        if depth == 1 and token["text"]:
            name = token["text"][1:-1]
        elif depth == 1 and token["number"] and name:
            numbers[name], name = float(token["number"]), ""
    return {}
