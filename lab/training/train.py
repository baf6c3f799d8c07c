"""Training: blocks of seeds walk the one path side by side, and what was measured comes back as a trace."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, NamedTuple

from lab.errors import InputError, LabError, check_whole
from lab.methods import Variant, names, variant
from lab.trace import Trace
from lab.training.jobs import Job, blocks_of, gathered, job_of, seeds_of
from lab.training.loop import Walk, lacking, world_of
from lab.training.settings import settings_of
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
    steps: int = 300,
    seeds: int | Sequence[int] = 16,
    group_size: int | None = None,
    lr: float | None = None,
    measure: str | Sequence[str] | None = "basic",
    optimizer: str | None = None,
    momentum: float = 0.9,
    max_grad_norm: float | None = None,
    epochs: int = 1,
    every: int = 1,
    reward_weights: Sequence[float] | None = None,
    evaluate: int | None = None,
    reference_rollouts: int = 0,
    options: Mapping[str, Any] | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Trace:
    """Train one or more variants in a world; all of them see the same draws.

    Args:
        world: The world, for example `simulators.Bandit(success=p)`, or its name (`lab.worlds()`).
        variants: Name, `Variant`, or several of them.
        steps: Number of batches of rollouts.
        seeds: Number of runs n (seeds 0 to n - 1), or their seeds.
        group_size: Rollouts per prompt G. None, here and below: what suits the world (`lab.worlds()`), else 8.
        lr: Learning rate of ascent on the mean objective (1/(P·G)) Σ w ∇log π; None: the world's, else 1.
        measure: "basic", "full" (with the exact gradient), names from `lab.metrics()`, or None.
        optimizer: "sgd", "momentum" or "adam"; None: the world's, else "sgd".
        momentum: First decay of "momentum" and "adam".
        max_grad_norm: Scale larger gradients down to this norm; None: only where the variant asks for it.
        epochs: Gradient steps per batch.
        every: Measure every so many steps (and at the last one).
        reward_weights: Weight of each reward component [K].
        evaluate: Try held-out problems every so many steps, and at the last one, in a world that has them: greedy,
            pass_at_1, pass_at_8; 0: never; None: the world's, else 0.
        reference_rollouts: At each measured step, rollouts of a reference gradient of the step's prompts, in a world
            that knows no exact one: cosine_reference and others, each with its standard error; 0: none.
        options: Options of the variants' rules by name, such as {"eps": 1e-6}.
        threads: Threads to use; the numbers do not depend on it.
        progress: Called with (steps done, steps in all) now and then, from the calling thread.
        stop: Asked now and then; when it says True the trace ends where it is.

    Returns:
        The trace of all variants.

    Raises:
        InputError, UnknownNameError, MissingFieldError: Before anything is sampled, each naming what was wrong.
    """
    world = world_of(made(world))
    settings = settings_of(world, {
        "group_size": group_size, "lr": lr, "optimizer": optimizer, "momentum": momentum,
        "max_grad_norm": max_grad_norm, "epochs": epochs, "evaluate": evaluate,
        "reward_weights": None if reward_weights is None else tuple(reward_weights),
        "reference_rollouts": reference_rollouts,
    })  # fmt: skip
    chosen = variants_of(variants, options or {})
    numbers = seeds_of(seeds)
    check_whole("steps", steps, 0)
    check_whole("every", every, 1)
    width = os.cpu_count() or 1 if threads is None else check_whole("threads", threads, 1)
    jobs = [
        job_of(world, v, block, settings, measure, steps=steps, every=every)
        for v in chosen
        for block in blocks_of(numbers, width, world.prompts * settings.group_size, world.together or len(numbers))
    ]
    _run(jobs, width, progress, stop or (lambda: False))
    return gathered(jobs)


def refused(
    world: World, variants: Iterable[str | Variant] | None = None, *, group_size: int | None = None, tried: bool = True
) -> dict[str, Refusal]:
    """Which variants cannot train in a world, and why.

    Each is tried: one batch of one run is drawn, scored, weighed and differentiated at the first policy.

    Args:
        world: The world.
        variants: Names or variants; all by default.
        group_size: Rollouts per prompt G; None: what suits the world, else 8.
        tried: False: only the fields are looked at, which takes no sampling.

    Returns:
        Name of a variant that is refused -> why; the others can train.
    """
    found, settings = {}, settings_of(world, {"group_size": group_size})
    for v in map(variant, names() if variants is None else variants):
        rules = filter(None, map(v.rule, ("advantage", "objective", "reward")))
        absent = dict.fromkeys(f for rule in rules for f in lacking(world, rule))
        try:
            walk = Walk(world, v, [0], settings)
            if tried:
                walk.look()
        except (LabError, ValueError) as refusal:
            found[v.name] = Refusal(str(refusal), tuple(absent))
    return found


def variants_of(variants: Any, options: Mapping[str, Any] | None = None) -> list[Variant]:
    """One or several variants or names of them as a list, options applied.

    Raises:
        InputError: None is given, or a name stands twice.
    """
    several = list(variants) if isinstance(variants, Iterable) and not isinstance(variants, str) else [variants]
    if options is not None and not isinstance(options, Mapping):
        raise InputError(f"options={options!r}; they must be names with values, such as {{'eps': 1e-6}}")
    chosen = [variant(v, **(options or {})) for v in several]
    labels = [v.name for v in chosen]
    twice = {n for n in labels if labels.count(n) > 1}
    if twice or not chosen:
        what = f"{sorted(twice)[0]!r} stands twice; give one a label=" if twice else "none given"
        raise InputError(f"variants: {what}")
    return chosen


def _run(jobs: list[Job], width: int, progress: Callable[[int, int], None] | None, stop: Callable[[], bool]) -> None:
    total = sum(job.steps for job in jobs)
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
                        progress(sum(job.done for job in jobs), total)
        except BaseException:
            stopped = True
            raise
