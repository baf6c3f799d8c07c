"""Training: blocks of seeds walk the one path side by side, and what was measured comes back as a trace."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, NamedTuple

from lab.advantages import note_on_one
from lab.errors import InputError, LabError, LabWarning, check_whole
from lab.methods import Variant, names, variant
from lab.trace import Trace
from lab.training.fit import check_components
from lab.training.jobs import Job, blocks_of, check_sizes, gathered, job_of, seeds_of
from lab.training.loop import Walk, lacking, world_of
from lab.training.settings import Settings, declared, settings_of
from lab.world_registry import made
from simulators.records import World

__all__ = ["Refusal", "Trace", "refused", "train", "variants_of"]

_ROUND = 50  # steps after which blocks wait for one another: stopped early, all variants end near the same step


class Refusal(NamedTuple):
    """Why a variant cannot train in a world.

    Attributes:
        words: Those of the error.
        fields: What its rules need and the world lacks; none where rewards, actions or the group size are refused.
    """

    words: str
    fields: tuple[str, ...]


def train(
    world: World | str,
    variants: str | Variant | Iterable[str | Variant] = "grpo",
    *,
    settings: Settings | None = None,
    options: Mapping[str, Any] | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
    **changes: Any,
) -> Trace:
    """Train one or more variants in a world; all of them see the same draws.

    Args:
        world: The world, for example `simulators.Bandit(success=p)`, or its name (`lab.worlds()`).
        variants: Name, `Variant`, or several of them.
        settings: All settings of the run, a `lab.Settings` or an `experiment.Config`.
        options: Options of the variants' rules by name, such as {"eps": 1e-6}.
        threads: Threads to use; the numbers do not depend on it.
        progress: Called now and then, from the calling thread, with the steps that are done and the steps in all, those
            of every seed of every variant counted.
        stop: Asked now and then; when it says True the trace ends where it is.
        **changes: Settings by name, as `lab.Settings` lists them: steps, seeds, group_size, lr, measure, optimizer,
            epochs, ...; those left out are the ones of `settings`, else what suits the world, else their defaults.

    Returns:
        The trace of all variants.

    Raises:
        InputError, UnknownNameError, MissingFieldError: Before anything is sampled, each naming what was wrong.
    """
    world = world_of(made(world))
    chosen, asked = variants_of(variants, options or {}), settings_of(world, changes, settings)
    seeds = asked.seeds
    number = len(list(seeds)) if isinstance(seeds, Iterable) else check_whole("seeds", seeds, 1)
    check_sizes(world, asked, len(chosen) * number, asked.steps)
    numbers = seeds_of(seeds)
    width = os.cpu_count() or 1 if threads is None else check_whole("threads", threads, 1)
    for note in notes_of(chosen, asked.group_size):
        warnings.warn(note, LabWarning, stacklevel=2)
    jobs = [
        job_of(world, v, block, asked)
        for v in chosen
        for block in blocks_of(numbers, width, world.prompts * asked.group_size, world.together or len(numbers))
    ]
    _run(jobs, width, progress, stop or (lambda: False))
    return gathered(jobs)


def _spelt_out(door: Any) -> None:
    """Have help and completion of a door name each setting with its default, in the place of `**changes`."""
    given = inspect.signature(door)
    own = [p for p in given.parameters.values() if p.kind is not p.VAR_KEYWORD and p.name not in declared()]
    settings = [inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=s.default) for n, s in declared().items()]
    door.__signature__ = given.replace(parameters=[*own, *settings])


_spelt_out(train)


def refused(
    world: World, variants: Iterable[str | Variant] | None = None, *, group_size: int | None = None, tried: bool = True
) -> dict[str, Refusal]:
    """Which variants cannot train in a world, and why.

    Each is tried: one batch of one run is drawn, scored, weighed and differentiated at the first policy.

    Args:
        world: The world.
        variants: Names or variants; all by default.
        group_size: Rollouts per prompt G; None: what suits the world, else 8.
        tried: False: only the fields and the number of rewards are looked at, which takes no sampling.

    Returns:
        Name of a variant that is refused -> why; the others can train.
    """
    found, settings = {}, settings_of(world, {"group_size": group_size})
    for v in map(variant, names() if variants is None else variants):
        rules = filter(None, map(v.rule, ("advantage", "objective", "reward")))
        absent = dict.fromkeys(f for rule in rules for f in lacking(world, rule))
        try:
            walk = Walk(world, v, [0], settings)
            if v.combine and world.components and not v.reward:  # a reward rule may make several of one
                check_components(world, v, len(world.components), settings.reward_weights)
            if tried:
                walk.look()
        except (LabError, ValueError) as refusal:
            found[v.name] = Refusal(str(refusal), tuple(absent))
    return found


def notes_of(variants: Iterable[Variant], group_size: int) -> list[str]:
    """What should be said before training: rules that a group of one leaves without a baseline."""
    alone = [v for v in variants if group_size + v.extra_rollouts == 1]
    return list(filter(None, (note_on_one(v.advantage, v.options["advantage"]) for v in alone)))


def variants_of(variants: Any, options: Mapping[str, Any] | None = None) -> list[Variant]:
    """One or several variants or names of them as a list, options applied.

    Raises:
        InputError: None is given, or a name stands twice.
    """
    several = list(variants) if isinstance(variants, Iterable) and not isinstance(variants, str) else [variants]
    if not _are_options(options or {}):
        raise InputError(f"options={options!r}; they must be names with values, such as {{'eps': 1e-6}}")
    chosen = [variant(v, **(options or {})) for v in several]
    labels = [v.name for v in chosen]
    twice = {n for n in labels if labels.count(n) > 1}
    if twice or not chosen:
        what = f"{sorted(twice)[0]!r} stands twice; give one a label=" if twice else "none given"
        raise InputError(f"variants: {what}")
    return chosen


def _are_options(given: Any) -> bool:
    return isinstance(given, Mapping) and all(isinstance(key, str) and key != "name" for key in given)


def _run(jobs: list[Job], width: int, progress: Callable[[int, int], None] | None, stop: Callable[[], bool]) -> None:
    total = sum(job.steps * len(job.seeds) for job in jobs)
    stopped = False

    def halted() -> bool:
        return stopped

    if len(jobs) == 1 and progress is None:
        jobs[0].run(stop)
        return
    with ThreadPoolExecutor(min(width, len(jobs))) as pool:
        try:
            for until in range(_ROUND, jobs[0].steps + _ROUND, _ROUND):
                pending: set[Future[Job]] = {pool.submit(job.run, halted, until) for job in jobs if not stopped}
                while pending:
                    finished, pending = wait(pending, timeout=0.05)
                    for future in finished:
                        future.result()
                    stopped = stopped or stop()
                    if progress is not None:
                        progress(sum(job.done * len(job.seeds) for job in jobs), total)
        except BaseException:
            stopped = True
            raise
