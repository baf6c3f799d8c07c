"""Experiments: a configured run on disk, and one step of a run looked at again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import lab
from lab.config import Config
from lab.errors import InputError
from lab.executors import Executor, Threads
from lab.measures.gradient import norm
from lab.measures.rollouts import recorded, rollout_table
from lab.methods import Variant, names, variant
from lab.store import Cell, Run, opened
from lab.training.jobs import Job, gathered, job_of, seeds_of
from lab.training.loop import Moment, Settings, Walk
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
        progress: Called with (steps done, steps in all) now and then, from the calling thread.
        stop: Asked now and then; when it says True the run ends with its last whole chunk, to be resumed.
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
        pulse = _Pulse(config.steps * (len(opened_run.cells) - len(cells)))
        with closing((executor or Threads()).map(partial(_walk, opened_run, pulse), cells, pulse.halt)) as results:
            for finished in chain([None], results):
                if finished is not None:
                    pulse.steps[finished] = config.steps
                if progress is not None:
                    progress(pulse.done, config.steps * len(opened_run.cells))
                if stop is not None and stop():
                    break
    return opened_run


@dataclass
class _Pulse:
    """How far the cells are, and whether they are to stop."""

    before: int
    steps: dict[str, int] = field(default_factory=dict)
    halted: bool = False

    @property
    def done(self) -> int:
        return self.before + sum(list(self.steps.values()))

    def at(self, cell: Cell, step: int) -> bool:
        self.steps[cell.key] = step
        return self.halted

    def halt(self) -> None:
        self.halted = True


def _rehearse(config: Config) -> None:
    """One step of one run of every variant, so that every mistake is found before anything is written."""
    variants_of([variant(v.name, v.label, **v.options) for v in config.variants])
    for i in range(len(config.variants)):
        _job(config, i, config.numbers[:1]).run(lambda: False, until=1)


def _job(config: Config, index: int, seeds: Sequence[int]) -> Job:
    chosen = config.variants[index]
    weights = None if config.reward_weights is None else tuple(config.reward_weights)
    settings = Settings(
        config.group_size, config.lr, config.optimizer, config.momentum, config.max_grad_norm, config.epochs, weights,
        config.evaluate, config.reference_rollouts,
    )  # fmt: skip
    return job_of(
        lab.world(config.world.name, **config.world.options), variant(chosen.name, chosen.label, **chosen.options),
        seeds_of(seeds), settings, config.measure, steps=config.steps, every=config.every,
    )  # fmt: skip


def _walk(opened_run: Run, pulse: _Pulse, cell: Cell) -> str:
    """Walk a cell from its last state to its end, or until the pulse halts, one chunk of files after the other."""
    config = opened_run.config
    job = _job(config, cell.index, cell.seeds)
    state = opened_run.state(cell)
    if state is not None:
        job.walk.restore(state)
    for chunk in range(job.walk.step // config.chunk, opened_run.chunks):
        end = min((chunk + 1) * config.chunk, config.steps)
        sample = _advance(job, opened_run.sampled(cell, chunk), end, partial(pulse.at, cell), config)
        if job.walk.step < end:
            break
        tables = {"trace": gathered([job]).frame} | ({"rollouts": sample} if sample is not None else {})
        opened_run.write(cell, chunk, tables, job.walk.state())
        job.forget()
    return cell.key


def _advance(job: Job, sampled: list[int], end: int, at: Callable[[int], bool], config: Config) -> Any:
    """Walk to step `end`; the rollouts of the steps that are `sampled` come back as one table."""
    import polars as pl

    def halted() -> bool:
        return at(job.walk.step)

    first = [i for i, seed in enumerate(job.seeds) if seed in config.numbers[: config.sample_seeds]]
    tables = []
    for step in sampled:
        if job.run(halted, until=step).walk.step == step:
            tables.append(_sample(job, first))
    job.run(halted, until=end)
    return pl.concat(tables) if tables else None


def _sample(job: Job, first: list[int]) -> pl.DataFrame:
    """What the policy makes of the step's draws; one that draws its questions answers those of step 0 each time."""
    import polars as pl

    walk, step = job.walk, job.walk.step
    walk.step = 0 if walk.world.fresh else step
    moment = walk.look(gradient=False)
    walk.step = step
    truth = _truth(walk, moment, gradient=False)
    tables = [
        rollout_table(moment, truth, walk.world, run=i, start=walk.start).select(
            pl.lit(walk.variant.name).alias("variant"), pl.lit(int(job.seeds[i])).alias("seed"),
            pl.lit(walk.step).cast(pl.Int64).alias("step"), pl.all(),
        )
        for i in first
    ]  # fmt: skip
    return pl.concat(tables)


