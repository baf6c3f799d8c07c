"""TMN-Reweight: one scale per task in a mixed batch, and more weight where success or failure is the rare outcome."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from lab.advantages.grpo import CENTRED, largest
from lab.advantages.statistics import Array, mean_std, over, task_mean_std, weighted_total
from lab.errors import InputError
from lab.registry import Shape, preset, register


def _bound(shape: Shape) -> float:
    """sigma_m^2 is at least a group's variance over P, so |A| is at most sqrt(P) times GRPO's largest."""
    return math.sqrt(shape.prompts) * largest(shape)


def _moments(rewards: Array, single: str) -> tuple[Array, Array, Array]:
    """Mean, deviation and number of scored rollouts [..., P, 1]; a group of one as `single` says, of none NaN."""
    mean, std = mean_std(rewards)
    size = (~np.isnan(rewards)).sum(axis=-1, keepdims=True)
    mean, std = (np.where(size == 0, rewards.dtype.type(np.nan), x) for x in (mean, std))
    if single == "raw":
        mean, std = np.where(size == 1, np.zeros_like(mean), mean), np.where(size == 1, np.ones_like(std), std)
    return mean, std, size


def _scale(std: Array, task: Array | None) -> Array:
    """Root of the task's mean variance: std [..., P, 1] -> [..., P, 1]."""
    return np.sqrt(task_mean_std(std[..., 0] ** 2, task)[0])[..., None]


def pass_rate(rewards: Array, task: Array | None = None, alpha: float = 0.8, single: str = "zero") -> Array:
    """Share of a prompt's rewards above its threshold t = M + alpha (mean - M), M the task's mean of means.

    Args:
        rewards: Total rewards [..., P, G].
        task: Task of each prompt [..., P]; None: one task.
        alpha: Share of the prompt's own mean in the threshold. A group of one is compared with M alone.
        single: As in `golongrl_tmn`.

    Returns:
        Pass rates [..., P, 1].

    Source: arXiv 2605.19577, difficulty weights; golden file golongrl-tmn.json (`mean_pass_rate`).
    """
    mean, _, size = _moments(rewards, single)
    common = task_mean_std(mean[..., 0], task)[0][..., None]
    threshold = common + np.where(size == 1, 0.0, alpha).astype(rewards.dtype) * (mean - common)
    above = (rewards > threshold).sum(axis=-1, keepdims=True)
    return (above / np.maximum(size, 1)).astype(rewards.dtype)


def _weight(rewards: Array, task: Array | None, alpha: float, gamma: float, single: str) -> Array:
    """exp(gamma (1/2 - p)) above the prompt's mean, exp(gamma (p - 1/2)) elsewhere [..., P, G]."""
    above = rewards > _moments(rewards, single)[0]
    half = 0.5 - pass_rate(rewards, task, alpha, single)
    return np.exp(np.where(above, half, -half) * rewards.dtype.type(gamma))


def _worked(rewards: Array, prompt: int, rollout: int, options: Mapping[str, Any]) -> str:
    """One rollout's numbers: its distance from the mean, the task's scale, its difficulty weight."""
    total, task = weighted_total(rewards, options["weights"]), options.get("task")
    mean, std, _ = _moments(total, options["single"])
    text = f"({total[prompt, rollout]:.4g} − {mean[prompt, 0]:.4g})"
    if options["scale"] == "task":
        text = f"{text} / ({_scale(std, task)[prompt, 0]:.4g} + {options['eps']:.4g})"
    if not options["gamma"]:
        return text
    weight = _weight(total, task, options["alpha"], options["gamma"], options["single"])
    return f"{weight[prompt, rollout]:.4g} · {text}"


