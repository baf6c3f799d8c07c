"""Experiments: a configured run on disk; one step of a run looked at again is in `lab.moments`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import lab
from lab import plugins
from lab.config import Config
from lab.executors import Executor, Threads, halted
from lab.measures.rollouts import sampled_tables
from lab.methods import variant
from lab.moments import Replay, by_group_size, replay, review, side_by_side, truth_of
from lab.store import Cell, Run, opened
from lab.training.jobs import Job, check_sizes, gathered, job_of, seeds_of
from lab.training.train import variants_of

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Config", "Replay", "by_group_size", "replay", "review", "run", "side_by_side"]


def run(
    config: Config,
    name: str,
    *,
    resume: bool = False,
    runs: str | Path = "runs",
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
    executor: Executor | None = None,
) -> Run:
    """Train what a configuration asks for, and keep it in `runs/<name>/`.

    The rows do not depend on the executor, nor on whether the run was stopped, or killed, and resumed on the way. The
    memory it takes does not depend on the number of steps.

    Args:
        config: What to train.
        name: Name of the run.
        resume: Go on with the run of that name where it ended; start it if there is none.
        runs: Folder of all runs.
        progress: Called now and then, from the calling thread, with the steps that are done and the steps in all, those
            of every seed of every variant counted (as `Run.progress` has them).
        stop: Asked now and then; when it says True the run saves what is there and ends, to be resumed. So it does
            when it is interrupted (Ctrl-C).
        executor: Where the pieces of work run; threads by default.

    Returns:
        The run, complete unless it was stopped.

    Raises:
        InputError, UnknownNameError, MissingFieldError: Before anything is written: a mistake in the configuration,
            a name that is taken, a file that is damaged or not of this run.
    """
    _rehearse(config)
    with opened(name, config, runs, resume=resume) as opened_run:
        cells = [cell for cell in opened_run.cells if opened_run.missing(cell) is not None]
        pulse = _Pulse({cell: opened_run.reached(cell) for cell in opened_run.cells})
        with closing((executor or Threads()).map(partial(_walk, opened_run, pulse), cells, pulse.halt)) as results:
            for finished in chain([None], results):
                if finished is not None:
                    pulse.steps[finished[0]] = finished[1]
                if progress is not None:
                    progress(pulse.done, opened_run.progress[1])
                if stop is not None and stop():
                    break
    return opened_run


@dataclass
class _Pulse:
    """How far the cells are, and whether they are to stop."""

    steps: dict[Cell, int]
    halted: bool = False

    @property
    def done(self) -> int:
        return sum(step * len(cell.seeds) for cell, step in list(self.steps.items()))

    def at(self, cell: Cell, step: int) -> bool:
        self.steps[cell] = step
        return self.stopped()

    def stopped(self) -> bool:
        return self.halted or halted()

    def halt(self) -> None:
        self.halted = True


def _rehearse(config: Config) -> None:
    """One step of one run of every variant, so that every mistake is found before anything is written."""
    plugins.require(config.plugins)
    variants_of([variant(v.name, v.label, **v.options) for v in config.variants])
    place = lab.world(config.world.name, **config.world.options)
    check_sizes(place, config, min(config.block, len(config.numbers)), min(config.chunk, config.steps))
    for i in range(len(config.variants)):
        _job(config, i, config.numbers[:1]).run(lambda: False, until=1)


def _job(config: Config, index: int, seeds: Sequence[int]) -> Job:
    plugins.require(config.plugins)
    chosen = config.variants[index]
    return job_of(
        lab.world(config.world.name, **config.world.options), variant(chosen.name, chosen.label, **chosen.options),
        seeds_of(seeds), config,
    )  # fmt: skip


def _walk(opened_run: Run, pulse: _Pulse, cell: Cell) -> tuple[Cell, int]:
    """Walk a cell from its last state to its end, or until the pulse halts; saved after each chunk, and in between."""
    config = opened_run.config
    if pulse.stopped():
        return cell, pulse.steps[cell]
    job, sample = _resumed(opened_run, cell)
    for chunk in range(job.walk.step // config.chunk, opened_run.chunks):
        end = min((chunk + 1) * config.chunk, config.steps)
        while _advance(job, sample, opened_run.sampled(cell, chunk), end, _until_save(pulse, cell, job, config)) < end:
            _save(opened_run, cell, chunk, job, sample, whole=False)
            if pulse.stopped():
                return cell, job.walk.step
        _save(opened_run, cell, chunk, job, sample, whole=True)
        job.forget()
        sample.tables = {}
    return cell, job.walk.step


def _resumed(opened_run: Run, cell: Cell) -> tuple[Job, _Sample]:
    """A cell's job where it goes on, with the rows and the sample of the chunk in flight."""
    config = opened_run.config
    job, first = _job(config, cell.index, cell.seeds), config.numbers[: config.sample_seeds]
    sample = _Sample([i for i, seed in enumerate(cell.seeds) if seed in first])
    state = opened_run.state(cell)
    if state is not None:
        job.walk.restore(state)
        kept = opened_run.kept(cell, job.walk.step)
        if "trace" in kept:
            job.recall(kept.pop("trace"))
        sample.tables = {kind: [table] for kind, table in kept.items()}
    return job, sample


