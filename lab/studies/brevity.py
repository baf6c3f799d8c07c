"""Hacking by brevity: answers' lengths learnt from rules, from a learned score that likes short answers, or both.

A toy whose path is the point: a softmax over lengths, moved by expected scores of sampled lengths. Rewards and
advantages are the registered rules'.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["brevity_study"]

Array = NDArray[Any]

_LENGTHS = np.arange(1, 17)
_START = np.tile([4, 8], 4)
_RIGHT = 0.95 / (1 + np.exp(-(_LENGTHS - _START[:, None]) / 1.2))
_OPEN = np.repeat([0, 1], 4)
_RUNS, _SIZE, _STEPS = 6, 16, 400


def _softmax(logits: Array) -> Array:
    weight = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(weight / weight.sum(axis=-1, keepdims=True))


def _rewards(chosen: Array, form: Array, rng: np.random.Generator) -> Array:
    """The rule's verdict, a learned score that likes short answers, the format bit: lengths [S, P, G] -> [..., 3]."""
    right = rng.random(chosen.shape) < _RIGHT[np.arange(8)[:, None], chosen]
    learned = 0.5 + 0.6 * right - 0.08 * _LENGTHS[chosen] + 0.3 * rng.standard_normal(chosen.shape)
    return np.stack([right, learned, form], axis=-1)


def brevity_study(
    seed: int, p_max: float, rules: bool = True, rate: float = 2.0, rule: str = "dr_grpo"
) -> tuple[Array, Array]:
    """Accuracy and mean length on checkable and open prompts [S, 2], averaged over the last 20 of 400 steps.

    Four checkable and four open prompts, easy and hard by turns; each four share a softmax over lengths 1 to 16, all
    share a logit for the format.

    Args:
        seed: Of six runs; different seeds share no run.
        p_max: Largest length penalty of the reward `hybrid-reward`.
        rules: False: every prompt is scored by the learned reward, as if no answer could be checked.
        rate: Step for each rollout of a prompt.
        rule: Name of the advantage.

    Source: HARMO's small-scale reproduction; the task is the lab's own.
    """
    from lab.advantages import compute
    from lab.rewards import apply

    rng = np.random.default_rng(seed * _RUNS)
    logits, form_logit = np.zeros((_RUNS, 2, 16)), np.zeros((_RUNS, 1, 1))
    task, found = _OPEN if rules else np.ones(8), []
    for step in range(_STEPS):
        policy, form_rate = _softmax(logits), 1 / (1 + np.exp(-form_logit))
        uniform = rng.random((2, _RUNS, 8, _SIZE))
        chosen = (uniform[0][..., None] > policy.cumsum(-1)[:, _OPEN, None, :-1]).sum(-1)
        form = (uniform[1] < form_rate).astype(float)
        mask = chosen[..., None] >= np.arange(16)
        scored = apply("hybrid-reward", _rewards(chosen, form, rng), mask=mask, task=task, p_max=p_max)
        a = compute(rule, scored) * rate / (8 * _SIZE)
        taken = (a[..., None] * ((chosen[..., None] == np.arange(16)) - policy[:, _OPEN, None])).sum(2)
        logits += taken.reshape(_RUNS, 2, 4, 16).sum(2)
        form_logit += (a * (form - form_rate)).sum(axis=(1, 2), keepdims=True)
        if step >= _STEPS - 20:
            right = (policy[:, _OPEN] * _RIGHT).sum(-1).reshape(_RUNS, 2, 4).mean(-1)
            found.append((right, policy @ _LENGTHS))
    accuracy, length = (np.mean(x, axis=0) for x in zip(*found, strict=True))
    return accuracy, length
