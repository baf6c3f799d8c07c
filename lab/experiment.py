"""Experiments: one step of a run looked at again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lab.diagnostics.gradient import norm
from lab.errors import InputError
from lab.loop import Moment, Settings, Walk
from lab.train import Job, job_of, seeds_of
from lab.variants import Variant, variant
from simulators.records import Truth

if TYPE_CHECKING:
    import polars as pl

    from simulators.records import World

__all__ = ["Replay", "replay"]

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Replay:
    """One step of one run, with everything that made its gradient.

    Attributes:
        moment: Rollouts, rewards, advantages, weights and gradient of the step, with S = 1.
        truth: What the world knows about it, the exact gradient included.
        prompt_norm: Norm of each prompt's share of the gradient [P]; the shares add up to the gradient.
        frame: One row per rollout: prompt, rollout, action, reward, advantage, true_advantage, keep.
    """

    moment: Moment
    truth: Truth
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
    truth = world.truth(walk.policy, moment.rollouts)
    return Replay(moment, truth, prompt_norms(walk, moment), rollout_table(moment, truth, world.prompts))


def prompt_norms(walk: Walk, moment: Moment) -> Array:
    """Norm of what each prompt adds to the gradient of the first run [P], from one gradient per prompt."""
    slots = _slots(moment, walk.world.prompts)
    shares = [np.where((slots == p)[None, :, None, None], moment.weights, 0.0) for p in range(walk.world.prompts)]
    return np.array([norm(walk.world.gradient(walk.policy, moment.rollouts, w))[0] for w in shares])


def rollout_table(moment: Moment, truth: Truth, prompts: int, run: int = 0) -> pl.DataFrame:
    """The rollouts of one run (index on the S axis) at one step, a row each.

    Columns prompt, rollout, action, reward (components added; `reward_1` ... beside it where there are several),
    advantage, true_advantage, keep. An action of several tokens is text, the tokens separated by blanks. A prompt that
    was sampled again within the step numbers its rollouts on.
    """
    import polars as pl

    slots, rewards = _slots(moment, prompts, run), moment.rewards[run]
    size = rewards.shape[1]
    attempt = np.arange(len(slots))[:, None] // prompts
    components = rewards.reshape(-1, rewards.shape[-1])
    columns = {
        "prompt": np.repeat(slots, size),
        "rollout": (attempt * size + np.arange(size)).reshape(-1),
        "action": _actions(moment, run),
        "reward": components.sum(axis=-1),
        **({f"reward_{k}": r for k, r in enumerate(components.T, 1)} if len(components.T) > 1 else {}),
        "advantage": moment.advantage[run].reshape(-1),
        "true_advantage": truth.advantage[run].reshape(-1),
        "keep": np.ones(slots.size * size, dtype=bool) if moment.keep is None else moment.keep[run].reshape(-1),
    }
    return pl.DataFrame(columns)


def _slots(moment: Moment, prompts: int, run: int = 0) -> Array:
    """Which prompt stands in each slot of the run's P axis."""
    given = moment.rollouts.prompt
    if given is None:
        return np.arange(prompts)
    return np.asarray(given if given.ndim == 1 else given[run])


def _actions(moment: Moment, run: int) -> Any:
    actions, mask = moment.rollouts.actions[run], moment.rollouts.mask
    flat = actions.reshape(-1, actions.shape[-1])
    if flat.shape[-1] == 1:
        return flat[:, 0]
    real = np.ones(flat.shape, dtype=bool) if mask is None else mask[run].reshape(flat.shape)
    return [" ".join(map(str, tokens[valid])) for tokens, valid in zip(flat, real, strict=True)]
