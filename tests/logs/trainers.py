"""Rollouts as each trainer's own code writes them; the function that it mirrors is named in each docstring.

`python -m tests.logs.trainers` writes those logs of `data/logs` anew.
"""

import json
import shutil
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import lab
from lab.shipped import shipped

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
    (folder / "samples").mkdir(parents=True, exist_ok=True)
    parts = [c for c in frame.columns if c.startswith("reward/")]
    total = pl.sum_horizontal(pl.col(c) * w for c, w in zip(parts, (1.0, 0.5), strict=False))
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
        reward_total=total,
        advantage="advantage",
        completion_len=pl.lit(None),
        truncated=pl.lit(None),
        capture_reason=pl.lit(reason),
        **{f"reward_component.{c.removeprefix('reward/')}": c for c in parts},
    )
    for number, shard in enumerate((samples.head(7), samples.slice(7))):
        shard.write_parquet(folder / "samples" / f"shard-{number:05d}.parquet")
    means = {f"reward_component.{c.removeprefix('reward/')}": pl.col(c).mean() for c in parts}
    steps = frame.group_by("step", maintain_order=True).agg(
        rank=pl.lit(0), timestamp=pl.lit(1.5), reward_mean=total.mean(), kl_mean=pl.lit(None), lr=pl.lit(0.1), **means,
        **{f"extra.rewards.{c.removeprefix('reward/')}.std": pl.col(c).std() for c in parts},
    )  # fmt: skip
    steps.write_parquet(folder / "steps.parquet")
    return folder


def _section(title: str, *below: Row, level: int = 2) -> Row:
    heading = {"tag": f"h{level}", "attrs": {"class": f"lt-h{level}"}, "children": [title]}
    body = {"tag": "div", "attrs": {"class": "lt-section-body"}, "children": list(below)}
    return {"tag": "section", "attrs": {"class": "lt-section"}, "children": [heading, body]}


def _cells(**values: str) -> Row:
    rows = [
        {"tag": "tr", "attrs": {}, "children": [{"tag": "td", "attrs": {}, "children": [cell]} for cell in row]}
        for row in values.items()
    ]
    return {"tag": "table", "attrs": {}, "children": [{"tag": "tbody", "attrs": {}, "children": rows}]}


def _said(role: str, content: str) -> Row:
    data = {"type": "conversation", "messages": [{"role": role, "content": content}]}
    return {"tag": "div", "attrs": {}, "children": [], "data": data}


def logtree(step: pl.DataFrame, groups: int) -> Row:
    """tinker-cookbook 0.6.1: utils/logtree.py, rl/problem_env.py (`step`), rl/rollouts.py (`do_group_rollout`).

    The answers of a group come in another order than its rollouts have.
    """
    sections: list[Row] = []
    for _, group in step.filter(step["group"] < groups).group_by("group", maintain_order=True):
        rows = group.rows(named=True)
        answers = [
            _section(title, content, level=3)
            for row in reversed(rows)
            for title, content in (
                ("Prompt", _said("user", row["prompt"])),
                ("Policy Response", _said("assistant", row["completion"])),
                ("Reward", _cells(correct="True", reward=f"{row['reward/score']:.3f}")),
            )
        ]
        episodes = [
            _section(
                f"Trajectory {i} Episode", _section("Episode Details", _cells(total_return=f"{r['reward/score']:.3f}"))
            )
            for i, r in enumerate(rows)
        ]
        sections.append(_section("Group Rollout", *answers, _section("Trajectory Details", *episodes)))
    root = {"tag": "body", "attrs": {}, "children": [{"tag": "h1", "attrs": {}, "children": ["RL"]}, *sections]}
    return {"title": "RL Iteration", "started_at": "2026-01-01T00:00:00", "path": None, "root": root}


