"""Starting runs and answering for a step: seeds, counters and sizes are checked here, in the same words for all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.errors import check_count, check_room, unknown_name
from simulators.records import Floats, Policy, World

__all__ = ["asked", "seeded", "started"]


def seeded(seeds: Sequence[int] | NDArray[Any]) -> NDArray[np.uint64]:
    """Seeds of runs [S].

    Raises:
        ValueError: there is none, or one is not from 0 to 2**64 − 1.
        TypeError: they are not integers.
    """
    number = len(seeds) if hasattr(seeds, "__len__") else 0
    if not number:
        raise ValueError(f"seeds must be a list of one or more integers from 0 to 2**64 - 1, not {seeds!r}")
    check_room(8 * number, seeds=number)
    return np.array([check_count("seed", s, least=0, most=2**64 - 1) for s in seeds], np.uint64)


def started(parameters: Floats, seeds: Sequence[int] | NDArray[Any]) -> Policy:
    """The policy whose runs all start at the same `parameters` [...]: [S, ...] for S seeds."""
    keys = seeded(seeds)
    check_room(keys.size * parameters.size, runs=keys.size, parameters=parameters.size)
    return Policy(np.tile(parameters, (keys.size, *[1] * parameters.ndim)), keys)


def asked(
    world: World, policy: Policy, group_size: int, step: int, attempt: int, fields: Sequence[str], *, each: int
) -> tuple[int, int, int]:
    """What a rollout is asked for, as it can be used: group size, step and attempt.

    Args:
        world: the world that is asked.
        policy: the runs.
        group_size: G, at least 1.
        step: counter of the training step, from 0 to 2**63 − 1.
        attempt: counter of the draw within the step, likewise.
        fields: names of optional fields, which the world must provide.
        each: numbers that the world holds for each rollout, about.

    Raises:
        ValueError: for what is out of range, an unknown field, or more rollouts than fit into the memory.
        TypeError: for counts that are no integers.
    """
    groups = check_count("group_size", group_size, least=1)
    counters = (check_count(n, v, least=0, most=2**63 - 1) for n, v in (("step", step), ("attempt", attempt)))
    for field in fields:
        if field not in world.provides:
            raise unknown_name(f"field of the {world.name} world", field, world.provides)
    runs = policy.seeds.size
    check_room(runs * world.prompts * groups * each, group_size=groups, prompts=world.prompts, runs=runs)
    return (groups, *counters)  # type: ignore[return-value]
