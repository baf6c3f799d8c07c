"""Rollouts as each trainer's own code writes them; the function that it mirrors is named in each docstring."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

Row = dict[str, Any]


def rollouts(steps: int = 2, prompts: int = 3, size: int = 4, parts: tuple[str, ...] = ("score",)) -> pl.DataFrame:
    """Rollouts in the lab's own form; advantages are centred rewards."""
    rng = np.random.default_rng(0)
    rewards = rng.integers(0, 5, (steps, prompts, size, len(parts))) / 4
    total = rewards.sum(-1)
    cells = list(np.ndindex(steps, prompts, size))
    step, prompt, rollout = (np.array(axis) for axis in zip(*cells, strict=True))
    return pl.DataFrame(
        {
            "step": step,
            "group": prompt,
            "rollout": rollout,
            "prompt": [f"{p}+{p}=" for p in prompt],
            "completion": [f"answer {s} {p} {i}" for s, p, i in cells],
            **{f"reward/{name}": rewards[..., k].ravel() for k, name in enumerate(parts)},
            "advantage": (total - total.mean(-1, keepdims=True)).ravel(),
        }
    )


def tokens(text: str) -> list[int]:
    """A token for each letter."""
    return [ord(letter) for letter in text]


def lines(file: Path, rows: list[Row]) -> Path:
    """One JSON object per line, as `json.dumps` writes it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def open_instruct(folder: Path, frame: pl.DataFrame) -> Path:
    """allenai/open-instruct, open_instruct/rl_utils.py: `RolloutRecord`, `_save_rollouts`, `save_rollout_metadata`."""
    size = frame.filter(step=frame["step"][0], group=frame["group"][0]).height
    records = [
        {
            "step": row["step"],
            "sample_idx": row["group"] * size + row["rollout"],
            "prompt_idx": row["group"],
            "prompt_tokens": tokens(row["prompt"]),
            "response_tokens": tokens(row["completion"]),
            "reward": row["reward/score"],
            "advantage": row["advantage"],
            "finish_reason": "length" if row["rollout"] == 0 else "stop",
            "dataset": "gsm8k",
            "ground_truth": [50],
            "request_info": {"num_calls": 0, "timeouts": 0, "tool_call_stats": []},
            "logprobs": [-0.5] * len(row["completion"]),
        }
        for row in frame.iter_rows(named=True)
    ]
    half = len(records) // 2
    lines(folder / "tiny__1_rollouts_000000.jsonl", records[:half])
    lines(folder / "tiny__1_rollouts_000001.jsonl", records[half:])
    metadata = {
        "run_name": "tiny__1",
        "git_commit": "0",
        "model_name": "tiny",
        "timestamp": "2026-01-01T00:00:00+00:00",
    }
    lines(folder / "tiny__1_metadata.jsonl", [metadata])
    return folder


#: Reader -> what writes the same rollouts in that trainer's form.
WRITERS: Mapping[str, Callable[[Path, pl.DataFrame], Path]] = {"open_instruct": open_instruct}
