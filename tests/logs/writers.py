"""Logs as trainers write them, each made from a table of rollouts by a few lines that mirror the trainer's own.

`python -m tests.logs.writers` writes those logs of `data/logs` that were not made by a run of the trainer itself.
"""

import json
import shutil
import struct
import zlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import lab
from lab.logs import RolloutTable
from lab.shipped import shipped

Row = dict[str, Any]

#: Columns of `source` that each trainer's log gives back.
SAME = [
    "step",
    "prompt",
    "group",
    "rollout",
    "completion",
    "digit_fraction",
    "starts_with_digit",
    "reward",
    "advantage",
]

TRL_NAMES = {
    "zero_std": "frac_reward_zero_std",
    "clip_share": "clip_ratio/region_mean",
    "length": "completions/mean_length",
    "truncated": "completions/clipped_ratio",
}
VERL_NAMES = {
    "reward": "critic/rewards/mean",
    "grad_norm": "actor/grad_norm",
    "entropy": "actor/entropy",
    "kl": "actor/kl_loss",
    "clip_share": "actor/pg_clipfrac",
    "loss": "actor/pg_loss",
    "learning_rate": "actor/lr",
    "length": "response_length/mean",
    "truncated": "response_length/clip_ratio",
}


def source(*steps: int) -> RolloutTable:
    """The bundled run with two rewards, or some steps of it."""
    return lab.load(lab.logs.bundled()["two_rewards"], steps=steps or None)


def by_step(table: RolloutTable) -> Iterator[tuple[int, list[Row]]]:
    for (step,), rows in table.frame.group_by("step", maintain_order=True):
        yield int(step), rows.to_dicts()


def entries(table: RolloutTable, names: Mapping[str, str]) -> Iterator[Row]:
    """The metrics of each step under a trainer's names."""
    for row in table.metrics.to_dicts():
        yield {names.get(key, key): value for key, value in row.items() if value is not None}


def json_lines(file: Path, rows: list[Row]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return file


# ---------------------------------------------------------------------------------------------------- TRL


def trl_name(key: str) -> str:
    """A metric's name in TRL's log: rewards/<name>/mean for reward/<name>."""
    kind, _, name = key.partition("/")
    parts = {"reward": "mean", "reward_std": "std"}
    return f"rewards/{name}/{parts[kind]}" if name and kind in parts else TRL_NAMES.get(key, key)


def trl_state(table: RolloutTable, folder: Path) -> Path:
    """trainer_state.json as `TrainerState.save_to_json` of transformers/trainer_callback.py writes it."""
    names = {key: trl_name(key) for key in table.metrics.columns}
    state = {"global_step": 12, "is_world_process_zero": True, "log_history": list(entries(table, names))}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "trainer_state.json").write_text(json.dumps(state, indent=2, sort_keys=True) + "\n")
    return folder


def trl(table: RolloutTable, run: Path, evaluated: Mapping[int, list[Row]], idle: Sequence[int] = ()) -> Path:
    """`GRPOTrainer.log` of trl/trainer/grpo_trainer.py: a file for each step, written anew where it evaluates.

    Args:
        table: The rollouts; the queue is as long as the largest step.
        run: The run's folder.
        evaluated: Rows that are evaluated after a step.
        idle: Steps that generate nothing and log what is in the queue.
    """
    batches = {**{step: [] for step in idle}, **dict(by_step(table))}
    queue: deque[Row] = deque(maxlen=max(map(len, batches.values())))
    columns = ["prompt", "completion", *table.reward_columns, "advantage"]
    (run / "completions").mkdir(parents=True)
    history = []
    for step in sorted(batches):
        for prefix, rows in (("", batches[step]), ("eval_", evaluated.get(step, []))):
            queue.extend(rows)
            means = {
                f"{prefix}rewards/{n}/mean": float(np.mean([r[n] for r in rows])) for n in table.reward_columns if rows
            }
            history += [{"step": step, **means}] if rows else []
        frame = pl.DataFrame({c: [row[c] for row in queue] for c in columns}).select(
            pl.lit(step).alias("step"), *columns
        )
        frame.write_parquet(run / "completions" / f"completions_{step:05d}.parquet")
    (run / "trainer_state.json").write_text(json.dumps({"log_history": history}))
    return run


# --------------------------------------------------------------------------------------------------- verl


def verl(table: RolloutTable, folder: Path, *, uid: str = "", validation: bool = False) -> Path:
    """`_write_generations` of verl/trainer/ppo/ray_trainer.py; with a uid that of v1/trainer_base.py."""
    for step, rows in by_step(table):
        lines = [
            {"input": row["prompt"], "output": row["completion"], "gts": "4", "score": row["reward"], "step": step}
            | ({"reward": row["reward"]} if validation else {})
            | ({"uid": uid.format(**row)} if uid else {})
            for row in rows
        ]
        json_lines(folder / f"{step}.jsonl", lines)
    return folder


