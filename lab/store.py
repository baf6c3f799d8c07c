"""Runs on disk: which files a run has, and how they are written so that a killed run loses one chunk at most.

    runs/<name>/config.json                                  what decides the rows
    runs/<name>/rollouts-<variant>-<block>-<chunk>.parquet   a sample: variant, seed, step, prompt, rollout, ...
    runs/<name>/trace-<variant>-<block>-<chunk>.parquet      variant, seed, step, measurements
    runs/<name>/state-<variant>-<block>.npz                  parameters and moments after the last chunk

They are written in this order, each whole. So a chunk whose trace is there is done, and a run that was killed at any
moment goes on from its last state to the rows that it would have had. Every file names the run and the place that it
was written for.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.config import Config
from lab.errors import InputError, UnknownNameError
from lab.files import TEMPORARY, clean, locked, read_arrays, write, write_arrays

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Cell", "Run", "find", "opened", "path_of", "runs"]

_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
_OURS = re.compile(r"(trace|rollouts)-.*\.parquet|state-.*\.npz")
_IDENTITY = "advantage-lab"
_REMEDY = "remove it, and `advlab run --resume` computes its rows again"


@dataclass(frozen=True)
class Cell:
    """One block of seeds of one variant: a piece of work that needs no other.

    Attributes:
        key: Part of the names of its files.
        index: Which variant of the configuration it walks.
        seeds: Its seeds.
    """

    key: str
    index: int
    seeds: tuple[int, ...]


class Run:
    """A run on disk, finished or not.

    Args:
        path: Its folder.

    Raises:
        InputError: There is no such folder, or it has no config.json.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.name = self.path.name
        if not (self.path / "config.json").is_file():
            what = "has no config.json, so it is not a run" if self.path.exists() else "does not exist"
            raise InputError(f"{self.path} {what}")

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @cached_property
    def config(self) -> Config:
        """The configuration it was started with."""
        return Config.read(self.path / "config.json")

    @cached_property
    def cells(self) -> list[Cell]:
        """Its pieces of work, variant by variant."""
        seeds, size = self.config.numbers, self.config.block
        blocks = [tuple(seeds[i : i + size]) for i in range(0, len(seeds), size)]
        keys = _slugs([v.label or v.name for v in self.config.variants])
        return [Cell(f"{k}-{b:03d}", i, part) for i, k in enumerate(keys) for b, part in enumerate(blocks)]

    @property
    def chunks(self) -> int:
        """Number of chunks of a cell."""
        return max(1, -(-self.config.steps // self.config.chunk))

    @property
    def complete(self) -> bool:
        """Whether every row is there."""
        return all(self.missing(cell) is None for cell in self.cells)

    @property
    def progress(self) -> tuple[int, int]:
        """Steps that are written, of all variants and seeds together, and steps in all."""
        steps, chunk = self.config.steps, self.config.chunk
        there = [(self.missing(cell), len(cell.seeds)) for cell in self.cells]
        done = sum(seeds * (steps if m is None else min(m * chunk, steps)) for m, seeds in there)
        return done, steps * sum(seeds for _, seeds in there)

    @property
    def frame(self) -> pl.DataFrame:
        """The trace as far as it is written: variant, seed, step and measurements, as in `lab.Trace.frame`.

        Raises:
            InputError: A file is damaged or not of this run.
        """
        return self._collected("trace")

    @property
    def rollouts(self) -> pl.DataFrame:
        """The sample of rollouts: variant, seed, step, and the columns of `lab.experiment.Replay.frame`.

        Raises:
            InputError: A file is damaged or not of this run.
        """
        return self._collected("rollouts")

    def scan(self, kind: str = "trace") -> pl.LazyFrame:
        """The "trace" or the "rollouts" as a lazy frame, for runs larger than the memory.

        Rows come variant by variant and file by file; `_order` is the variant's place in the configuration.

        Raises:
            InputError: A file is damaged or not of this run.
        """
        import polars as pl

        self.check()
        parts = []
        for i in range(len(self.config.variants)):
            cells = [cell for cell in self.cells if cell.index == i]
            files = [p for cell in cells for c in range(self.chunks) if (p := self._file(kind, cell, c)).exists()]
            if files:
                parts.append(pl.scan_parquet(files, glob=False, hive_partitioning=False).with_columns(_order=pl.lit(i)))
        empty = {"variant": pl.String, "seed": pl.Int64, "step": pl.Int64, "_order": pl.Int32}
        return pl.concat(parts, how="diagonal") if parts else pl.LazyFrame(schema=empty)

    def summary(self, metrics: Iterable[str] | None = None) -> pl.DataFrame:
        """Mean over seeds with its 95% interval at each step; see `lab.trace.summarise`."""
        from lab.trace import summarise

        return summarise(self.frame, metrics)

    def outcome(self) -> pl.DataFrame:
        """Each variant in a nutshell: value and accuracies at the last step, all else averaged over the steps.

        Returns:
            Table variant, step, metric, mean, low, high, runs, as `summary` has it, `step` being the last one.
        """
        import polars as pl

        from lab.trace import summarise

        keys = ("_order", "variant", "seed")
        scanned = self.scan()
        metrics = [name for name in scanned.collect_schema().names() if name not in (*keys, "step")]
        per_run = scanned.group_by(keys).agg(pl.col("step").max(), *(_outcome(name) for name in metrics)).sort(keys)
        same_step = pl.col("step").max().over("variant")  # where a run is not finished, its blocks are not equally far
        return summarise(self._gathered(per_run).with_columns(same_step).drop("_order"))

    def missing(self, cell: Cell) -> int | None:
        """The first chunk of a cell that is not there, or None."""
        absent = (c for c in range(self.chunks) if not all(p.exists() for p in self._files(cell, c)))
        return next(absent, None)

    def sampled(self, cell: Cell, chunk: int) -> list[int]:
        """Steps of a chunk whose rollouts are kept, evenly spread over the run; none without the first seeds."""
        config = self.config
        if not config.steps or set(config.numbers[: config.sample_seeds]).isdisjoint(cell.seeds):
            return []
        gaps = max(1, config.sample_steps - 1)
        spread = {i * (config.steps - 1) // gaps for i in range(config.sample_steps)}
        return sorted(spread.intersection(range(chunk * config.chunk, (chunk + 1) * config.chunk)))

    def write(self, cell: Cell, chunk: int, tables: Mapping[str, pl.DataFrame], state: Mapping[str, Any]) -> None:
        """Add a chunk of a cell: its tables "rollouts" (where it has a sample) and "trace", and the state after it."""
        import numpy as np

        for kind in ("rollouts", "trace"):
            if kind in tables:
                path = self._file(kind, cell, chunk)
                write(path, partial(tables[kind].write_parquet, metadata={_IDENTITY: self._identity(path)}))
        path = self._state(cell)
        write_arrays(path, {**state, "of": np.array(self._identity(path))})

    def state(self, cell: Cell) -> dict[str, Any] | None:
        """Where a cell goes on, or None where it starts.

        Raises:
            InputError: The file is damaged or not of this run.
        """
        path = self._state(cell)
        if not path.exists():
            return None
        try:
            state = read_arrays(path)
        except InputError as error:
            raise InputError(f"{error}; {_REMEDY}") from None
        if str(state.pop("of", "")) != self._identity(path):
            raise InputError(f"{path} was not written for this run; {_REMEDY}")
        there = self.missing(cell)
        return state if there is None or int(state["step"]) <= there * self.config.chunk else None

    def check(self) -> None:
        """Look at every file that is named like a run's.

        Raises:
            InputError: One is damaged or not of this run; the message names it and says what to do.
        """
        tables = {p for cell in self.cells for c in range(self.chunks) for p in self._files(cell, c)}
        states = {self._state(cell) for cell in self.cells}
        for path in sorted(self.path.iterdir()):
            if path in tables:
                self._check(path)
            elif _OURS.fullmatch(path.name) and path not in states:
                raise InputError(f"{path} does not belong to this run; move it out of the folder")

    def _check(self, path: Path) -> None:
        import polars as pl
        from polars.exceptions import PolarsError

        from lab.logs.parquet import footer

        try:
            footer(path)
            found = pl.read_parquet_metadata(path).get(_IDENTITY)
        except (InputError, PolarsError, OSError) as error:
            raise InputError(f"{_line(error)}; {path} is no file of this run: {_REMEDY}") from None
        if found != self._identity(path):
            raise InputError(f"{path} was not written for this run; {_REMEDY}")

    def _identity(self, path: Path) -> str:
        return f"{self._digest}/{path.name}"

    @cached_property
    def _digest(self) -> str:
        return hashlib.sha256((self.path / "config.json").read_bytes()).hexdigest()[:32]

    def _state(self, cell: Cell) -> Path:
        return self.path / f"state-{cell.key}.npz"

    def _file(self, kind: str, cell: Cell, chunk: int) -> Path:
        return self.path / f"{kind}-{cell.key}-{chunk:05d}.parquet"

    def _files(self, cell: Cell, chunk: int) -> list[Path]:
        kinds = ("trace", "rollouts") if self.sampled(cell, chunk) else ("trace",)
        return [self._file(kind, cell, chunk) for kind in kinds]

    def _collected(self, kind: str) -> pl.DataFrame:
        ordered = self.scan(kind).sort("_order", "seed", "step", maintain_order=True)
        return self._gathered(ordered).drop("_order")

    def _gathered(self, frame: pl.LazyFrame) -> pl.DataFrame:
        from polars.exceptions import PanicException, PolarsError

        from lab.logs.parquet import read

        try:
            return frame.collect()
        except (PolarsError, PanicException, OSError) as error:
            for path in sorted(self.path.glob("[tr]*.parquet")):
                try:
                    read(path)
                except InputError as found:
                    raise InputError(f"{found}; or {_REMEDY}") from None
            raise InputError(f"{self.path} cannot be read: {_line(error)}") from None


def path_of(name: str, folder: str | Path = "runs") -> Path:
    """The folder of the run of that name, whether it is there or not.

    Raises:
        InputError: No run can have that name.
    """
    if not _NAME.fullmatch(name) or name in (".", ".."):
        raise InputError(f"run name {name!r}; it may have 1 to 100 letters, digits, '.', '_' and '-', and nothing else")
    return Path(folder) / name


def find(name: str, folder: str | Path = "runs") -> Run:
    """The run of that name.

    Raises:
        InputError: No run can have that name.
        UnknownNameError: There is none; the nearest names are offered.
    """
    path = path_of(name, folder)
    if not (path / "config.json").is_file():
        raise UnknownNameError("run", name, [run.name for run in runs(folder)], f"looked in {Path(folder)}{os.sep}")
    return Run(path)


def runs(folder: str | Path = "runs") -> list[Run]:
    """All runs of a folder by name; none where there is no such folder."""
    return [Run(path.parent) for path in sorted(Path(folder).glob("*/config.json"))]


@contextmanager
def opened(name: str, config: Config, folder: str | Path = "runs", *, resume: bool = False) -> Iterator[Run]:
    """A run to write to, new or gone on with, held against other processes.

    Args:
        name: Its name.
        config: Its configuration.
        folder: The folder of all runs.
        resume: Go on with the run of that name, if there is one.

    Raises:
        InputError: The name is taken, the run has another configuration or a damaged file, or another process holds it.
    """
    path = path_of(name, folder)
    if not resume:
        _check_free(path)
    path.mkdir(parents=True, exist_ok=True)
    with locked(path):
        if not resume:
            _check_free(path)
        clean(path)
        if not (path / "config.json").exists():
            write(path / "config.json", lambda file: file.write(config.text().encode()))
        run = Run(path)
        if differences := config.differences(run.config):
            raise InputError(f"{path} has other settings ({'; '.join(differences)}); resume it with its own")
        run.check()
        yield run


def _check_free(path: Path) -> None:
    """A folder without a configuration is free as long as nothing stands in it but what a killed start left."""
    if (path / "config.json").exists():
        raise InputError(
            f"{path} exists: go on with it (`advlab run --resume {path.name}`, resume=True), or take another name"
        )
    if path.exists() and any(not p.name.startswith((TEMPORARY, ".lock")) for p in path.iterdir()):
        raise InputError(f"{path} exists and is not a run (it has no config.json); take another name")


def _slugs(labels: list[str]) -> list[str]:
    """Labels as parts of file names, all different on every file system."""
    slugs = [re.sub(r"[^A-Za-z0-9.@_-]+", "_", label)[:60].lower() for label in labels]
    return slugs if len(set(slugs)) == len(slugs) else [f"{slug}.{i}" for i, slug in enumerate(slugs)]


def _outcome(name: str) -> pl.Expr:
    import polars as pl

    from lab.measures.metrics import HELD_OUT

    if name not in ("value", *HELD_OUT):
        return pl.col(name).mean()
    return pl.col(name).sort_by("step").drop_nulls().last()


def _line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:200]
