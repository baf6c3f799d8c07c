"""A recording of rlprobe: a folder with manifest.json, steps.parquet and samples/shard-<n>.parquet.

Layout and columns (rlprobe 0.1, rlprobe/storage.py, `RunWriter`; rlprobe/schemas, `StepRecord` and `SampleRecord`):
steps.parquet, or steps/part-<n>.parquet while the run goes on, has a row for each step; samples have step, sample_id,
rank, group_id, prompt_id, prompt_text, completion_text, reward_total, `reward_component.<name>`, advantage,
completion_len, truncated, capture_reason. Other ranks stand in rank-<n>/. Of a step with many rollouts only a few are
kept (recorder/sampling.py, `select_samples`), and what they say of their group is then not the whole.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from lab.errors import InputError
from lab.logs.columns import column, join
from lab.logs.contract import Raw, reader
from lab.logs.formats import names_in, read_files, tables
from lab.logs.readers.trl.sidecars import read_json
from lab.logs.scalars import per_step
from lab.logs.schema import raw
from lab.text import listed

__all__ = ["read"]

_MANIFEST = "manifest.json"
_PART = "reward_component."

#: rlprobe's names of what `lab.logs.SCALARS` names.
_METRICS = {
    "reward_mean": "reward",
    "zero_variance_group_frac": "zero_std",
    "entropy_mean": "entropy",
    "kl_mean": "kl",
    "clip_fraction": "clip_share",
    "completion_len_mean": "length",
    "truncation_rate": "truncated",
    "lr": "learning_rate",
}
_CLOCK = ("timestamp", "rank")
_GROUPS = ("group_id", "prompt_id", "prompt_text")
_SAMPLES = {
    "prompt_text": "prompt",
    "completion_text": "completion",
    "advantage": "advantage",
    "completion_len": "length",
    **{name: name for name in ("truncated", "logprob_mean", "kl_contribution", "rank", "capture_reason")},
}


class Manifest(BaseModel):
    """manifest.json, as far as it is read.

    Attributes:
        schema_version: Version of the layout.
        run_id: The run.
        trainer_config: The trainer's settings; `num_generations` is the size of a group.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    schema_version: int
    run_id: str
    trainer_config: dict[str, Any] = Field(default_factory=dict)

    @property
    def group_size(self) -> int | None:
        """Rollouts per prompt, if the trainer's settings say it."""
        size = self.trainer_config.get("num_generations")
        return size if isinstance(size, int) and size > 0 else None


def _manifest(path: Path) -> Manifest | None:
    try:
        return read_json(path / _MANIFEST, Manifest)
    except InputError:
        return None


def _is_log(path: Path) -> bool:
    return path.is_dir() and bool(_steps(path) or _samples(path)) and _manifest(path) is not None


def _steps(run: Path) -> list[Path]:
    whole = run / "steps.parquet"
    parts = run / "steps"
    return [whole] if whole.is_file() else tables(parts, (".parquet",)) if parts.is_dir() else []


def _samples(run: Path) -> list[Path]:
    folders = [run / "samples", *sorted(run.glob("rank-*/samples"))]
    return [file for folder in folders if folder.is_dir() for file in tables(folder, (".parquet",))]


@reader("rlprobe", recognises=_is_log, holds="a folder with manifest.json, steps.parquet and samples")
def read(path: Path, steps: Container[int] | None) -> Raw:
    """The folder of a recording."""
    manifest = read_json(path / _MANIFEST, Manifest)
    if manifest is None or not (_steps(path) or _samples(path)):
        raise InputError(f"{path} is no recording of rlprobe: it needs {_MANIFEST}, and steps.parquet or samples")
    parts, cut_steps = _undamaged(_steps(path))
    shards, cut_samples = _undamaged(_samples(path))
    rows = (row for frame in read_files(parts) for row in frame.iter_rows(named=True))
    metrics, odd = per_step(rows, _metric)
    samples, said = _rollouts(shards, manifest.group_size)
    notes = (*cut_steps, *cut_samples, *said, *odd)
    if samples.is_empty():
        return Raw(pl.DataFrame(), metrics=metrics.drop(_CLOCK, strict=False), notes=notes)
    log = raw([path / "samples"], [samples], metrics=metrics.drop(_CLOCK, strict=False), notes=notes)
    return replace(log, known=replace(log.known, said={**log.known.said, "metrics": "steps.parquet"}))


