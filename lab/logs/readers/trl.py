"""Completion logs of TRL's GRPO trainer (`log_completions=True`): `completions/completions_<step>.parquet`.

Columns: step, prompt, completion, one per reward function, whatever `log_extra` recorded, advantage (as TRL 1.16 writes
them). A generation batch that serves several updates is logged again under each step, and nothing numbers the groups.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from pathlib import Path

import polars as pl

from lab.errors import InputError
from lab.logs import infer
from lab.logs.columns import join, read_file, reward_values
from lab.logs.files import LogFiles, find_files
from lab.logs.infer import listed
from lab.logs.parquet import footer
from lab.logs.sidecars import RunInfo, TrainerState, find_trainer_state, read_json
from lab.logs.table import RolloutTable

__all__ = ["MAX_BYTES", "MAX_ROWS", "load"]

#: Rollouts that are read at once; longer logs are read in parts (`steps=`).
MAX_ROWS = 1_000_000

#: Bytes that are read at once, after decompression.
MAX_BYTES = 2**30

_RENAMED = {"group": "group_logged", "rollout": "rollout_logged", "reward": "reward_logged"}


def load(
    path: str | Path,
    *,
    steps: Iterable[int] | None = None,
    group_size: int | None = None,
    reward_columns: Sequence[str] | None = None,
    reward_weights: Sequence[float] | None = None,
    keep_repeats: bool = False,
    incomplete: str = "error",
) -> RolloutTable:
    """Open a training log: a run's folder, its `completions` folder, or one Parquet file.

    What the log does not say is inferred, and `notes` of the result says what and from where; the options correct it.

    Args:
        path: Folder or file. `trainer_state.json` and `run_info.json` of the run's folder are read where they exist.
        steps: Read these steps only, e.g. `range(1, 101)`.
        group_size: Rollouts per prompt G.
        reward_columns: Names of the reward components.
        reward_weights: Weight of each component [K].
        keep_repeats: Keep steps that repeat the rows of the step before.
        incomplete: "error", or "drop" to leave out groups that are not complete.

    Returns:
        The rollouts, ordered by step, group and rollout. A missing reward (NaN) is null.

    Raises:
        InputError: Nothing to read there, a damaged or foreign file, columns of the wrong type, infinite values, or
            more than `MAX_ROWS` rows or `MAX_BYTES` bytes; the message names the file and what would be right.
        UnknownNameError: A name in `reward_columns` that the log does not have.
    """
    wanted = _wanted(steps)
    files = find_files(path, wanted)
    frame, lacking, notes = _read(files, wanted)
    state, info, said = _sidecars(files.run)
    frame, repeats, repeated = infer.drop_repeats(frame, keep_repeats)
    columns, about_columns = infer.reward_columns(frame, reward_columns, state, info)
    weights, about_weights = infer.reward_weights(columns, reward_weights, state, info)
    size, about_size = infer.group_size(frame, group_size, info)
    frame, missing = reward_values(frame, columns, lacking)
    frame, about_groups = infer.number_groups(frame.rename(_RENAMED, strict=False), size, incomplete)
    columns = [_RENAMED.get(c, c) for c in columns]
    frame = _assemble(frame, columns, weights)
    notes += [*said, *repeated, *about_columns, *about_weights, *about_size, *about_groups, *missing]
    metrics = state.frame() if state else TrainerState(log_history=[]).frame()
    source = Path(path).expanduser()
    return RolloutTable(frame, tuple(columns), tuple(weights), size, tuple(notes), source, metrics, repeats)


def _wanted(steps: Iterable[int] | None) -> Container[int] | None:
    if steps is None or isinstance(steps, range):
        return steps
    try:
        return {int(step) for step in steps}
    except (TypeError, ValueError):
        raise InputError(f"steps={steps!r}; it must be whole numbers, such as range(1, 101) or [1, 5]") from None


def _read(files: LogFiles, wanted: Container[int] | None) -> tuple[pl.DataFrame, dict[str, Path], list[str]]:
    """All rows in the order of the steps, with the file and row that each came from."""
    claims = [footer(file) for file in files.parquet]
    rows, size = sum(c.rows for c in claims), sum(c.size for c in claims)
    if rows > MAX_ROWS or size > MAX_BYTES:
        raise InputError(
            f"{files.parquet[0].parent}: {len(claims)} file(s) claim {rows} rows and {size / 2**20:.0f} MiB; up to "
            f"{MAX_ROWS} rows and {MAX_BYTES // 2**20} MiB are read at once: choose fewer with steps=range(1, 101)"
        )
    frame, lacking, notes = join(files.parquet, [read_file(file) for file in files.parquet])
    if wanted is not None:
        known = frame["step"].unique().sort().to_list()
        frame = frame.filter(pl.col("step").is_in([step for step in known if step in wanted]))
        if frame.is_empty():
            raise InputError(f"{files.run} has none of the wanted steps; it has {len(known)}: {listed(known)}")
    _check_steps(frame)
    read = f"{frame.height} rows of {frame['step'].n_unique()} steps from {len(claims)} file(s)."
    other = [f"Parquet files with other names are left out: {listed(files.ignored)}."] if files.ignored else []
    return frame.sort("step", maintain_order=True), lacking, [read, *other, *notes]


def _check_steps(frame: pl.DataFrame) -> None:
    shared = (
        frame.group_by("step").agg(pl.col("_file").unique().sort()).filter(pl.col("_file").list.len() > 1).sort("step")
    )
    if shared.height:
        step, names = shared.row(0)
        raise InputError(f"step {step} stands in several files: {listed(names)}; keep one of them")


def _sidecars(run: Path) -> tuple[TrainerState | None, RunInfo | None, list[str]]:
    """The JSON files of the run; one that cannot be read is left out with a sentence."""
    notes: list[str] = []
    state, info = None, None
    try:
        info = read_json(run / "run_info.json", RunInfo)
    except InputError as reason:
        notes.append(f"The settings are left out: {reason}.")
    try:
        found = find_trainer_state(run)
        state = read_json(found, TrainerState) if found else None
    except InputError as reason:
        notes.append(f"The trainer's metrics are left out: {reason}.")
    return state, info, notes


def _assemble(frame: pl.DataFrame, columns: Sequence[str], weights: Sequence[float]) -> pl.DataFrame:
    """Total reward, logged advantage, and the order of the columns."""
    unscored = pl.all_horizontal(pl.col(c).is_null() for c in columns)
    parts = (pl.col(c) * w for c, w in zip(columns, weights, strict=True))
    total = pl.when(unscored).then(None).otherwise(pl.sum_horizontal(parts)).alias("reward")
    advantage = pl.col("advantage") if "advantage" in frame.columns else pl.lit(None, pl.Float64).alias("advantage")
    lead = ["step", "prompt", "group", "rollout", "completion", *columns]
    extra = [c for c in frame.columns if c not in (*lead, "advantage", "_file", "_row")]
    return frame.select(*lead, total, advantage, *extra)