@register(
    "advantage",
    "golongrl-tmn",
    paper="golongrl-tmn",
    equation="A = e^{±γ(½ − p)} (R − mean) / (σ_task + ε),  σ_task = √(mean variance of the task's prompts)",
    properties={"shift", "scale", "permutation", "silent", "bounded"},
    bound=lambda shape: math.exp(0.5) * _bound(shape),
    worked=_worked,
)
def golongrl_tmn(
    rewards: Array,
    *,
    task: Array | None = None,
    alpha: float = 0.8,
    gamma: float = 1.0,
    scale: str = "task",
    eps: float = 1e-6,
    single: str = "zero",
) -> Array:
    """TMN-Reweight: A = w (R - mean)/(sigma_m + eps), sigma_m^2 the mean sample variance of task m's prompts.

    A prompt without spread counts as variance 0. w is exp(gamma (1/2 - p)) for rewards above the prompt's mean and
    exp(gamma (p - 1/2)) for the others, with the prompt's `pass_rate` p: rare successes up to 1.65 times, failures of
    hard prompts down to 0.61. With weights a group's advantages do not sum to zero.

    Args:
        rewards: Total rewards [..., P, G].
        task: Task of each prompt [..., P]; None: the batch is one task.
        alpha: Share of the prompt's own mean in the threshold of the pass rate (recipe 0.8).
        gamma: Strength of the weights; 0 for none.
        scale: "task", or "none" to centre only.
        eps: Floor of the task's scale, in units of reward.
        single: A group of one gets 0 ("zero") or counts as mean 0, variance 1 ("raw", as the source).

    Returns:
        Advantages [..., P, G].

    Source: arXiv 2605.19577, TMN and difficulty weights; golden file golongrl-tmn.json (`tmn_reweight`).
    """
    if scale not in ("task", "none"):
        raise InputError(f"golongrl-tmn: scale={scale!r}; it must be 'task' or 'none'")
    mean, std, _ = _moments(rewards, single)
    centred = rewards - mean
    if scale == "task":
        spread = _scale(std, task)
        centred = over(centred, np.where(spread > 0, spread + rewards.dtype.type(eps), spread))
    return centred * _weight(rewards, task, alpha, gamma, single) if gamma else centred


preset("advantage", "golongrl-tmn@no-difficulty", "golongrl-tmn", "the task's scale without difficulty weights",
       CENTRED - {"groupwise"} | {"scale", "bounded"}, _bound,
       equation="A = (R − mean) / (σ_task + ε),  σ_task = √(mean variance of the task's prompts)",
       gamma=0.0)  # fmt: skip
preset("advantage", "golongrl-tmn@no-scale", "golongrl-tmn", "difficulty weights on centred rewards",
       {"shift", "permutation", "silent"}, equation="A = e^{±γ(½ − p)} (R − mean)", scale="none")  # fmt: skip


@register(
    "advantage",
    "qwenlong",
    paper="golongrl-tmn",
    equation="A = (R − mean) / (std + ε) over all rewards of the task",
    properties={"shift", "scale", "permutation", "bounded"},
    bound=lambda shape: largest(Shape(1, shape.prompts * shape.group_size)),
)
def qwenlong(rewards: Array, *, task: Array | None = None, eps: float = 1e-6) -> Array:
    """QwenLong's task advantage: mean and sample deviation over ALL rewards of the task, no mean per prompt.

    A prompt whose rewards are all equal still gets an advantage, the same for each of its rollouts.

    Args:
        rewards: Total rewards [..., P, G].
        task: Task of each prompt [..., P]; None: the batch is one task.
        eps: Floor of the deviation, in units of reward.

    Returns:
        Advantages [..., P, G]; 0 for a task with one reward or without spread.

    Source: arXiv 2605.19577, the estimator it is compared with; golden file golongrl-tmn.json (`qwenlong_task`).
    """
    flat = rewards.reshape(*rewards.shape[:-2], -1)
    of = None if task is None else np.repeat(np.asarray(task), rewards.shape[-1], axis=-1)
    mean, std = (x.reshape(rewards.shape) for x in task_mean_std(flat, of))
    return over(rewards - mean, np.where(std > 0, std + rewards.dtype.type(eps), std))
