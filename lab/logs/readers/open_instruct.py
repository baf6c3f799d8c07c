"""Rollouts that open-instruct saves where `save_traces` is set: `<run>_rollouts_<shard>.jsonl`, a rollout in each line.

Keys (allenai/open-instruct, open_instruct/rl_utils.py, `RolloutRecord` and `_save_rollouts`): step, sample_idx,
prompt_idx (the group within the step), prompt_tokens, response_tokens, reward, advantage, finish_reason, dataset,
ground_truth, request_info, logprobs. There is no text, only the numbers of the tokens. `<run>_metadata.jsonl` stands
beside it and names the model (`save_rollout_metadata`).
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import replace
from pathlib import Path
from typing import Any

from lab.errors import InputError
from lab.logs.contract import Raw, reader
from lab.logs.formats import names_in, tables
from lab.logs.schema import objects
from lab.text import listed

__all__ = ["read"]

_NAME = re.compile(r"(.+)_rollouts_[0-9]+\.jsonl", re.DOTALL)
_KEYS = {"step", "prompt_idx", "reward", "response_tokens"}
_TOKENS = "open-instruct logs tokens, no text: prompts and completions are shown as the numbers of their tokens."


def _files(path: Path) -> list[Path]:
    return [f for f in tables(path, (".jsonl",)) if _NAME.fullmatch(f.name)] if path.is_dir() else [path]


def _is_log(path: Path) -> bool:
    file = next(iter(_files(path)), None)
    if file is None or file.suffix != ".jsonl":
        return False
    try:
        return {"sample_idx", "prompt_idx", "response_tokens"} <= set(names_in(file))
    except InputError:
        return False


@reader("open_instruct", recognises=_is_log, holds="<run>_rollouts_<shard>.jsonl, written where save_traces is set")
def read(path: Path, steps: Container[int] | None) -> Raw:
    """The folder of one run's rollouts, or one file of it."""
    files = _files(path)
    runs = {found[1]: file.name for file in files if (found := _NAME.fullmatch(file.name))}
    if len(runs) > 1:
        raise InputError(
            f"{path} holds the rollouts of several runs; open a file of one of them: {listed(runs.values())}"
        )
    log = objects(files, _rollout)
    return replace(log, notes=(_TOKENS, *log.notes))


def _rollout(logged: dict[str, Any]) -> dict[str, Any]:
    """A line in the lab's own form."""
    missing = sorted(_KEYS - logged.keys())
    if missing:
        raise InputError(f"a rollout of open-instruct has no key {listed(missing)}; it has {listed(logged)}")
    response = logged["response_tokens"]
    return {
        "step": logged["step"],
        "group": logged["prompt_idx"],
        "rollout": logged.get("sample_idx"),
        "prompt": _shown(logged.get("prompt_tokens")),
        "completion": _shown(response),
        "reward/score": logged["reward"],
        "advantage": logged.get("advantage"),
        "length": len(response) if isinstance(response, list) else None,
        "truncated": logged.get("finish_reason") == "length",
        "dataset": str(logged.get("dataset")),
    }


def _shown(tokens: Any) -> str:
    return " ".join(map(str, tokens)) if isinstance(tokens, list) else str(tokens or "")
