"""Logs of TRL's GRPO trainer: `completions/completions_<step>.parquet` (`log_completions=True`), `trainer_state.json`.

Columns: step, prompt, completion, one per reward function, whatever `log_extra` recorded, advantage (TRL 1.16,
`GRPOTrainer.log`). A generation batch that serves several updates is logged again under each step, and nothing numbers
the groups. The metrics stand in trainer_state.json of the run and of each checkpoint (`TrainerState.save_to_json` of
transformers), and may be all there is. With `log_completions_hub_repo` the Parquet files lie in the repository itself.
"""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path

import polars as pl

from lab.errors import InputError
from lab.logs.columns import gathered
from lab.logs.contract import Known, Raw, reader
from lab.logs.formats import read_files
from lab.logs.readers.trl.files import find_files, is_log
from lab.logs.readers.trl.sidecars import RunInfo, TrainerState, find_trainer_state, read_json
from lab.text import listed

__all__ = ["read"]


_HOLDS = "completions/completions_<step>.parquet, written where log_completions=True, or trainer_state.json"


@reader("trl", recognises=is_log, holds=_HOLDS)
def read(path: Path, steps: Container[int] | None) -> Raw:
    """A run's folder, one of its checkpoints, the folder of the completions, or one file.

    `trainer_state.json` and `run_info.json` of the run's folder are read where they exist.
    """
    files = find_files(path, steps)
    if not files.parquet:
        return _metrics_alone(files.run)
    frame, lacking, notes = gathered(files.parquet, read_files(files.parquet))
    if "advantage" in frame.columns:  # the trainer gives one to every rollout: what was NaN, Parquet holds as null
        frame = frame.with_columns(pl.col("advantage").cast(pl.Float64).fill_null(float("nan")))
    if files.ignored:
        notes = [f"Parquet files with other names are left out: {listed(files.ignored)}.", *notes]
    state, info, said = _sidecars(files.run)
    metrics, odd = (state or TrainerState(log_history=[])).metrics()
    known = _known(frame, state, info)
    return Raw(frame, known, metrics, (*notes, *said, *odd), lacking=lacking)


def _metrics_alone(run: Path) -> Raw:
    """A run whose completions were not kept."""
    found, stray = find_trainer_state(run)
    state = read_json(found, TrainerState) if found else None
    metrics, odd = (state or TrainerState(log_history=[])).metrics()
    lacking = f"{run} has no completions; log_completions=True of GRPOConfig writes them."
    return Raw(pl.DataFrame(), metrics=metrics, notes=(lacking, *stray, *odd))


def _sidecars(run: Path) -> tuple[TrainerState | None, RunInfo | None, list[str]]:
    """The JSON files of the run; one that cannot be read is left out with a sentence."""
    notes: list[str] = []
    state, info = None, None
    try:
        info = read_json(run / "run_info.json", RunInfo)
    except InputError as reason:
        notes.append(f"The settings are left out: {reason}.")
    try:
        found, stray = find_trainer_state(run)
        notes += stray
        state = read_json(found, TrainerState) if found else None
    except InputError as reason:
        notes.append(f"The trainer's metrics are left out: {reason}.")
    return state, info, notes


def _known(frame: pl.DataFrame, state: TrainerState | None, info: RunInfo | None) -> Known:
    """Rewards are named by the keys `rewards/<name>/mean` of the state, else by the settings."""
    sources = {"trainer_state.json": state.rewards() if state else [], "run_info.json": info.rewards if info else []}
    named = ((where, tuple(n for n in names if n in frame.columns)) for where, names in sources.items())
    where, rewards = next(((where, names) for where, names in named if names), ("", ()))
    said = {"group_size": "run_info.json", "weights": "run_info.json", "metrics": "trainer_state.json"}
    return Known(
        group_size=info.group_size if info else None,
        rewards=rewards,
        weights=info.weight_of if info else {},
        said={**said, "rewards": where},
    )
