"""Rollouts as each trainer's own code writes them; the function that it mirrors is named in each docstring."""

import json
import sqlite3
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


def rlwatch(file: Path, metrics: Mapping[str, list[Row]], alerts: list[Row] | None = None) -> Path:
    """rlwatch 0.5.1, rlwatch/storage.py: `MetricStore._init_db`, `register_run`, `log_metrics`, `log_alert`.

    Args:
        file: The store.
        metrics: Run -> its steps, each with the arguments of `log_metrics`; the runs start one after the other.
        alerts: Of the last run: step, detector, severity.
    """
    named = ("entropy", "kl_divergence", "reward_mean", "reward_std", "reward_min", "reward_max", "advantage_std",
             "loss", "learning_rate", "clip_fraction", "grad_norm")  # fmt: skip
    store = sqlite3.connect(file)
    store.executescript(f"""
        CREATE TABLE runs (run_id TEXT PRIMARY KEY, framework TEXT, started_at REAL, config_json TEXT);
        CREATE TABLE metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL, step INTEGER NOT NULL,
            timestamp REAL NOT NULL, {" REAL, ".join(named)} REAL, extra_json TEXT);
        CREATE TABLE alerts (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL, step INTEGER NOT NULL,
            timestamp REAL NOT NULL, detector TEXT NOT NULL, severity TEXT NOT NULL, message TEXT NOT NULL,
            metric_values_json TEXT, recommendation TEXT);
        CREATE TABLE schema_version (version INTEGER PRIMARY KEY);
        INSERT INTO schema_version VALUES (2);
    """)
    for start, (run, steps) in enumerate(metrics.items()):
        store.execute("INSERT INTO runs VALUES (?, 'trl', ?, '{}')", (run, start))
        for row in steps:
            extra = {k: v for k, v in row.items() if k not in named and k != "step"}
            values = (run, row["step"], 0.0, *map(row.get, named), json.dumps(extra) if extra else None)
            store.execute(f"INSERT INTO metrics VALUES (NULL{', ?' * len(values)})", values)
    for row in alerts or []:
        values = (run, row["step"], 0.0, row["detector"], row["severity"], "said", "{}", "do")
        store.execute("INSERT INTO alerts VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    store.commit()
    store.close()
    return file


def rlprobe(folder: Path, frame: pl.DataFrame, reason: str = "all", **settings: Any) -> Path:
    """rlprobe 0.1.0, rlprobe/storage.py: `RunWriter`, with the records of integrations/trl.py: `_capture_samples`."""
    (folder / "samples").mkdir(parents=True)
    parts = [c for c in frame.columns if c.startswith("reward/")]
    manifest = {"schema_version": 1, "run_id": "run", "created_at": "", "algorithm": "grpo", "trainer_config": settings}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2))
    samples = frame.select(
        "step",
        sample_id=pl.format("{}_{}", "step", pl.int_range(pl.len()).over("step")),
        rank=pl.lit(0, pl.Int64),
        group_id=pl.format("{}_g{}", "step", "group"),
        prompt_id=pl.lit(None),
        prompt_text="prompt",
        completion_text="completion",
        completion_token_ids=pl.lit(None),
        reward_total=pl.sum_horizontal(parts),
        advantage="advantage",
        completion_len=pl.lit(None),
        truncated=pl.lit(None),
        capture_reason=pl.lit(reason),
        **{f"reward_component.{c.removeprefix('reward/')}": c for c in parts},
    )
    for number, shard in enumerate((samples.head(7), samples.slice(7))):
        shard.write_parquet(folder / "samples" / f"shard-{number:05d}.parquet")
    means = {f"reward_component.{c.removeprefix('reward/')}": pl.col(c).mean() for c in parts}
    total = pl.sum_horizontal(parts)
    steps = frame.group_by("step", maintain_order=True).agg(
        rank=pl.lit(0), timestamp=pl.lit(1.5), reward_mean=total.mean(), kl_mean=pl.lit(None), lr=pl.lit(0.1), **means,
        **{f"extra.rewards.{c.removeprefix('reward/')}.std": pl.col(c).std() for c in parts},
    )  # fmt: skip
    steps.write_parquet(folder / "steps.parquet")
    return folder


#: Reader -> what writes the same rollouts in that trainer's form.
WRITERS: Mapping[str, Callable[[Path, pl.DataFrame], Path]] = {"open_instruct": open_instruct, "rlprobe": rlprobe}
