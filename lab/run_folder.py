"""Runs on disk: which files a run has, and how they are written so that a killed run loses some seconds at most.

    runs/<name>/config.json                                  what decides the rows
    runs/<name>/rollouts-<variant>-<block>-<chunk>.parquet   a sample: variant, seed, step, prompt, rollout, ...
    runs/<name>/trace-<variant>-<block>-<chunk>.parquet      variant, seed, step, measurements
    runs/<name>/state-<variant>-<block>.npz                  parameters and moments after the last save

They are written in this order, each whole; further tables of a world come first. A save within a chunk writes its
tables as far as they are, under names that end in .part.parquet. So a chunk whose trace is there is done, and a run
that was killed at any moment goes on from its last state to the rows that it would have had. Every file names the run
and the place that it was written for, and every table has a checksum of its bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.config import Config
from lab.errors import InputError
from lab.files import BLANK, intact, read_arrays, sealed, write, write_arrays

if TYPE_CHECKING:
    import polars as pl

__all__ = ["REMEDY", "TABLES", "Cell", "Folder", "line_of"]

#: Tables that every run has; the last one is written last, so a chunk that has it is done.
TABLES = ("rollouts", "trace")

#: What to do about a damaged file.
REMEDY = "remove it, and `advlab run --resume` computes its rows again"

_OURS = re.compile(rf"({'|'.join(TABLES)})-.*\.parquet|state-.*\.npz")
_TABLE = re.compile(r"([a-z][a-z0-9_]*)-(.+)-(\d{5})(\.part)?\.parquet")
_IDENTITY, _CHECKSUM = "advantage-lab", "advantage-lab.checksum"


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


class Folder:
    """The folder of a run: its pieces of work and their files.

    Args:
        path: Where it is.

    Attributes:
        unsealed: Files that `check` found to have no checksum; they were written before there were any.

    Raises:
        InputError: There is no such folder, or it has no config.json.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.name = self.path.name
        self.unsealed: list[Path] = []
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
    def tables(self) -> list[str]:
        """Names of its tables: `TABLES`, and those that its world brought."""
        keys = {cell.key for cell in self.cells}
        named = {m[1] for p in self.path.iterdir() if (m := _TABLE.fullmatch(p.name)) and m[2] in keys}
        return [*sorted(named - {*TABLES}), *TABLES]

    def missing(self, cell: Cell) -> int | None:
        """The first chunk of a cell that is not there, or None."""
        absent = (c for c in range(self.chunks) if not all(p.exists() for p in self._files(cell, c)))
        return next(absent, None)

    def sampled(self, cell: Cell, chunk: int) -> list[int]:
        """Steps of a chunk whose rollouts are kept, evenly spread over the run; none without the first seeds."""
        config = self.config
        if not config.steps or set(config.numbers[: config.sample_seeds]).isdisjoint(cell.seeds):
            return []
        here = range(chunk * config.chunk, min((chunk + 1) * config.chunk, config.steps))
        if config.sample_steps >= config.steps:
            return list(here)
        gaps = max(1, config.sample_steps - 1)
        spread = {i * (config.steps - 1) // gaps for i in range(config.sample_steps)}
        return sorted(spread.intersection(here))

    def write(
        self,
        cell: Cell,
        chunk: int,
        tables: Mapping[str, pl.DataFrame],
        state: Mapping[str, Any],
        *,
        whole: bool = True,
    ) -> None:
        """Add a chunk of a cell, the trace as the last of its tables, and the state after it.

        Args:
            cell: The piece of work.
            chunk: Index of the chunk.
            tables: Its tables by name, "trace" among them.
            state: The state after their last step.
            whole: Whether the chunk ends there; tables of the first part of one are written over by the next save.

        Raises:
            UnwrittenError: The disk is full, or refuses; what was written before is still there.
        """
        import numpy as np

        for kind in sorted(tables, key=lambda kind: (kind in TABLES, kind)):
            path = self._file(kind, cell, chunk, part=not whole)
            data = io.BytesIO()
            tables[kind].write_parquet(data, metadata={_IDENTITY: self._identity(path), _CHECKSUM: BLANK})
            content = sealed(data.getvalue())
            write(path, lambda file, content=content: file.write(content))  # type: ignore[misc]
        path = self._state(cell)
        write_arrays(path, {**state, "of": np.array(self._identity(path))})
        if whole:
            self.tidy()

    def tidy(self) -> None:
        """Remove the tables of parts of chunks that are there as a whole."""
        for path in self.path.glob("*.part.parquet"):
            if path.with_name(path.name.replace(".part.parquet", ".parquet")).exists() and self._place(path):
                path.unlink(missing_ok=True)

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
            raise InputError(f"{error}; {REMEDY}") from None
        self._check_identity(path, str(state.pop("of", "")))
        return state if self._reaches(cell, int(state["step"])) else None

    def _reaches(self, cell: Cell, step: int) -> bool:
        """Whether the tables of a cell hold all rows before a step."""
        there, within = self.missing(cell), step // self.config.chunk
        if there is None or step <= there * self.config.chunk:
            return True
        sampled = any(at < step for at in self.sampled(cell, within))
        needed = TABLES if sampled else TABLES[-1:]
        return within == there and all(self._newest(kind, cell, within) for kind in needed)

    def kept(self, cell: Cell, step: int) -> dict[str, pl.DataFrame]:
        """Tables of the chunk that a step lies in, up to that step.

        Raises:
            InputError: A file is damaged.
        """
        import polars as pl

        from lab.logs.parquet import read

        chunk = step // self.config.chunk
        found = {kind: self._newest(kind, cell, chunk) for kind in self.tables}
        return {kind: read(path).filter(pl.col("step") < step) for kind, path in found.items() if path}

    def check(self) -> None:
        """Look at every file that is named like a run's.

        Raises:
            InputError: One is damaged or not of this run; the message names it and says what to do.
        """
        self.unsealed = []
        for path in sorted(self.path.iterdir()):
            if self._place(path):
                self._check(path)
            elif _OURS.fullmatch(path.name) and path not in {self._state(cell) for cell in self.cells}:
                raise InputError(f"{path} does not belong to this run; move it out of the folder")

    def _check(self, path: Path) -> None:
        import polars as pl
        from polars.exceptions import PanicException, PolarsError

        from lab.logs.parquet import footer

        if not path.exists():
            return  # the process that writes the run has just put the whole chunk in the place of this part
        try:
            if path.is_file() and not intact(path):
                self.unsealed.append(path)
            footer(path)
            found = pl.read_parquet_metadata(path).get(_IDENTITY)
        except (InputError, PolarsError, PanicException, OSError) as error:
            raise InputError(f"{line_of(error)}; {path} is no file of this run: {REMEDY}") from None
        self._check_identity(path, str(found))

    def _check_identity(self, path: Path, found: str) -> None:
        if found not in (self._identity(path), f"{self._digests[1]}/{path.name}"):
            raise InputError(
                f"{path} was not written for this run: if {self.path / 'config.json'} was changed, put the original "
                f"back; if not, {REMEDY}"
            )

    def _identity(self, path: Path) -> str:
        return f"{self._digests[0]}/{path.name}"

    @cached_property
    def _digests(self) -> tuple[str, str]:
        """Checksums of the configuration: of its settings; and of its bytes, which older files carry."""
        raw = (self.path / "config.json").read_bytes()
        settings = json.dumps(json.loads(raw), sort_keys=True, separators=(",", ":")).encode()
        return hashlib.sha256(settings).hexdigest()[:32], hashlib.sha256(raw).hexdigest()[:32]

    def _state(self, cell: Cell) -> Path:
        return self.path / f"state-{cell.key}.npz"

    def _file(self, kind: str, cell: Cell, chunk: int, *, part: bool = False) -> Path:
        return self.path / f"{kind}-{cell.key}-{chunk:05d}{'.part' if part else ''}.parquet"

    def _files(self, cell: Cell, chunk: int) -> list[Path]:
        return [self._file(kind, cell, chunk) for kind in (TABLES if self.sampled(cell, chunk) else TABLES[-1:])]

    def _newest(self, kind: str, cell: Cell, chunk: int) -> Path | None:
        """The file of a chunk's table, or of its first part where the chunk is not whole, or None."""
        files = (self._file(kind, cell, chunk, part=part) for part in (False, True))
        return next((path for path in files if path.exists()), None)

    def _place(self, path: Path) -> bool:
        """Whether a file is named like one of this run's tables."""
        match = _TABLE.fullmatch(path.name)
        return match is not None and match[2] in {cell.key for cell in self.cells} and int(match[3]) < self.chunks


def _slugs(labels: list[str]) -> list[str]:
    """Labels as parts of file names, all different on every file system."""
    slugs = [re.sub(r"[^A-Za-z0-9.@_-]+", "_", label)[:60].lower() for label in labels]
    return slugs if len(set(slugs)) == len(slugs) else [f"{slug}.{i}" for i, slug in enumerate(slugs)]


def line_of(error: BaseException) -> str:
    """The first line of an error, not too long."""
    return str(error).strip().partition("\n")[0][:200]
