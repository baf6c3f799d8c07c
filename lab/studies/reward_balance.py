"""What a step does for each of several rewards: how much of it each has, and whose gradient it opposes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lab.errors import check_whole
from lab.methods import Variant, variant
from lab.training.jobs import seeds_of
from lab.training.loop import Moment, Walk
from lab.training.moment import acting
from lab.training.optimizers import on_host
from lab.training.settings import settings_of

if TYPE_CHECKING:
    import polars as pl

    from simulators.records import World

__all__ = ["balance_study"]

Array = NDArray[Any]


def balance_study(
    world: World,
    wanted: str | Variant,
    *,
    steps: int = 40,
    seeds: int | Sequence[int] = 1,
    every: int = 1,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
    **changes: Any,
) -> pl.DataFrame:
    """The rewards of a run one by one, each with its own gradient beside the step that is taken.

    A reward's own gradient is that of the method's advantages and objective for this reward alone. Its weight is its
    share in the step: what a combining rule gave it, or, where the rewards are added first, the part of its own
    advantages in those of the sum (by least squares; exact where advantages are linear in the rewards).

    Args:
        world: A world with several rewards.
        wanted: Name of the method, or a `Variant`.
        steps: Training steps.
        seeds: Of the runs.
        every: Look at every so many steps.
        progress: Called with the training steps that are done and the steps in all.
        stop: Asked before each step; when it says True the run ends there.
        **changes: Settings of the run by name, as in `lab.train`.

    Returns:
        A row per run, step and reward: variant, seed, step, reward (its name, or its number), value (mean of the step's
        rollouts), weight (the weights of a step have a sum of 1), cosine (of its own gradient and the step's, before
        any optimizer; null where it has none).

    Raises:
        InputError: The world has one reward; and, with UnknownNameError and MissingFieldError, as `lab.train`.
    """
    import polars as pl

    steps, every = check_whole("steps", steps, 0), check_whole("every", every, 1)
    chosen = variant(wanted) if isinstance(wanted, str) else wanted
    walk = Walk(world, chosen, seeds_of(seeds), settings_of(world, changes))
    apart = walk if chosen.combine else _apart(walk)
    tables = []
    for step in range(steps):
        if stop is not None and stop():
            break
        moment = walk.look()
        if step % every == 0:
            tables.append(_rows(walk, moment, moment if apart is walk else _beside(apart, walk)))
        walk.advance(moment)
        if progress is not None:
            progress(step + 1, steps)
    schema = {"variant": pl.String, "seed": pl.Int64, "step": pl.Int64, "reward": pl.String, "value": pl.Float64,
              "weight": pl.Float64, "cosine": pl.Float64}  # fmt: skip
    return pl.concat([pl.DataFrame(schema=schema), *(pl.DataFrame(rows, schema) for rows in tables)])


def _apart(walk: Walk) -> Walk:
    """The same method with the gradient of each reward by itself, none of which is taken."""
    own = walk.variant.with_options(combine=("marble", {"every": 2**62}))
    return Walk(walk.world, own, walk.policy.seeds, walk.settings)


def _beside(apart: Walk, walk: Walk) -> Moment:
    apart.follow(walk)
    return apart.look(gradient=False)


def _rows(walk: Walk, moment: Moment, apart: Moment) -> list[dict[str, Any]]:
    """The rows of one step: runs, and in each its rewards."""
    names = walk.world.components or tuple(map(str, range(1, 1 + moment.rewards.shape[-1])))
    own = [_flat(walk.world.pull(walk.policy, part.rollouts, part.weights)) for part in apart.parts]
    weights = moment.shares if moment.shares is not None else _weights(moment, apart)
    values, step = moment.rewards.mean((1, 2)), _flat(moment.gradient)
    return [
        {"variant": walk.variant.name, "seed": int(seed), "step": moment.step, "reward": names[k],
         "value": float(values[s, k]), "weight": float(weights[k, s] / (weights[:, s].sum() or 1.0)),
         "cosine": _cosine(own[k][s], step[s])}
        for s, seed in enumerate(walk.policy.seeds) for k in range(len(own))
    ]  # fmt: skip


def _flat(gradient: Any) -> Array:
    """Of the block that acts, a row for each run [S, N]."""
    array = np.asarray(on_host(acting(gradient)), dtype=np.float64)
    return array.reshape(len(array), -1)


def _weights(moment: Moment, apart: Moment) -> Array:
    """Part of each reward's advantages in those of the step [K, S], by least squares."""
    runs = len(moment.rewards)
    own = np.stack([np.asarray(part.used).reshape(runs, -1) for part in apart.parts], axis=-1)
    summed = np.asarray(moment.used).reshape(runs, -1)
    return np.stack([np.linalg.lstsq(own[s], summed[s], rcond=None)[0] for s in range(runs)], axis=1)


def _cosine(a: Array, b: Array) -> float | None:
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / length if length else None