def _truth(walk: Walk, moment: Moment, *, gradient: bool = True) -> Truth | None:
    """What the world knows about the moment, None where it can't know."""
    if not walk.world.exact:
        return None
    return walk.world.truth(walk.policy, moment.rollouts, gradient=gradient, weights=walk.reward_weights)


@dataclass(frozen=True, eq=False)
class Replay:
    """One step of one run, with everything that made its gradient.

    Attributes:
        moment: Rollouts, rewards, advantages, weights and gradient of the step, with S = 1.
        truth: What the world knows about it, the exact gradient included; None where it can't know.
        prompt_norm: Norm of each prompt's share of the gradient [P]; the shares add up to the gradient.
        frame: One row per rollout: prompt, rollout, action, reward, advantage, true_advantage, keep.
    """

    moment: Moment
    truth: Truth | None
    prompt_norm: Array
    frame: pl.DataFrame


def replay(
    world: World,
    wanted: str | Variant,
    *,
    seed: int,
    step: int,
    group_size: int = 8,
    lr: float = 1.0,
    optimizer: str = "sgd",
    momentum: float = 0.9,
    max_grad_norm: float | None = None,
    epochs: int = 1,
    reward_weights: Sequence[float] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Replay:
    """The state of one run at one step, computed again: random numbers are counters, so it is the same to the last bit.

    Args:
        world: The world.
        wanted: Name of the variant, or a `Variant`.
        seed: Seed of the run.
        step: Index of the step.
        group_size: This and what follows as in `lab.train`; the run is the one that these options had made there.
        lr: Learning rate.
        optimizer: "sgd", "momentum" or "adam".
        momentum: First decay of "momentum" and "adam".
        max_grad_norm: Norm above which gradients are scaled down.
        epochs: Gradient steps per batch.
        reward_weights: Weight of each reward component [K].
        options: Options of the variant's rules.

    Returns:
        What stood before the parameters moved at that step.

    Raises:
        InputError: A seed or step below 0, or what `lab.train` refuses.
    """
    if step < 0:
        raise InputError(f"step={step!r}; it must be a whole number of at least 0")
    weights = None if reward_weights is None else tuple(float(w) for w in reward_weights)
    settings = Settings(group_size, lr, optimizer, momentum, max_grad_norm, epochs, weights)
    chosen = variant(wanted, **(options or {}))
    job = job_of(world, chosen, seeds_of([seed]), settings, None, steps=step)
    walk = job.run(lambda: False).walk
    moment = walk.look()
    truth = _truth(walk, moment)
    return Replay(moment, truth, prompt_norms(walk, moment), rollout_table(moment, truth, world))


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

    parts = []
    for size in group_sizes:
        trace = train(world, variants, steps=1, seeds=seeds, group_size=size, lr=0.0, measure=(metric,))
        parts.append(trace.summary().with_columns(group_size=pl.lit(size, pl.Int64), kind=pl.lit("simulated")))
    table = pl.concat(parts).rename({"mean": "rate"})
    bounds = [pl.col(name).clip(0.0, 1.0) for name in ("low", "high")]
    return table.select("variant", "group_size", "kind", "rate", *bounds)


def side_by_side(
    world: World,
    variants: Sequence[str | Variant],
    *,
    seed: int,
    step: int = 0,
    group_size: int = 8,
    lr: float = 1.0,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Moment]:
    """What several variants make of the same rollouts: those of the first one's policy after `step` steps.

    Args:
        world: The world.
        variants: Names, or `Variant`s; the first one trains.
        seed: Seed of the run.
        step: Steps that it trains before all look.
        group_size: Rollouts per prompt G (a variant with extra rollouts sees those too).
        lr: Its learning rate.
        options: Options of the variants' rules.

    Returns:
        The moment of each variant by name, with S = 1.

    Raises:
        InputError, UnknownNameError, MissingFieldError: As `lab.train`.
    """
    if step < 0:
        raise InputError(f"step={step!r}; it must be a whole number of at least 0")
    chosen, settings = variants_of(variants, options), Settings(group_size, lr)
    first = job_of(world, chosen[0], seeds_of([seed]), settings, None, steps=step).run(lambda: False).walk
    moments = {}
    for v in chosen:
        walk = Walk(world, v, seeds_of([seed]), settings)
        walk.policy.parameters[...], walk.step = first.policy.parameters, first.step
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
    slots = np.arange(moment.weights.shape[1]) % walk.world.prompts  # sampled again, prompts stand in the same order
    shares = [np.where((slots == p)[None, :, None, None], moment.weights, 0.0) for p in range(walk.world.prompts)]
    return np.array([norm(walk.world.gradient(walk.policy, moment.rollouts, w))[0] for w in shares])
