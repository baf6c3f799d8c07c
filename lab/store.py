"""Runs by name: what is read of them, and how one is opened to be written. Their files: `lab.run_folder`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lab.config import Config
from lab.errors import InputError, UnknownNameError
from lab.files import TEMPORARY, clean, locked, write
from lab.run_folder import REMEDY, TABLES, Cell, Folder, line_of

if TYPE_CHECKING:
    import polars as pl

__all__ = ["TABLES", "Cell", "Run", "find", "opened", "path_of", "runs"]

_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")


class Run(Folder):
    """A run on disk, finished or not.

    Args:
        path: Its folder.

    Raises:
        InputError: There is no such folder, or it has no config.json.
    """

    @property
    def complete(self) -> bool:
        """Whether every row is there."""
        return all(self.missing(cell) is None for cell in self.cells)

    @property
    def progress(self) -> tuple[int, int]:
        """Steps that are written and steps in all, those of every seed of every variant counted."""
        done = sum(self.reached(cell) * len(cell.seeds) for cell in self.cells)
        return done, self.config.steps * sum(len(cell.seeds) for cell in self.cells)

    def reached(self, cell: Cell) -> int:
        """Steps of a cell that are written.

        Raises:
            InputError: Its state is damaged or not of this run.
        """
        missing = self.missing(cell)
        if missing is None:
            return self.config.steps
        state = self.state(cell)
        return max(missing * self.config.chunk, 0 if state is None else int(state["step"]))

    @property
    def frame(self) -> pl.DataFrame:
        """The trace as far as it is written: variant, seed, step and measurements, as in `lab.Trace.frame`.

        Raises:
            InputError: A file is damaged or not of this run.
        """
        return self.rows("trace")

    @property
    def rollouts(self) -> pl.DataFrame:
        """The sample of rollouts: variant, seed, step, and the columns of `lab.experiment.Replay.frame`.

        Raises:
            InputError: A file is damaged or not of this run.
        """
        return self.rows("rollouts")

    def rows(self, kind: str) -> pl.DataFrame:
        """One of its tables as far as it is written, sorted: the "trace", the "rollouts", or one of its world.

        Raises:
            UnknownNameError: The run has no such table.
            InputError: A file is damaged or not of this run.
        """
        return self._gathered(lambda: self.scan(kind).sort("_order", "seed", "step", maintain_order=True)).drop(
            "_order"
        )

    def scan(self, kind: str = "trace") -> pl.LazyFrame:
        """A table as a lazy frame, for runs larger than the memory.

        Rows come variant by variant and file by file; `_order` is the variant's place in the configuration.

        Raises:
            UnknownNameError: The run has no such table.
            InputError: A file is damaged or not of this run.
        """
        import polars as pl

        if kind not in self.tables:
            raise UnknownNameError("table of this run", kind, self.tables)
        self.check()
        parts = []
        for i in range(len(self.config.variants)):
            cells = [cell for cell in self.cells if cell.index == i]
            files = [p for cell in cells for c in range(self.chunks) if (p := self._newest(kind, cell, c))]
            if files:
                parts.append(pl.scan_parquet(files, glob=False, hive_partitioning=False).with_columns(_order=pl.lit(i)))
        empty = {"variant": pl.String, "seed": pl.Int64, "step": pl.Int64, "_order": pl.Int32}
        return pl.concat(parts, how="diagonal") if parts else pl.LazyFrame(schema=empty)

    def summary(self, metrics: str | Iterable[str] | None = None) -> pl.DataFrame:
        """Mean over seeds with its 95% interval at each step; see `lab.trace.summarise`."""
        from lab.trace import summarise

        return summarise(self.frame, metrics)

    def table(self) -> pl.DataFrame:
        """Each variant in a row, as `advlab run` ends: see `lab.trace.outcome_table`."""
        from lab.trace import outcome_table

        return outcome_table(self.outcome())

    def __repr__(self) -> str:
        names = ", ".join(v.label or v.name for v in self.config.variants)
        try:
            done, whole = self.progress
        except InputError as error:
            return f"Run {self.name}: {error}"
        return f"Run {self.name}: {names} in {self.config.world.name}; {done} of {whole} steps; .table() has more"

    def _repr_html_(self) -> str:
        from lab.trace import card_html

        return card_html(f"Run {self.name}", self.frame, [v.label or v.name for v in self.config.variants])

    def outcome(self) -> pl.DataFrame:
        """Each variant in a nutshell: value and accuracies at the last step, all else averaged over the steps.

        Returns:
            Table variant, step, metric, mean, low, high, runs, as `summary` has it, `step` being the last one.
        """
        import polars as pl

        from lab.trace import summarise

        same_step = pl.col("step").max().over("variant")  # where a run is not finished, its blocks are not equally far
        return summarise(self._gathered(lambda: _outcomes(self.scan())).with_columns(same_step).drop("_order"))

    def _gathered(self, frame: Callable[[], pl.LazyFrame]) -> pl.DataFrame:
        from polars.exceptions import PanicException, PolarsError

        from lab.logs.parquet import read

        try:
            try:
                return frame().collect()
            except FileNotFoundError:  # a part whose chunk has just been written as a whole
                return frame().collect()
        except (PolarsError, PanicException, OSError) as error:
            for path in self.unsealed:
                try:
                    read(path)
                except InputError as found:
                    raise InputError(f"{found}; or {REMEDY}") from None
            raise InputError(f"{self.path} cannot be read: {line_of(error)}; {REMEDY}") from None


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
        run.tidy()
        yield run


def _check_free(path: Path) -> None:
    """A folder without a configuration is free as long as nothing stands in it but what a killed start left."""
    if (path / "config.json").exists():
        raise InputError(
            f"{path} exists: go on with it (`advlab run --resume {path.name}`, resume=True), or take another name"
        )
    if path.exists() and any(not p.name.startswith((TEMPORARY, ".lock")) for p in path.iterdir()):
        raise InputError(f"{path} exists and is not a run (it has no config.json); take another name")


def _outcomes(trace: pl.LazyFrame) -> pl.LazyFrame:
    """A trace with one row per run."""
    import polars as pl

    from lab.trace import per_run

    keys = ("_order", "variant", "seed")
    metrics = [name for name in trace.collect_schema().names() if name not in (*keys, "step")]
    return trace.group_by(keys).agg(pl.col("step").max(), *map(per_run, metrics)).sort(keys)