def verl_metrics(table: RolloutTable, file: Path) -> Path:
    """`FileLogger.log` of verl/utils/tracking.py: orjson writes NaN as null."""
    logged = list(entries(table, VERL_NAMES))
    data = [{k: None if v != v else v for k, v in entry.items() if k != "step"} for entry in logged]
    return json_lines(file, [{"step": e["step"], "data": d} for e, d in zip(logged, data, strict=True)])


# ----------------------------------------------------------------------------------------------- ms-swift


def ms_swift(
    table: RolloutTable, folder: Path, evaluated: Mapping[int, list[Row]] | None = None, idle: Sequence[int] = ()
) -> Path:
    """`GRPOTrainer.log` of swift/rlhf_trainers/grpo_trainer.py: a line for each log, from a queue of a batch's length.

    Args:
        table: The rollouts.
        folder: The run's folder.
        evaluated: Rows that are evaluated after a step.
        idle: Steps that generate nothing and log what is in the queue.
    """
    batches, evaluated = {**{step: [] for step in idle}, **dict(by_step(table))}, evaluated or {}
    metrics = {e.pop("step"): e for e in entries(table, {key: trl_name(key) for key in table.metrics.columns})}
    queue: deque[Row] = deque(maxlen=max(map(len, batches.values())))
    lines, logged = [], []
    for step in sorted({*batches, *evaluated}):
        at = {"global_step/max_steps": f"{step}/12", "elapsed_time": "1s", "memory(GiB)": 0.1}
        for rows, entry in ((batches.get(step), metrics.get(step, {})), (evaluated.get(step), {"eval_reward": 0.5})):
            if rows is not None:
                queue.extend(rows)
                lines.append(_swift_table(step, list(queue), table.reward_columns))
                logged.append({**entry, **at})
    json_lines(folder / "completions.jsonl", lines)
    json_lines(folder / "logging.jsonl", [*logged, {"global_step": 12, "log_history": [], "memory": 0.1}])
    return folder


def _swift_table(step: int, rows: list[Row], rewards: Sequence[str]) -> Row:
    names = {"prompt": "prompt", "completion": "completion", **{name: name for name in rewards}}
    columns = {name: [row[key] for row in rows] for name, key in (names | {"advantages": "advantage"}).items()}
    return {"step": [str(step)] * len(rows), **columns, "solution": ["4"] * len(rows)}


def ms_swift_ray(table: RolloutTable, folder: Path) -> Path:
    """`_maybe_log_completions` of swift/ray/megatron/base_trainer.py: a line for each rollout."""
    rows = [row for _, rows in by_step(table) for row in rows]
    names = {"gen_step": "step", "prompt": "prompt", "completion": "completion", "reward": "reward"}
    json_lines(folder / "completions.jsonl", [{new: row[old] for new, old in names.items()} for row in rows])
    return folder


# ------------------------------------------------------------------------------------------------ NeMo-RL


def nemo_rl(table: RolloutTable, folder: Path, *, filtered: bool = False) -> Path:
    """`grpo_train` of nemo_rl/algorithms/grpo.py and `log_batched_dict_as_jsonl` of nemo_rl/utils/logger.py.

    With `filtered` the rewards of all rollouts stand there, too, as dynamic sampling leaves them.
    """
    for step, rows in by_step(table):
        lines = []
        for i, row in enumerate(rows):
            asked, told = (
                [ord(letter) for letter in row["prompt"]],
                [ord(letter) for letter in row["completion"]] or [0],
            )
            mask = [0] * len(asked) + [1] * len(told) + [0, 0]
            reward = (
                {"filtered_rewards": [row["reward"]], "rewards": [9.0]} if filtered else {"rewards": [row["reward"]]}
            )
            line = {"content": [[row["prompt"], row["completion"], "Environment: done"]], **reward}
            line |= {"input_lengths": [len(mask)], "token_ids": [[*asked, *told, 0, 0]], "token_loss_mask": [mask]}
            line |= {"sample_loss_mask": [1.0], "advantages": [[row["advantage"]] * len(mask)], "idx": i}
            lines.append(line)
        lines += [{"rewards": [9.0], "filtered_rewards": [], "advantages": [], "idx": len(lines)}] * filtered
        json_lines(folder / f"train_data_step{step}.jsonl", lines)
    return folder


def nemo_rl_validation(table: RolloutTable, folder: Path) -> Path:
    """`validate` of nemo_rl/algorithms/grpo.py: conversations with their roles, and rewards."""
    for step, rows in by_step(table):
        keys = {"user": "prompt", "assistant": "completion"}
        said = [[{"role": role, "content": row[key]} for role, key in keys.items()] for row in rows]
        lines = [
            {"content": [c], "rewards": [row["reward"]], "idx": i}
            for i, (c, row) in enumerate(zip(said, rows, strict=True))
        ]
        json_lines(folder / f"val_data_step{step}.jsonl", lines)
    return folder


