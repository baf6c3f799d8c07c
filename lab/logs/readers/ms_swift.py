"""Logs of ms-swift: rollouts in `completions.jsonl` (`--log_completions true`), metrics in `logging.jsonl`.

Each line of completions.jsonl is a table, a list for each column: step (as text), prompt, completion, one per reward
function, advantages, whatever else was gathered (`GRPOTrainer.log` in swift/rlhf_trainers/grpo_trainer.py; the Megatron
trainer writes the same). A line holds the last generation batch: it comes again under the next step that generates
none, and after an evaluation its last rows are those that were evaluated. The Ray trainer writes a line for each
rollout instead: gen_step, prompt, completion, reward (`_maybe_log_completions` in swift/ray/megatron/base_trainer.py).
Each line of logging.jsonl is an entry with the step in `global_step/max_steps` or, of Megatron, `iteration`, as "3/100"
(`add_train_message` in swift/trainers/patcher.py, `PrintCallback.on_log` in swift/megatron/callbacks/print.py). The
settings stand in args.json (`save_args` in swift/arguments/base_args/base_args.py).
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from lab.errors import InputError
from lab.logs.columns import tidy
from lab.logs.contract import Known, Raw, reader
from lab.logs.formats import content, framed, names_in, parsed, records
from lab.logs.queued import Batches, Row, settings
from lab.logs.scalars import per_step, scalar_name, whole
from lab.text import listed

__all__ = ["read"]

_ROLLOUTS, _METRICS, _SETTINGS = "completions.jsonl", "logging.jsonl", "args.json"
_AT = ("global_step/max_steps", "iteration")  # keys that hold the step of an entry
_TEXTS = ("step", "prompt", "completion")


def _is_log(path: Path) -> bool:
    files = [path / _ROLLOUTS, path / _METRICS] if path.is_dir() else [path]
    return any(f.is_file() and _keyed(f) for f in files)


def _keyed(file: Path) -> bool:
    """Whether the first line has the keys of one of the two files."""
    try:
        keys = set(names_in(file)) if file.suffix == ".jsonl" else set()
    except InputError:
        return False
    return bool(keys & set(_AT)) or ({"prompt", "completion"} <= keys and bool(keys & {"advantages", "gen_step"}))


@reader("ms_swift", recognises=_is_log, holds=f"{_ROLLOUTS}, written where log_completions is true, and {_METRICS}")
def read(path: Path, steps: Container[int] | None) -> Raw:
    """A run's folder, or one of the two files."""
    run = path if path.is_dir() else path.absolute().parent
    entries, notes = _entries(run / _METRICS)
    metrics, odd = per_step(entries, scalar_name)
    file = path if path.is_file() and path.name != _METRICS else run / _ROLLOUTS
    if not file.is_file():
        lacking = f"{run} has no {_ROLLOUTS}; log_completions of ms-swift writes it."
        return Raw(pl.DataFrame(), metrics=metrics, notes=(lacking, *notes, *odd))
    rows, rewards, left = _rollouts(file, entries)
    size, weights = settings(_arguments(run / _SETTINGS), rewards)
    said = {"rewards": file.name, "metrics": _METRICS, "group_size": _SETTINGS, "weights": _SETTINGS}
    known = Known(group_size=size, rewards=rewards, weights=weights, said=said)
    return Raw(tidy(framed(rows), file), known, metrics, (*notes, *odd, *left))


def _arguments(file: Path) -> Row:
    """The settings; none where they cannot be read."""
    try:
        found = parsed(content(file))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _entries(file: Path) -> tuple[list[Row], list[str]]:
    """What was logged, with the step as a number; what ms-swift writes at the end has none."""
    if not file.is_file():
        return [], []
    (lines,), notes = records([file])
    return [{**line, "step": whole(_said(line).partition("/")[0])} for line in lines], notes


def _said(entry: Row) -> str:
    return next((value for key in _AT if isinstance(value := entry.get(key), str)), "")


def _rollouts(file: Path, entries: Sequence[Row]) -> tuple[list[Row], tuple[str, ...], list[str]]:
    """Rows, the names of the rewards, and what was left out."""
    (lines,), torn = records([file])
    if not lines:
        raise InputError(f"{file} has no whole line")
    if "gen_step" in lines[0]:
        names = {"gen_step": "step", "reward": "total"}
        rows = [{names.get(key, key): value for key, value in line.items()} for line in lines]
        return rows, _rewards(["total"] if "reward" in lines[0] else [], file), torn
    names_of = list(lines[0])
    last = names_of.index("advantages") if "advantages" in names_of else len(names_of)
    rewards = _rewards([name for name in names_of[:last] if name not in _TEXTS], file)
    batches = Batches({e["step"] for e in entries if any(key.startswith("eval_") for key in e)} - _trained(entries))
    for number, line in enumerate(lines, 1):
        batches.add(_table(line, f"{file}, table {number}", batches.notes))
    return batches.rows, rewards, [*torn, *dict.fromkeys(batches.notes)]


def _rewards(names: Sequence[str], file: Path) -> tuple[str, ...]:
    if not names:
        raise InputError(f"{file} is a log of ms-swift without rewards; was it a training with a reward function?")
    return tuple(names)


def _trained(entries: Sequence[Row]) -> set[Any]:
    """Steps of which the trainer logged its update."""
    return {entry["step"] for entry in entries if "loss" in entry}


def _table(line: Row, where: str, notes: list[str]) -> list[Row]:
    """The rows of one line; columns of another length than the prompts are left out."""
    size = len(line["prompt"]) if isinstance(line.get("prompt"), list) else -1
    columns = {name: values for name, values in line.items() if isinstance(values, list) and len(values) == size}
    if not set(_TEXTS) <= set(columns):
        raise InputError(f"{where} is no table with a list for each of {listed(_TEXTS)}")
    if odd := [name for name in line if name not in columns]:
        notes.append(f"Columns that are not as long as the prompts are left out: {listed(odd)}.")
    columns["step"] = [whole(step) for step in columns["step"]]
    if odd := [step for step in columns["step"] if not isinstance(step, int)]:
        raise InputError(f"{where}: step is {odd[0]!r}; it must be a whole number")
    names = ["advantage" if name == "advantages" else name for name in columns]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]