def _until_save(pulse: _Pulse, cell: Cell, job: Job, config: Config) -> Callable[[int], bool]:
    """Says at a step whether it is time to stop, or, once one was made, to save."""
    saved, due = job.walk.step, monotonic() + config.save_seconds
    return lambda step: pulse.at(cell, step) or (step > saved and monotonic() >= due)


def _save(opened_run: Run, cell: Cell, chunk: int, job: Job, sample: _Sample, *, whole: bool) -> None:
    tables = sample.before(job.walk.step) | {"trace": gathered([job]).frame}
    opened_run.write(cell, chunk, tables, job.walk.state(), whole=whole)


def _advance(job: Job, sample: _Sample, sampled: list[int], end: int, pause: Callable[[int], bool]) -> int:
    """Walk to step `end` or until a pause; tables of the steps that are `sampled` are added. Returns the step."""

    def paused() -> bool:
        return pause(job.walk.step)

    for step in (step for step in sampled if step >= job.walk.step and step not in sample.taken):
        if job.run(paused, until=step).walk.step < step:
            return job.walk.step
        sample.take(job)
    return job.run(paused, until=end).walk.step


@dataclass
class _Sample:
    """Tables of the sampled steps of a chunk, for the runs at the places `first` of their block."""

    first: list[int]
    tables: dict[str, list[pl.DataFrame]] = field(default_factory=dict)
    taken: set[int] = field(default_factory=set)

    def take(self, job: Job) -> None:
        """What the policy makes of the step's draws; one that draws its questions answers those of step 0 each time."""
        import polars as pl

        walk, step = job.walk, job.walk.step
        self.taken.add(step)
        walk.step = 0 if walk.world.fresh else step
        moment = walk.look(gradient=False)
        walk.step = step
        truth = truth_of(walk, moment, gradient=False)
        for kind, made in sampled_tables(walk.world).items():
            for i in self.first:
                rows = made(moment, truth, walk.world, run=i, start=walk.start)
                keyed = rows.select(
                    pl.lit(walk.variant.name).alias("variant"), pl.lit(int(job.seeds[i])).alias("seed"),
                    pl.lit(step).cast(pl.Int64).alias("step"), pl.all(),
                )  # fmt: skip
                self.tables.setdefault(kind, []).append(keyed)

    def before(self, step: int) -> dict[str, pl.DataFrame]:
        """The tables as far as the step."""
        import polars as pl

        return {kind: pl.concat(parts).filter(pl.col("step") < step) for kind, parts in self.tables.items()}
