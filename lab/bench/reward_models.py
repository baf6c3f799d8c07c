"""Seconds that reward models take to be learned from comparisons, and best of n over many prompts."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from lab.bench.harness import Row, benchmark

PAIRS, TOGETHER, PROMPTS, POOL, RUNS = 4000, 8, 100_000, 64, 3


def _seconds(task: Callable[[], Any]) -> float:
    """Median seconds of a task, after one that is not counted."""
    task()
    found = []
    for _ in range(RUNS):
        start = time.perf_counter()
        task()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


@benchmark(
    "reward-models", "reward models from 4000 comparisons, alone and eight at once; best of 16 over 100 000 prompts"
)
def reward_models() -> list[Row]:
    """Fitting is torch on one thread; best of n takes the unbiased estimate from 64 scored responses of each prompt."""
    from simulators.learned_reward import best_of_n
    from simulators.learned_reward.annotators import annotate
    from simulators.learned_reward.fitting import fit
    from simulators.learned_reward.gold import gold

    data = annotate(gold("bowl"), PAIRS, seeds=range(TOGETHER))
    proxy, worth = np.random.default_rng(0).standard_normal((2, PROMPTS, POOL))
    tasks: dict[str, Callable[[], Any]] = {
        f"reward model, {PAIRS} comparisons": partial(fit, data.one(0), [0]),
        f"{TOGETHER} reward models at once": partial(fit, data, range(TOGETHER)),
        f"best of 16 of {POOL}, {PROMPTS} prompts": partial(best_of_n.expected, proxy, worth, 16),
    }
    return [Row(name, _seconds(task), "s", "", None, RUNS) for name, task in tasks.items()]