def _undamaged(files: list[Path]) -> tuple[list[Path], list[str]]:
    """The files that were written to their end, and the name of each that was not."""
    whole, notes = [], []
    for file in files:
        try:
            names_in(file)
            whole.append(file)
        except InputError as reason:
            notes.append(f"Left out: {reason}.")
    return whole, notes


def _rollouts(shards: list[Path], size: int | None) -> tuple[pl.DataFrame, list[str]]:
    """The samples of whole groups in the lab's own form, and what was left out."""
    filled = [(file, frame) for file, frame in zip(shards, read_files(shards), strict=True) if frame.height]
    if not filled:
        return pl.DataFrame(), ["The recording has no samples of rollouts."]
    frame, _, _ = join([file for file, _ in filled], [frame for _, frame in filled])
    missing = [c for c in ("step", "reward_total") if c not in frame.columns]
    if missing or not any(c in frame.columns for c in _GROUPS):
        raise InputError(f"{filled[0][0]} has no column {listed(missing or _GROUPS)}; it has {listed(frame.columns)}")
    return _whole_groups(_named(frame), size)


def _metric(name: str) -> str:
    """A metric's name here; the parts of TRL's rewards stand under `extra.`."""
    if name.startswith(_PART):
        return f"reward/{name.removeprefix(_PART)}"
    if name.startswith("extra.rewards.") and name.endswith(".std"):
        return f"reward_std/{name.removeprefix('extra.rewards.').removesuffix('.std')}"
    return _METRICS.get(name, name.removeprefix("extra."))


def _named(samples: pl.DataFrame) -> pl.DataFrame:
    """Samples in the lab's own form; groups are told by the first of `_GROUPS` that is known, on each rank."""
    parts = {c: f"reward/{c.removeprefix(_PART)}" for c in samples.columns if c.startswith(_PART)}
    names = {**(parts or {"reward_total": "reward/total"}), **_SAMPLES}
    told = next((c for c in _GROUPS if c in samples.columns and samples[c].null_count() < samples.height), _GROUPS[-1])
    own = (
        pl.col(told).cast(pl.String).str.strip_prefix(pl.col("step").cast(pl.String) + "_")
    )  # "7_g0": a batch used twice
    rank = [pl.col("rank").cast(pl.String)] if "rank" in samples.columns else []
    group = pl.concat_str(*rank, own, separator="/", ignore_nulls=True).alias("group")
    known = [c for c in names if c in samples.columns and samples[c].dtype != pl.Null]
    return samples.select("step", group, *(column(c).alias(names[c]) for c in known))


def _whole_groups(samples: pl.DataFrame, size: int | None) -> tuple[pl.DataFrame, list[str]]:
    """The groups of which every rollout was kept, and what became of the others."""
    reason = samples.get_column("capture_reason", default=None)
    if reason is None or set(reason.drop_nulls().unique()) <= {"all"}:
        return samples, []
    of_whom = column("step"), column("group")
    kept = samples.filter(pl.len().over(*of_whom) == size) if size else samples.clear()
    if kept.height == samples.height:
        return kept, []
    return kept, [
        f"rlprobe kept {samples.height} of the rollouts, the best, the worst and a few others of each step; "
        f"{kept.height} stand in a group that is whole, the others are left out, since nothing can be said of their "
        "groups. Its SamplingConfig, or log_samples(select=False), keeps all."
    ]
