"""A run of tinker-cookbook: metrics.jsonl, and iteration_<n>/train_rollout_summaries.jsonl with a rollout in each line.

Keys of a rollout (tinker-cookbook 0.6, rl/rollout_logging.py, `serialize_rollout_summaries`): split, iteration,
group_idx, traj_idx, total_reward (the sum of the steps' rewards and final_reward), trajectory_metrics, steps (ob_len,
ac_len, reward, metrics). Advantages are not logged: they are the total reward less the group's mean
(rl/data_processing.py, `compute_advantages`). Texts stand in train_logtree.json beside it, of the first groups alone.
Evaluations have files of the same form, eval_<name>_rollout_summaries.jsonl. Metrics are those of
rl/metric_util.py and rl/metrics.py.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from lab.errors import InputError
from lab.logs.contract import Raw, reader
from lab.logs.formats import names_in, records, tables
from lab.logs.readers.tinker.transcripts import texts
from lab.logs.scalars import integer, number, per_step, scalar_name
from lab.logs.schema import objects
from lab.text import listed

__all__ = ["read"]

_ROLLOUTS = "_rollout_summaries.jsonl"
_FOLDER = re.compile(r"iteration_([0-9]{1,18})")
_OWN = {"iteration", "group_idx", "traj_idx", "total_reward"}


def _folders(path: Path) -> dict[int, Path]:
    """The folders of the iterations, in their order; that of one iteration, if the path is one."""
    found = [path, *path.iterdir()] if path.is_dir() else [path.parent]
    numbered = {int(match[1]): f for f in found if (match := _FOLDER.fullmatch(f.name)) and f.is_dir()}
    return dict(sorted(numbered.items()))


def _rollouts(path: Path, steps: Container[int] | None = None) -> list[Path]:
    if not path.is_dir():
        return [path] if path.name.endswith(_ROLLOUTS) else []
    folders = [folder for step, folder in _folders(path).items() if steps is None or step in steps]
    return [f for folder in folders for f in tables(folder, (".jsonl",)) if f.name.endswith(_ROLLOUTS)]


def _metrics_file(path: Path) -> Path:
    folder = path if path.is_dir() else path.parent
    run = folder.absolute().parent if _FOLDER.fullmatch(folder.absolute().name) else folder
    return run / "metrics.jsonl"


def _is_log(path: Path) -> bool:
    try:
        file = next(iter(_rollouts(path)), None)
        if file is not None:
            return set(names_in(file)) >= _OWN
        metrics = path / "metrics.jsonl" if path.is_dir() else path
        own = ("env/all/", "progress/batch", "progress/done_frac")
        return metrics.name == "metrics.jsonl" and any(name.startswith(own) for name in names_in(metrics))
    except (InputError, OSError):
        return False


@reader("tinker", recognises=_is_log, holds="metrics.jsonl and iteration_<n>/train_rollout_summaries.jsonl")
def read(path: Path, steps: Container[int] | None) -> Raw:
    """A run's folder, the folder of one iteration, or one file."""
    files = _rollouts(path, steps)
    metrics, said = _metrics(_metrics_file(path))
    if not files:
        has = [step for step in _folders(path) if steps is not None]
        if has:
            raise InputError(f"{path} has none of the wanted steps; it has {len(has)}: {listed(has)}")
        none = "The run has no rollouts: rollout_json_export of the trainer's Config writes them."
        return Raw(pl.DataFrame(), metrics=metrics, notes=(none, *said))
    log = objects(files, _rollout)
    frame, told = texts(log.frame, files)
    return replace(log, frame=frame, metrics=metrics, notes=(*log.notes, *told, *said))


def _rollout(logged: dict[str, Any]) -> dict[str, Any]:
    """A line in the lab's own form."""
    missing = sorted(_OWN - logged.keys())
    if missing:
        raise InputError(f"a rollout of tinker-cookbook has no key {listed(missing)}; it has {listed(logged)}")
    split, turns = logged.get("split", "train"), _turns(logged)
    measured = [turn.get("metrics") for turn in turns] + [logged.get("trajectory_metrics")]
    return {
        "step": logged["iteration"],
        "group": str(logged["group_idx"]) if split == "train" else f"{split}/{logged['group_idx']}",
        "rollout": logged["traj_idx"],
        "reward/total_reward": logged["total_reward"],
        "evaluation": split != "train",
        "length": sum(integer(turn.get("ac_len")) or 0 for turn in turns),
        "turns": len(turns),
        "final_reward": number(logged.get("final_reward")),
        **{f"metric/{k}": number(v) for m in measured if isinstance(m, dict) for k, v in m.items()},
    }


def _turns(logged: dict[str, Any]) -> list[dict[str, Any]]:
    turns = logged.get("steps")
    return [turn for turn in turns if isinstance(turn, dict)] if isinstance(turns, list) else []


def _metrics(file: Path) -> tuple[pl.DataFrame, list[str]]:
    """metrics.jsonl, with the share of silent groups and the mean length under the names that every trainer's have."""
    if not file.is_file():
        return per_step([])
    (rows,), torn = records([file])
    metrics, odd = per_step(rows, scalar_name)
    known = set(metrics.columns)
    if "env/all/by_group/frac_mixed" in known:
        metrics = metrics.with_columns(zero_std=1 - pl.col("env/all/by_group/frac_mixed"))
    if {"env/all/total_ac_tokens", "env/all/total_episodes"} <= known:
        metrics = metrics.with_columns(length=pl.col("env/all/total_ac_tokens") / pl.col("env/all/total_episodes"))
    return metrics, [*torn, *odd]
