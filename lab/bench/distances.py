"""Distances between rewards: one at a time, a whole experiment, a large world; beside plain loops."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from lab.bench import loop_distances
from lab.bench.harness import Row, alternate, benchmark

RUNS = 5
LOOPS = "plain loops"


def _pair(states: int, actions: int) -> tuple[Any, Any, Any]:
    from simulators.mdp import families

    mdp = families.sparse(states, actions, source=0)
    first, second = np.random.default_rng(1).standard_normal((2, *mdp.transition.shape))
    return mdp, first, second


def _repeated(task: Callable[[], Any], times: int) -> Callable[[], None]:
    def run() -> None:
        for _ in range(times):
            task()

    return run


@benchmark("one-distance", "one val-l2-l2 distance, S = 32, A = 4")
def one_distance() -> list[Row]:
    """The world's inverse is kept from one call to the next, as in a page or a notebook."""
    from lab import distances

    mdp, a, b = _pair(32, 4)
    ours = _repeated(partial(distances.compute, "val-l2-l2", mdp, a, b), 200)
    theirs = partial(loop_distances.distance, "val-l2-l2", mdp.transition, mdp.discount, a, b)
    seconds = alternate({LOOPS: theirs, "lab": ours}, RUNS)
    lab, loops = 200 / seconds["lab"], 1 / seconds[LOOPS]
    return [
        Row(f"val-l2-l2, {LOOPS}", loops, "distances/s", "", None, RUNS),
        Row("val-l2-l2, lab", lab, "distances/s", LOOPS, lab / loops, RUNS),
        Row("val-l2-l2, lab, one distance", 1e6 / lab, "µs", "", None, RUNS),
    ]


@benchmark(
    "distance-experiment", "768 pairs of rewards, S = 32, A = 4: 8 canonical forms x 42 norms and metrics, regret"
)
def experiment() -> list[Row]:
    """The lab's time has worlds, rewards, optimal policies and regret in it; the loops' only l2-l2 distances."""
    from lab import distances
    from lab.studies.distance_regret import distance_study

    names = [n for n in distances.names() if n.partition("-")[0] in loop_distances.CANONS and n.count("-") == 2]
    mdp, a, b = _pair(32, 4)
    some = [f"{canon}-l2-l2" for canon in loop_distances.CANONS]
    start = time.perf_counter()
    for name in some:
        loop_distances.distance(name, mdp.transition, mdp.discount, a, b)
    loops = len(some) / (time.perf_counter() - start)
    seconds = []
    for run in range(3):
        start = time.perf_counter()
        distance_study(names, seed=run)
        seconds.append(time.perf_counter() - start)
    whole = statistics.median(seconds)
    lab = 768 * len(names) / whole
    return [
        Row(f"experiment, {LOOPS}", loops, "distances/s", "", None, 1),
        Row(f"experiment, lab, {len(names)} distances with regret", lab, "distances/s", LOOPS, lab / loops, 3),
        Row("experiment, lab, all of it", whole, "s", "", None, 3),
    ]


@benchmark("large-distance", "one pair of rewards, S = 512, A = 8, in a world not seen before")
def large() -> list[Row]:
    """Nothing kept from before: the inverse or the basis is part of the time."""
    from lab import distances
    from simulators.mdp.mdp import MDP

    mdp, a, b = _pair(512, 8)
    rows = []
    for name in ("val-l2-l2", "epic-l2-l2", "dard-l2-l2", "minimal-l2-l2"):
        seconds = []
        for _ in range(3):
            fresh = MDP(mdp.transition, mdp.discount)
            start = time.perf_counter()
            distances.compute(name, fresh, a, b)
            seconds.append(time.perf_counter() - start)
        rows.append(Row(f"{name}, S = 512, A = 8", statistics.median(seconds), "s", "", None, 3))
    return rows
