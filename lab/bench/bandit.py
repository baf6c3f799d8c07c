"""Training on the bandit: rollouts per second of the lab beside NumPy, torch and, where it is installed, JAX."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from lab.bench import jax_bandit, numpy_bandit, torch_bandit
from lab.bench.harness import Row, alternate, benchmark

PROMPTS, ARMS, GROUP_SIZE, LR, RUNS = 32, 16, 8, 8.0, 7
UNIT = "million rollouts/s"


def _success() -> Any:
    return np.random.default_rng(0).random((PROMPTS, ARMS))


def _lab(seeds: int, steps: int, **options: Any) -> Callable[[], Any]:
    from lab.training.train import train
    from simulators.bandit.world import Bandit

    world = Bandit(_success())
    return partial(train, world, "grpo", seeds=seeds, steps=steps, group_size=GROUP_SIZE, lr=LR, **options)


def _references(seeds: int, steps: int) -> dict[str, Callable[[], Any]]:
    given: dict[str, Any] = {"seeds": seeds, "steps": steps, "group_size": GROUP_SIZE, "lr": LR}
    tasks: dict[str, Callable[[], Any]] = {"NumPy": partial(numpy_bandit.train, _success(), **given)}
    if importlib.util.find_spec("torch"):
        tasks["torch autograd"] = partial(torch_bandit.train, _success(), **given)
    if importlib.util.find_spec("jax"):
        tasks["JAX jit(vmap(scan))"] = _jax(seeds, steps)
    return tasks


def _jax(seeds: int, steps: int) -> Callable[[], Any]:
    import jax

    run = jax_bandit.compiled(_success(), steps=steps, group_size=GROUP_SIZE, lr=LR)
    keys = jax.random.split(jax.random.key(0, impl="unsafe_rbg"), seeds)
    return lambda: run(keys).block_until_ready()


def _rows(title: str, seeds: int, steps: int, ours: dict[str, Callable[[], Any]], runs: int) -> list[Row]:
    references = _references(seeds, steps)
    seconds = alternate({**references, **ours}, runs)
    speed = {name: seeds * PROMPTS * GROUP_SIZE * steps / s / 1e6 for name, s in seconds.items()}
    rows = [Row(f"{title}: {name}", speed[name], UNIT, "", None, runs) for name in references]
    for name in ours:
        rows += [Row(f"{title}: {name}", speed[name], UNIT, r, speed[name] / speed[r], runs) for r in references]
    return rows


@benchmark("bandit", "bandit, 32 prompts x 16 arms, G = 8, 64 seeds, 1000 steps, GRPO")
def bandit() -> list[Row]:
    """64 seeds on two threads, with basic measurements, without, and in full."""
    ours = {
        "lab, measure='basic'": _lab(64, 1000, threads=2),
        "lab, measure=None": _lab(64, 1000, threads=2, measure=None),
        "lab, measure='basic', one thread": _lab(64, 1000, threads=1),
    }
    return _rows("64 seeds", 64, 1000, ours, 3)


@benchmark("bandit-full", "the same with all measurements (exact gradient, KL, levels)")
def bandit_full() -> list[Row]:
    """What the full set of measurements costs."""
    ours = {"lab, measure='full'": _lab(64, 200, threads=2, measure="full")}
    return _rows("64 seeds", 64, 200, ours, 3)


@benchmark("one-seed", "one seed, 1000 steps: what a moved slider costs")
def one_seed() -> list[Row]:
    """One run, one thread."""
    ours = {"lab, measure='basic'": _lab(1, 1000), "lab, measure=None": _lab(1, 1000, measure=None)}
    return _rows("one seed", 1, 1000, ours, RUNS)


@benchmark("variants", "every variant that the bandit's fields allow, 64 seeds, 300 steps, P = 16, K = 8, G = 8")
def variants() -> list[Row]:
    """Seconds for the whole variant set on two threads."""
    import time

    from lab.errors import InputError, MissingFieldError
    from lab.methods import names
    from lab.training.train import train
    from simulators.bandit.world import Bandit

    world = Bandit(np.random.default_rng(1).random((16, 8)))
    start, done = time.perf_counter(), 0
    for name in names():
        try:
            train(world, name, seeds=64, steps=300, group_size=GROUP_SIZE, lr=LR, threads=2)
            done += 1
        except (MissingFieldError, InputError):  # a field that a bandit does not have, or actions that are no edges
            continue
    return [Row(f"{done} variants", time.perf_counter() - start, "s", "", None, 1)]