# ---------------------------------------------------------------------------- records of TensorBoard and W&B


def proto(*parts: tuple[int, int | float | bytes | str]) -> bytes:
    """A Protocol Buffers message: whole numbers as varint, numbers as float32, whatever else with its length."""
    out = b""
    for number, value in parts:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value % 2**64)
        elif isinstance(value, float):
            out += varint(number << 3 | 5) + struct.pack("<f", value)
        else:
            data = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def varint(value: int) -> bytes:
    out = []
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def crc32c(data: bytes) -> int:
    """CRC-32C, bit by bit."""
    crc = 2**32 - 1
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 2**32 - 1


def masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32)


def event(step: int, summary: bytes) -> bytes:
    """An event as `RecordWriter.write` of tensorboardX/record_writer.py writes it."""
    return framed_event(b"\x09" + struct.pack("<d", 1.5) + proto((2, step), (5, summary)))


def framed_event(message: bytes) -> bytes:
    head = struct.pack("<Q", len(message))
    return head + masked(head) + message + masked(message)


def tensorboard(table: RolloutTable, folder: Path, names: Mapping[str, str]) -> Path:
    """One event for each scalar: `SummaryWriter.add_scalar` of tensorboardX/writer.py."""
    folder.mkdir(parents=True, exist_ok=True)
    start = framed_event(b"\x09" + struct.pack("<d", 1.5) + proto((3, "brain.Event:2")))
    out = [start, event(0, proto((1, proto((1, "args"), (8, proto((1, 7)))))))]
    for entry in entries(table, names):
        step = entry.pop("step")
        out += [event(step, proto((1, proto((1, key), (2, float(value)))))) for key, value in entry.items()]
    (folder / "events.out.tfevents.1.host").write_bytes(b"".join(out))
    return folder


def wandb_file(records: Sequence[bytes], file: Path) -> Path:
    """`DataStore._write_data` of wandb/sdk/internal/datastore.py: records within blocks of 32 KiB."""
    out = bytearray(struct.pack("<4sHB", b":W&B", 0xBEE1, 0))
    for record in records:
        rest, first = record, True
        while first or rest:
            left = 2**15 - len(out) % 2**15
            if left < 7:
                out += bytes(left)
                continue
            part, rest = rest[: left - 7], rest[left - 7 :]
            kind = (1 if first else 4) if not rest else 2 if first else 3
            checksum = zlib.crc32(part, zlib.crc32(bytes([kind])))
            out += struct.pack("<IHB", checksum, len(part), kind) + part
            first = False
    file.write_bytes(out)
    return file


def item(key: str, value: Any) -> bytes:
    return proto((2, key), (16, json.dumps(value)))


def wandb(table: RolloutTable, run: Path) -> Path:
    """What `WandbCallback` of transformers and TRL's `GRPOTrainer.log` have W&B keep: history, settings, tables."""
    settings = {"num_generations": table.group_size, "reward_weights": str(list(table.reward_weights))}
    config = proto(*((1, item(key, value)) for key, value in settings.items()))
    records = [proto((1, 0), (17, proto((1, "id"), (4, config))))]
    batches = dict(by_step(table))
    columns = ["step", "prompt", "completion", *table.reward_columns, "advantage"]
    media = run / "files" / "media" / "table"
    media.mkdir(parents=True)
    at = 0
    for entry in entries(table, {key: f"train/{trl_name(key)}" for key in table.metrics.columns if key != "step"}):
        step = entry.pop("step")
        rows = [{**entry, "train/global_step": step}, *([{"completions": {"_type": "table-file"}}] * (step in batches))]
        for row in rows:
            items = proto(*((1, item(key, value)) for key, value in {**row, "_step": at, "_runtime": 0.5}.items()))
            records.append(proto((1, at), (2, items)))
            at += 1
        if step in batches:
            data = [[row[c] for c in columns] for row in batches[step]]
            (media / f"completions_{at - 1}_0f{step}.table.json").write_text(
                json.dumps({"columns": columns, "data": data})
            )
    wandb_file(records, run / "run-id.wandb")
    return run


def bundle(folder: Path) -> None:
    """Write the logs anew."""
    shutil.rmtree(folder / "verl", ignore_errors=True)
    verl(source(1, 2, 3, 4), folder / "verl" / "rollout", uid="{step}{group}_{rollout}_0")
    verl(source(2, 4), folder / "verl" / "validation", uid="v{step}{group}_{rollout}_0", validation=True)
    verl_metrics(source(), folder / "verl" / "metrics.jsonl")
    shutil.rmtree(folder / "ms_swift", ignore_errors=True)
    ms_swift(source(1, 2, 3, 4), folder / "ms_swift")
    shutil.rmtree(folder / "nemo_rl", ignore_errors=True)
    nemo_rl_validation(source(2), nemo_rl(source(1, 2), folder / "nemo_rl"))


if __name__ == "__main__":
    bundle(shipped("data/logs"))
