"""Synthetic completion logs in the layout of TRL."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from lab.logs import RolloutTable

Write = Callable[..., Path]


def write_log(  # the layout's own defaults: two steps of three prompts with four rollouts
    run: Path,
    rewards: Any = None,
    *,
    names: Sequence[str] = ("score",),
    prompts: Sequence[str] = ("1+1=", "2+2=", "3+3="),
    repeats: int = 1,
    extra: Mapping[str, Any] | None = None,
    columns: Callable[[pl.DataFrame], pl.DataFrame] = lambda frame: frame,
    state: Any = None,
    info: Any = None,
) -> Path:
    """Write rewards [S, P, G, K] as one file per step; each step is written `repeats` times under the next number."""
    rng = np.random.default_rng(0)
    rewards = rng.random((2, 3, 4, 1)) if rewards is None else np.asarray(rewards, dtype=float)
    (run / "completions").mkdir(parents=True, exist_ok=True)
    for s, step in enumerate(rewards):
        size = step.shape[1]
        total = step.sum(-1)
        advantage = (total - total.mean(1, keepdims=True)) / (total.std(1, ddof=1, keepdims=True) + 1e-4)
        table = {
            "prompt": [p for p in prompts[: len(step)] for _ in range(size)],
            "completion": [f"answer {s} {i}" for i in range(total.size)],
            **{name: step[..., k].ravel() for k, name in enumerate(names)},
            **{name: [value] * total.size for name, value in (extra or {}).items()},
            "advantage": advantage.ravel(),
        }
        for r in range(repeats):
            number = s * repeats + r + 1
            frame = columns(pl.DataFrame({"step": [number] * total.size, **table}))
            frame.write_parquet(run / "completions" / f"completions_{number:05d}.parquet")
    for name, content in (("trainer_state.json", state), ("run_info.json", info)):
        if content is not None:
            (run / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return run


def made(rewards: Any, advantage: Any = None, **facts: Any) -> RolloutTable:
    """The table of rewards [S, P, G, K] and advantages [S, P, G], without any file."""
    values = np.asarray(rewards, dtype=float)
    place = np.arange(values[..., 0].size)
    prompts, size, parts = values.shape[1:]
    names = [f"r{k}" for k in range(parts)]
    frame = pl.DataFrame({
        "step": place // (prompts * size) + 1,
        "prompt": [f"prompt {i}" for i in place // size],
        "group": place // size % prompts,
        "rollout": place % size,
        "completion": [f"answer {i}" for i in place],
        **{name: values[..., k].ravel() for k, name in enumerate(names)},
        "reward": values.sum(-1).ravel(),
        "advantage": pl.Series(None if advantage is None else np.ravel(advantage), dtype=pl.Float64).extend_constant(
            None, place.size if advantage is None else 0
        ),
    })  # fmt: skip
    return RolloutTable(frame, tuple(names), (1.0,) * parts, size, **facts)
