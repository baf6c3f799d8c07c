"""Sampling prompts again until the batch is full, as DAPO's dynamic sampling does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.records import FIELDS, Rollouts

__all__ = ["first_slots", "refill"]

Array = NDArray[Any]


def refill(
    rollouts: Rollouts,
    rewards: Array,
    kept: Array,
    attempts: int,
    again: Callable[[int], tuple[Rollouts, Array]],
    useful: Callable[[Array], Array],
) -> tuple[Rollouts, Array, Array, Array]:
    """Append further samples of the prompts until every run has P useful slots, or the attempts are used up.

    The slots stand behind one another on the P axis (`rollouts.prompt` says which prompt each holds); the first P
    useful ones of each run are kept, so a run that was full at once is unchanged. What a run did not need stands there
    for the sake of the others: nothing about it may depend on that.

    Args:
        rollouts: The first sample.
        rewards: Its rewards [S, P, G, K].
        kept: Which of its prompts are useful [S, P].
        attempts: Largest number of further samples.
        again: Takes the number of the attempt (1, 2, ...), gives rollouts and rewards.
        useful: Rewards [S, P, G, K] -> which prompts are useful [S, P].

    Returns:
        Rollouts, rewards [S, P', G, K] and kept [S, P'] with P' = P times the samples taken, and the number of slots
        that each run needed [S].

    Source: DAPO, part (c) (arXiv 2503.14476).
    """
    wanted = kept.shape[-1]
    parts, scored, good = [_numbered(rollouts, wanted)], [rewards], [kept]
    for attempt in range(1, attempts + 1):
        if (np.concatenate(good, axis=-1).sum(axis=-1) >= wanted).all():
            break
        sample, its_rewards = again(attempt)
        parts.append(_numbered(sample, wanted))
        scored.append(its_rewards)
        good.append(useful(its_rewards))
    every = np.concatenate(good, axis=-1)
    useful_so_far = np.cumsum(every, axis=-1)
    short = useful_so_far[:, wanted - 1 : -1 : wanted] < wanted
    needed = wanted * (1 + short.sum(axis=-1))
    return _stack(parts), np.concatenate(scored, axis=1), every & (useful_so_far <= wanted), needed


def first_slots(rollouts: Rollouts, slots: int) -> Rollouts:
    """The same rollouts, only the first slots of the P axis."""

    def cut(name: str, array: Array) -> Array:
        return array[(slice(None),) * FIELDS[name].axis("P", array) + (slice(slots),)]

    return Rollouts.of({name: cut(name, array) for name, array in rollouts.held().items()})


def _numbered(rollouts: Rollouts, prompts: int) -> Rollouts:
    return rollouts if rollouts.prompt is not None else replace(rollouts, prompt=np.arange(prompts))


def _stack(parts: list[Rollouts]) -> Rollouts:
    """Concatenate along the P axis of each field."""
    held = [part.held() for part in parts]
    return Rollouts.of(
        {name: np.concatenate([h[name] for h in held], FIELDS[name].axis("P", one)) for name, one in held[0].items()}
    )
