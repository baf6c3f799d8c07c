"""Logs of NeMo-RL: `train_data_step<step>.jsonl` and `val_data_step<step>.jsonl` in the folder of a run.

Each line is one rollout, every value in a list of length 1: content (the messages of the conversation), rewards,
advantages, token_ids and token_loss_mask (for each token; the mask is 1 where the policy wrote), input_lengths,
sample_loss_mask, log-probabilities; idx (`grpo_train` in nemo_rl/algorithms/grpo.py, `log_batched_dict_as_jsonl` in
nemo_rl/utils/logger.py). Under dynamic sampling `filtered_rewards` are those of the rollouts that stand there. After
each turn comes a message of the environment (`run_multi_turn_rollout` in nemo_rl/experience/rollouts.py). As in the
trainer, rollouts of a step with the same tokens before the first turn are one group. A line of a validation holds
content, with roles, and rewards. The metrics are in the folders `tensorboard` or `wandb` beside.
"""

from __future__ import annotations

import json
import re
from collections.abc import Container, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from lab.errors import InputError
from lab.logs.columns import join, tidy
from lab.logs.contract import Known, Raw, reader
from lab.logs.formats import finished, framed, names_in, records
from lab.logs.scalars import number, per_step
from lab.logs.tracked import tracked
from lab.text import listed

__all__ = ["read"]

_NAME = re.compile(r"(?P<kind>train|val)_data_step(?P<step>[0-9]{1,18})\.jsonl")

Row = dict[str, Any]


def _files(path: Path) -> list[Path]:
    """The files of rollouts, by step."""
    found = path.glob("*_data_step*.jsonl") if path.is_dir() else [path]
    named = [f for f in found if _NAME.fullmatch(f.name)]
    return sorted(finished(named) if path.is_dir() else named, key=lambda f: (_step(f), f.name))


def _step(file: Path) -> int:
    return int(_NAME.fullmatch(file.name)["step"])  # type: ignore[index]


def _of(file: Path) -> Row:
    """What the name of a file says of its rows."""
    return {"step": _step(file), "evaluation": file.name.startswith("val")}


def _is_log(path: Path) -> bool:
    try:
        return any("rewards" in names_in(f) or "content" in names_in(f) for f in _files(path)[:1])
    except InputError:
        return False


@reader("nemo_rl", recognises=_is_log, holds="train_data_step<step>.jsonl, written into logger.log_dir")
def read(path: Path, steps: Container[int] | None) -> Raw:
    """A run's folder, or one of the files."""
    files = [f for f in _files(path) if steps is None or _step(f) in steps]
    if not files:
        raise InputError(f"{path} has none of the wanted steps; it has {listed(map(_step, _files(path)))}")
    rows, notes = records(files, _row)
    whole = {file: _aligned(part) for file, part in zip(files, rows, strict=True)}
    whole = {file: [{**_of(file), **row} for row in part] for file, part in whole.items() if part}
    if not whole:
        raise InputError(f"{files[0]} is a log of NeMo-RL without rewards, or has no whole line")
    lost = sum(map(len, rows)) - sum(map(len, whole.values()))
    notes += [f"{lost} lines have no reward of their own and are left out."] if lost else []
    run = path if path.is_dir() else path.absolute().parent
    metrics, beside = tracked(run, ("tensorboard", "wandb/wandb/*run-*")) or per_step([])
    frames = [tidy(framed(part), file, ("step", "group")).rename({"group": "_group"}) for file, part in whole.items()]
    frame, lacking, left = join(list(whole), frames)
    known = Known(groups="_group", rewards=("total",))
    return Raw(frame, known, metrics, (*notes, *beside, *left), lacking=lacking, trainer="nemo-rl")


def _aligned(rows: Sequence[Row]) -> list[Row]:
    """The rows with a reward, their groups numbered."""
    numbers: dict[str, int] = {}
    kept = [row for row in rows if row["total"] is not None]
    return [{**row, "group": numbers.setdefault(row["group"], len(numbers))} for row in kept]


def _row(line: Row) -> Row:
    """What is kept of a line."""
    one = {name: value[0] if isinstance(value, list) and value else None for name, value in line.items()}
    messages, mask = _list(one.get("content")), _list(one.get("token_loss_mask"))
    turns = sum(own == 1 for own, _ in groupby(mask))
    first = _first(messages, turns)
    prompt = "\n".join(map(_said, messages[:first]))
    tokens = _list(one.get("token_ids"))[: mask.index(1)] if turns else []
    return {
        "group": json.dumps(tokens) if tokens else prompt,
        "prompt": prompt,
        "completion": "\n".join(map(_said, messages[first : first + 1 if turns == 1 else None])),
        "total": number(one.get("filtered_rewards" if "filtered_rewards" in line else "rewards")),
        "advantage": _advantage(_list(one.get("advantages")), mask),
        **({"length": sum(own == 1 for own in mask)} if mask else {}),
    }


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _said(message: Any) -> str:
    """The text of a message, which a validation keeps with its role."""
    told = message.get("content") if isinstance(message, dict) else message
    return told if isinstance(told, str) else json.dumps(told)


def _first(messages: Sequence[Any], turns: int) -> int:
    """Where the policy begins to speak: at its role, or before its turns and the answers of the environment to them."""
    roles = [message.get("role") for message in messages if isinstance(message, dict)]
    return roles.index("assistant") if "assistant" in roles else max(len(messages) - 2 * turns, min(1, len(messages)))


def _advantage(advantages: Sequence[Any], mask: Sequence[Any]) -> float | None:
    """The mean over the tokens that the policy wrote; one number for all of them but where a penalty is per token."""
    own = [a for a, m in zip(advantages, mask, strict=False) if m == 1 and number(a) is not None]
    return sum(own) / len(own) if own else None
