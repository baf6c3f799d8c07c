"""Experiments: a configured run on disk, and one step of a run looked at again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import lab
from lab import plugins
from lab.config import Config
from lab.errors import InputError, UnknownNameError, check_whole
from lab.executors import Executor, Threads, halted
from lab.measures.gradient import norm
from lab.measures.rollouts import recorded, rollout_table, sampled_tables
from lab.methods import Variant, names, variant
from lab.store import Cell, Run, opened
from lab.training.jobs import Job, check_sizes, gathered, job_of, seeds_of
from lab.training.loop import Moment, Walk
from lab.training.settings import Settings, settings_of
from lab.training.train import train, variants_of
from simulators.records import Truth

if TYPE_CHECKING:
    import polars as pl

    from simulators.records import World

__all__ = ["Config", "Replay", "by_group_size", "replay", "review", "run", "side_by_side"]

Array = NDArray[Any]


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
        truth = _truth(walk, moment, gradient=False)
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


def _truth(walk: Walk, moment: Moment, *, gradient: bool = True) -> Truth | None:
    """What the world knows about the moment, None where it can't know."""
    if not walk.world.exact:
        return None
    return walk.world.truth(walk.policy, moment.rollouts, gradient=gradient, weights=walk.reward_weights)


@dataclass(frozen=True, eq=False, repr=False)
class Replay:
    """One step of one run, with everything that made its gradient.

    Attributes:
        moment: Rollouts, rewards, advantages, weights and gradient of the step, with S = 1.
        truth: What the world knows about it, the exact gradient included; None where it can't know.
        prompt_norm: Norm of each prompt's share of the gradient [P]; the shares add up to the gradient.
        frame: One row per rollout: slot (place among the step's prompts), prompt, rollout, action, reward, advantage,
            true_advantage, keep.
    """

    moment: Moment
    truth: Truth | None
    prompt_norm: Array
    frame: pl.DataFrame

    def __repr__(self) -> str:
        return f"Replay of one run: {self.moment!r}; .frame has its {self.frame.height} rollouts"


