"""Learning to call tools under a reward whose scales change from step to step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from simulators.hidden_lm.world import HiddenLM

__all__ = ["tool_study", "tool_world"]

Array = NDArray[Any]

_PROMPTS, _GROUP, _HEADS = 8, 8, 5
_LR = 0.5 * _PROMPTS * _HEADS  # 0.5 on the logits of each prompt, summed over heads


def tool_world(seed: int, granularity: str = "fine", letters: int = 6) -> HiddenLM:
    """A factored policy per prompt: frame or none (logit −1), one of six tools, three values of five or none.

    Args:
        seed: Draws the true calls.
        granularity: How the calls are paid, as in `simulators.toy_lm.tasks.tool_call`.
        letters: Number of tools, and of values with none.
    """
    from simulators import HiddenLM
    from simulators.toy_lm.tasks import tool_call

    heads = np.eye(_PROMPTS * _HEADS).reshape(_PROMPTS, _HEADS, 1, -1)
    heads[:, 0] *= np.sqrt(0.5)  # two letters with one logit between them
    fixed = np.zeros((_HEADS, 1, letters + 1))
    fixed[:, :, 0] = -1000.0
    fixed[0, :, 1], fixed[0, :, 3:] = -1.0, -1000.0
    task = tool_call(_PROMPTS, letters + 1, _HEADS, seed, granularity=granularity)
    return HiddenLM(task, features=heads, logits=fixed, spread=0.0, seed=seed)


def tool_study(
    seed: int, seeds: Sequence[int], granularity: str = "fine", schedule: str = "fixed", *, letters: int = 6,
    steps: int = 100, early: int = 20, half: int = 50,
) -> dict[str, Array]:  # fmt: skip
    """Per run [S]: exact calls after `half` and all steps, format after `early`, silent groups of the first ten.

    Args:
        seed: Draws the true calls.
        seeds: Of the runs S.
        granularity: How calls are paid.
        schedule: Of the reward `toolrl`.
        letters: See `tool_world`.
        steps: Of training, on groups of 8.
        early: When the format is looked at.
        half: When exact calls are looked at first.

    Source: ToolRL, arXiv 2504.13958; the task is the lab's own.
    """
    from lab.methods import variant
    from lab.training.loop import Walk
    from lab.training.settings import Settings

    world, exact = tool_world(seed, granularity, letters), tool_world(seed, "coarse", letters)
    walk = Walk(world, variant("toolrl", schedule=schedule), list(seeds), Settings(group_size=_GROUP, lr=_LR))
    found: dict[str, Array] = {}
    silent = []
    for step in range(steps):
        moment = walk.look()
        if step < 10:
            silent.append((np.ptp(moment.rewards[..., 0], axis=-1) == 0).mean(axis=-1))
        if step == early:
            truth = exact.truth(walk.policy, moment.rollouts, gradient=False, weights=(0, 1, 0))
            found[f"format at {early}"] = truth.value.mean(axis=1)
        walk.advance(moment)
        if step + 1 in (half, steps):
            truth = exact.truth(walk.policy, moment.rollouts, gradient=False, weights=(1, 0, 0))
            found[f"exact at {step + 1}"] = truth.value.mean(axis=1)
    return found | {"silent": np.mean(silent, axis=0)}