def tinker(folder: Path, frame: pl.DataFrame, split: str = "train", logged: int = 0) -> Path:
    """tinker-cookbook 0.6.1: rl/rollout_logging.py: `serialize_rollout_summaries`, stores/training_store.py.

    Args:
        folder: `log_path`.
        frame: The rollouts.
        split: "train", or "eval/<name>".
        logged: Groups of each step whose texts are logged (`num_groups_to_log`).
    """
    metrics = []
    for (step,), batch in frame.group_by("step", maintain_order=True):
        records = [
            {
                "schema_version": 1,
                "split": split,
                "iteration": step,
                "group_idx": row["group"],
                "traj_idx": row["rollout"],
                "tags": ["gsm8k"],
                "sampling_client_step": step,
                "total_reward": row["reward/score"],
                "final_reward": 0.0,
                "trajectory_metrics": {"correct": 1.0},
                "steps": [
                    {"step_idx": 0, "ob_len": 4, "ac_len": len(row["completion"]), "reward": row["reward/score"],
                     "episode_done": True, "metrics": {"format": 1.0}, "logs": {}}
                ],
                "final_ob_len": 0,
            }
            for row in batch.iter_rows(named=True)
        ]  # fmt: skip
        inner = folder / f"iteration_{step:06d}"
        name = split.replace("/", "_")
        lines(inner / f"{name}_rollout_summaries.jsonl", records)
        if logged:
            (inner / f"{name}_logtree.json").write_text(json.dumps(logtree(batch, logged)))
        metrics.append(
            {"step": step, "progress/batch": step, "optim/lr": 1e-4, "optim/entropy": 0.5,
             "env/all/reward/total": batch["reward/score"].mean(), "env/all/by_group/frac_mixed": 0.75,
             "env/all/total_ac_tokens": 120, "env/all/total_episodes": 12}
        )  # fmt: skip
    if split == "train":
        lines(folder / "metrics.jsonl", [*metrics, {"cost/total": 1.5}])
    return folder


def _message(role: str, content: str) -> Row:
    return {"role": role, "content": content}


def verifiers(folder: Path, frame: pl.DataFrame) -> Path:
    """verifiers 0.1.10, verifiers/utils/save_utils.py: `state_to_output`; it knows one step and no advantages."""
    results = [
        {
            "example_id": f"{row['step']}-{row['group']}",
            "prompt": [_message("user", row["prompt"])],
            "completion": [_message("assistant", row["completion"])],
            "task": "default",
            "reward": row["reward/score"],
            "error": None,
            "timing": {"generation_ms": 1.0, "scoring_ms": 1.0, "total_ms": 2.0},
            "is_completed": True,
            "is_truncated": row["rollout"] == 0,
            "stop_condition": "has_final_env_response",
            "metrics": {"correct": 1.0},
            "oai_tools": None,
            "token_usage": {"input_tokens": 4.0, "output_tokens": float(len(row["completion"]))},
            "answer": "50",
            "correct": 1.0,
        }
        for row in frame.iter_rows(named=True)
    ]
    lines(folder / "results.jsonl", results)
    (folder / "metadata.json").write_text(json.dumps({"env_id": "sums", "rollouts_per_example": 4}))
    return folder


def traces(folder: Path, frame: pl.DataFrame, weights: Sequence[float] = (1.0,), kind: str = "train") -> Path:
    """verifiers 0.4.0, verifiers/v1: `Episode`, `Trace`, `MessageNode`; utils/trace_store.py, `write_episode`."""
    parts = [c.removeprefix("reward/") for c in frame.columns if c.startswith("reward/")]
    episodes = []
    for row in frame.iter_rows(named=True):
        task = {
            "type": "Sum",
            "data": {"idx": row["group"], "prompt": row["prompt"]},
            "key": str(row["group"]),
            "hash": "0",
        }
        length = len(row["completion"])
        asked = {"message": _message("user", row["prompt"]), "sampled": False, "timestamp": 0.0, "token_ids": [1, 2],
                 "mask": [False, False], "logprobs": []}  # fmt: skip
        answered = {"parent": 0, "message": _message("assistant", row["completion"]), "sampled": True, "timestamp": 0.0,
                    "token_ids": [3, *tokens(row["completion"])], "mask": [False] + [True] * length,
                    "logprobs": [-0.5] * length, "advantages": [row["advantage"]] * length}  # fmt: skip
        trace = {
            "version": 1,
            "id": "0",
            "task": task,
            "agent": {"config": {}, "name": "agent", "trainable": True},
            "nodes": [asked, answered],
            "calls": [{"node": 1, "finish_reason": "length" if row["rollout"] == 0 else "stop"}],
            "rewards": {n: {"score": row[f"reward/{n}"], "weight": w} for n, w in zip(parts, weights, strict=True)},
            "metrics": {"turns": 1.0},
            "is_completed": True,
            "ok": True,
            "stop_condition": "agent_completed",
            "errors": [],
            "num_output_tokens": length,
        }
        run = {"type": "train", "id": "run", "work": {"type": kind, "step": row["step"]}}
        group = {"id": f"{row['step']}-{row['group']}"}
        episode = {"id": "0", "env": {"id": "sums"}, "task": task, "group": group, "run": run, "ok": True, "errors": []}
        episodes.append({**episode, "traces": [trace]})
    lines(folder / "traces.jsonl", episodes)
    return folder