def replay(
    world: World | Run,
    wanted: str | Variant | None = None,
    *,
    seed: int,
    step: int,
    settings: Settings | None = None,
    options: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Replay:
    """The state of one run at one step, computed again: random numbers are counters, so it is the same to the last bit.

    Args:
        world: The world; or a run on disk, whose world and settings are then taken.
        wanted: Name of the variant, or a `Variant`; of a run on disk the name that its trace has, the first by default.
        seed: Seed of the run.
        step: Index of the step.
        settings: As in `lab.train`; the replay is that of the run that these settings had made there.
        options: Options of the variant's rules.
        **changes: Settings by name, as in `lab.train`.

    Returns:
        What stood before the parameters moved at that step.

    Raises:
        InputError: A seed or step below 0, or what `lab.train` refuses.
        UnknownNameError: The run on disk has no such variant.
    """
    step = check_whole("step", step, 0)
    if isinstance(world, Run):
        world, wanted, settings = _on_disk(world, wanted, settings)
    chosen = variant(wanted or "grpo", **(options or {}))
    job = job_of(world, chosen, seeds_of([seed]), _silent(settings_of(world, changes, settings)), steps=step)
    walk = job.run(lambda: False).walk
    moment = walk.look()
    truth = _truth(walk, moment)
    return Replay(moment, truth, prompt_norms(walk, moment), rollout_table(moment, truth, world))


def _on_disk(run: Run, wanted: Any, settings: Settings | None) -> tuple[World, Variant, Settings]:
    """World, variant and settings of a run on disk."""
    known = {v.label or v.name: v for v in run.config.variants}
    if wanted is not None and wanted not in known:
        raise UnknownNameError("variant of this run", str(wanted), known)
    chosen = known[wanted] if wanted else run.config.variants[0]
    place = lab.world(run.config.world.name, **run.config.world.options)
    return place, variant(chosen.name, chosen.label, **chosen.options), settings or run.config


def _silent(settings: Settings) -> Settings:
    """The same settings, with nothing measured on the way."""
    return replace(settings, measure=None, evaluate=0, reference_rollouts=0)


def by_group_size(
    world: World,
    variants: Sequence[str | Variant],
    group_sizes: Sequence[int],
    metric: str = "sign_flip",
    *,
    seeds: int | Sequence[int] = 64,
) -> pl.DataFrame:
    """A share that is measured on the first batch of a run, at the first policy, for several group sizes.

    Args:
        world: The world.
        variants: Names or variants.
        group_sizes: Rollouts per prompt G.
        metric: A measurement that is a share, "sign_flip" or "no_signal".
        seeds: Number of batches, or their seeds.

    Returns:
        Table variant, group_size, kind ("simulated"), rate, low, high: mean over batches with its 95% interval, null
        where it is undefined.
    """
    import polars as pl

    if len(group_sizes) == 0:
        raise InputError(f"group_sizes={group_sizes!r}; it must be a list of group sizes, such as [4, 8]")
    known: dict[str, Any] = {"steps": 1, "seeds": seeds, "lr": 0.0, "measure": (metric,)}
    tables = [(size, train(world, variants, group_size=size, **known).summary()) for size in group_sizes]
    table = pl.concat(t.with_columns(group_size=pl.lit(n, pl.Int64), kind=pl.lit("simulated")) for n, t in tables)
    bounds = [pl.col(name).clip(0.0, 1.0) for name in ("low", "high")]
    return table.select("variant", "group_size", "kind", pl.col("mean").alias("rate"), *bounds)


def side_by_side(
    world: World,
    variants: Sequence[str | Variant],
    *,
    seed: int,
    step: int = 0,
    settings: Settings | None = None,
    options: Mapping[str, Any] | None = None,
    **changes: Any,
) -> dict[str, Moment]:
    """What several variants make of the same rollouts: those of the first one's policy after `step` steps.

    Args:
        world: The world.
        variants: Names, or `Variant`s; the first one trains.
        seed: Seed of the run.
        step: Steps that it trains before all look.
        settings: As in `lab.train`; a variant with extra rollouts sees those too.
        options: Options of the variants' rules.
        **changes: Settings by name, as in `lab.train`.

    Returns:
        The moment of each variant by name, with S = 1.

    Raises:
        InputError, UnknownNameError, MissingFieldError: As `lab.train`.
    """
    step = check_whole("step", step, 0)
    chosen, asked = variants_of(variants, options), _silent(settings_of(world, changes, settings))
    first = job_of(world, chosen[0], seeds_of([seed]), asked, steps=step).run(lambda: False).walk
    moments = {}
    for v in chosen:
        walk = Walk(world, v, seeds_of([seed]), asked)
        walk.follow(first)
        moments[v.name] = walk.look()
    return moments


def review(frame: pl.DataFrame, variants: Sequence[str] | None = None) -> tuple[dict[str, Moment], dict[str, str]]:
    """What variants make of recorded rollouts, without the model that gave them.

    Args:
        frame: One step of one run from `Run.rollouts`, of a world of language; the run's first steps' questions.
        variants: Names; all but the presets by default. Extra rollouts cannot be drawn any more, nor prompts again.

    Returns:
        The moment of each variant by name, with S = 1 and without a gradient; and why the others were left out.

    Raises:
        InputError: The frame is not one step of one run, or has no tokens.
    """
    world = recorded(frame)
    moments: dict[str, Moment] = {}
    skipped: dict[str, str] = {}
    for name in names(presets=False) if variants is None else variants:
        try:
            moments[name] = Walk(world, variant(name, refill=0), seeds_of([0]), Settings()).look()
        except Exception as reason:  # a user's own rule may fail in any way, the others are still worth seeing
            skipped[name] = str(reason) or type(reason).__name__
    return moments, skipped


def prompt_norms(walk: Walk, moment: Moment) -> Array:
    """Norm of what each prompt adds to the gradient of the first run [P], from one gradient per prompt."""
    return np.array([norm(share)[0] for share in walk.shares(moment)])