def openrlhf(file: Path, steps: Mapping[int, Row], evaluated: Mapping[int, Row] | None = None) -> Path:
    """OpenRLHF 0.11, openrlhf/trainer/ppo_trainer.py: `fit`, `evaluate`; what Ray puts before the lines of an actor."""
    ray = "\x1b[36m(PPOTrainer pid=17)\x1b[0m INFO 08-13 19:25:45 ppo_trainer.py:540] "
    said = [f"{ray}Sample: ['1+1=2', 1.0]", "Train epoch [1/1]:  50%|#####| 1/2 [00:01<00:01]\r"]
    for step, status in steps.items():
        said.append(f"{ray}✨ Global step {step}: {status}")
        if evaluated and step in evaluated:
            logs = evaluated[step]
            said.append(f"{ray}✨ Evaluation completed in 0:00:10, global_step {step}, eval_metrics: {logs}")
    file.write_text("\n".join(said) + "\n")
    return file


#: Reader -> what writes the same rollouts in that trainer's form.
WRITERS: Mapping[str, Callable[[Path, pl.DataFrame], Path]] = {
    "open_instruct": open_instruct,
    "rlprobe": rlprobe,
    "tinker": tinker,
}


def bundle(folder: Path) -> None:
    """Write logs in the form of each trainer that have rollouts and metrics of the bundled run with two rewards."""
    table = lab.load(folder / "two_rewards", steps=[1, 2, 3, 4])
    lead = ["step", "group", "rollout", "prompt", "completion", "advantage"]
    total = table.frame.select(*lead, pl.col("reward").alias("reward/score"))
    parts = table.frame.select(*lead, **{f"reward/{name}": name for name in table.reward_columns})
    metrics = lab.load(folder / "two_rewards").metrics.to_dicts()
    named = {"reward": "rollout/reward_mean", "loss": "policy_loss", "learning_rate": "actor_lr",
             "entropy": "entropy_loss", "grad_norm": "actor_grad_norm", "clip_share": "ppo_clip_ratio",
             "length": "rollout/response_length_mean", "truncated": "rollout/truncated_rate"}  # fmt: skip
    store = {"reward": "reward_mean", "clip_share": "clip_fraction", "kl": "kl_divergence"}
    for name in ("open_instruct", "rlprobe", "tinker", "verifiers", "openrlhf", "rlwatch"):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir()
    open_instruct(folder / "open_instruct", total)
    rlprobe(folder / "rlprobe", parts, num_generations=8)
    tinker(folder / "tinker", total.filter(total["step"] < 3), logged=2)
    traces(folder / "verifiers", parts.filter(parts["step"] < 3), table.reward_weights)
    openrlhf(folder / "openrlhf" / "train.log", {m["step"]: {n: m[k] for k, n in named.items()} for m in metrics})
    steps = [{store.get(k, k): v for k, v in m.items() if v is not None and "/" not in k} for m in metrics]
    rlwatch(folder / "rlwatch" / "metrics.db", {"two_rewards": steps})


if __name__ == "__main__":
    bundle(shipped("data/logs"))
