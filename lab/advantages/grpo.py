"""Group-relative baselines with one value per rollout: GRPO, Dr. GRPO, RLOO, OPO, GPG, pass@k."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from lab.advantages.statistics import (
    Array,
    batch_mean_std,
    leave_one_out,
    mean_std,
    normalise,
    over,
    scored,
    token_counts,
    total,
    weighted_total,
)
from lab.errors import InputError
from lab.registry import Shape, preset, register

CENTRED = {"shift", "permutation", "zero_sum", "silent", "groupwise"}


def largest(shape: Shape) -> float:
    """Samuelson's inequality: |R - mean| <= (G-1)/sqrt(G) sample deviations, on any rewards."""
    return (shape.group_size - 1) / math.sqrt(shape.group_size)


def _largest_in_batch(shape: Shape) -> float:
    """(R - mean)^2 <= (G-1)/G of the group's squares about its mean, which are at most those of the batch."""
    size = shape.group_size
    return math.sqrt((size - 1) / size * (shape.prompts * size - 1))


def _largest_population(shape: Shape) -> float:
    return math.sqrt(shape.group_size - 1)


def _worked(rewards: Array, prompt: int, rollout: int, options: Mapping[str, Any]) -> str:
    """One rollout's numbers, divided by what `scale` says."""
    summed = weighted_total(rewards, options["weights"])
    mean, std = mean_std(summed, options["ddof"], options["single"])
    centred = f"{summed[prompt, rollout]:.4g} − {mean[prompt, 0]:.4g}"
    if options["scale"] == "none":
        return centred
    spread = (batch_mean_std(summed, options["ddof"])[1] if options["scale"] == "batch" else std[prompt]).item()
    return f"({centred}) / ({spread:.4g} + {options['eps']:.4g})" if spread + options["eps"] > 0 else centred


@register(
    "advantage",
    paper="baselines",
    equation="A = (R − mean) / (std + ε)",
    properties=CENTRED | {"scale", "bounded"},
    bound=largest,
    worked=_worked,
)
def grpo(rewards: Array, *, ddof: int = 1, eps: float = 1e-4, scale: str = "group", single: str = "zero") -> Array:
    """GRPO: A = (R - mean)/(std + eps), mean and std over the rollouts of one prompt.

    Args:
        rewards: Total rewards [..., P, G].
        ddof: 1 divides the squared deviations by G - 1, 0 by G.
        eps: Numerical floor of the deviation, in units of reward.
        scale: "group"; "batch" divides by the deviation of ALL rewards instead; "none" only centres.
        single: A group of one gets 0 ("zero") or its raw reward over 1 + eps ("raw").

    Returns:
        Advantages [..., P, G]; exactly 0 where a group has no spread.

    Source: arXiv 2402.03300; golden file baselines.json.
    """
    if scale == "group":
        return normalise(rewards, ddof, eps, single)
    centred = rewards - mean_std(rewards, ddof, single)[0]
    if scale == "none":
        return centred
    if scale == "batch":
        return over(centred, batch_mean_std(rewards, ddof)[1] + eps)
    raise InputError(f"grpo: scale={scale!r}; it must be 'group', 'batch' or 'none'")


@register(
    "advantage",
    paper="baselines",
    equation="A = (R − mean₋ᵢ) / (std₋ᵢ + ε), over the other rollouts",
    properties={"shift", "permutation", "silent", "groupwise"},
    worked="({r} − {others_mean}) / ({others_std} + {eps})",
)
def grpo_leave_one_out(rewards: Array, *, eps: float = 1e-6) -> Array:
    """NeMo-RL's leave-one-out form: mean and sample std over the other G - 1 rollouts of the prompt.

    Args:
        rewards: Total rewards [..., P, G].
        eps: Added to the deviation where it is above 0; a rollout whose companions all agree is centred only.

    Returns:
        Advantages [..., P, G]; 0 for a group of one.

    Source: NVIDIA NeMo-RL, advantage_estimator.py; golden file gdpo.json (`nemo_rl_leave_one_out`).
    """
    mean, std = leave_one_out(rewards)
    return over(rewards - mean, np.where(std > 0, std + rewards.dtype.type(eps), std))


@register(
    "advantage",
    paper="baselines",
    equation="A = R − mean",
    properties=CENTRED,
    worked="{r} − {mean}",
)
def dr_grpo(rewards: Array, *, single: str = "zero") -> Array:
    """Dr. GRPO: A = R - mean, no division by the deviation.

    Args:
        rewards: Total rewards [..., P, G].
        single: A group of one gets 0 ("zero") or its raw reward ("raw", verl).

    Source: arXiv 2503.20783; golden file baselines.json.
    """
    return rewards - mean_std(rewards, single=single)[0]


@register(
    "advantage",
    paper="baselines",
    equation="A = (R − mean) · G / (G − 1) = R − mean of the others",
    properties=CENTRED,
    worked="({r} − {mean}) · {G} / ({G} − 1)",
)
def rloo(rewards: Array) -> Array:
    """RLOO: each rollout against the mean of the others, R - mean_others = (R - mean) G/(G-1).

    Args:
        rewards: Total rewards [..., P, G]; a group of one has no others and keeps its raw reward: plain REINFORCE.

    Source: arXiv 2402.14740; golden file baselines.json.
    """
    size = scored(rewards)
    return np.where(size > 1, (rewards - mean_std(rewards)[0]) * (size / np.maximum(size - 1, 1)), rewards)


@register(
    "advantage",
    paper="baselines",
    equation="A = R − Σ len·R / Σ len",
    properties={"shift", "permutation", "silent", "groupwise"},
)
def opo(rewards: Array, *, mask: Array | None = None) -> Array:
    """OPO: the baseline is the mean weighted by response length (valid tokens).

    Args:
        rewards: Total rewards [..., P, G].
        mask: Valid tokens [..., P, G, T]; None means equal lengths. A group of one keeps its raw reward.

    Source: arXiv 2505.23585; golden file baselines.json.
    """
    if rewards.shape[-1] == 1:
        return rewards.copy()
    length = token_counts(rewards, mask)
    mean = mean_std(rewards)[0]
    weight = length.sum(-1, keepdims=True)
    return rewards - (mean + over(np.nansum(length * (rewards - mean), axis=-1, keepdims=True), weight))


@register(
    "advantage",
    paper="baselines",
    equation="A = (B / m) · (R − mean) / f,  m = number of rewards ≠ 0 in the batch of B",
    properties={"permutation", "zero_sum", "silent"},
    worked="({B} / {nonzero}) · ({r} − {mean}) / {f_norm}",
)
def gpg(rewards: Array, *, f_norm: float = 1.0, single: str = "zero") -> Array:
    """GPG: centred rewards times B/m, which makes up for prompts without any reward.

    Args:
        rewards: Total rewards [..., P, G]; B = P·G, m = number of rewards that are not 0 (at least 1).
        f_norm: Fixed divisor.
        single: A group of one gets 0 ("zero") or its raw reward times B/m ("raw", verl).

    Source: arXiv 2504.02546; golden file baselines.json (factor in float32 there).
    """
    known = ~np.isnan(rewards)
    batch, nonzero = (total(x.astype(rewards.dtype)) for x in (known, known & (rewards != 0)))
    return batch / np.maximum(nonzero, 1) * (rewards - mean_std(rewards, single=single)[0]) / f_norm


@register(
    "advantage",
    paper="baselines",
    equation="A = (R₁ − R₂) / (std + ε) for the best rollout, 0 for the others",
    properties={"shift", "scale", "permutation", "silent", "groupwise", "bounded"},
    bound=lambda shape: math.sqrt(shape.group_size),
    worked="best {best}, second {second}: ({best} − {second}) / ({std} + {eps}) for the best only",
)
def grpo_passk(rewards: Array, *, ddof: int = 1, eps: float = 1e-6) -> Array:
    """Pass@k form of GRPO: only the best rollout learns, from its lead over the second best.

    Args:
        rewards: Total rewards [..., P, G], G >= 2. A tie for the best gives 0 to all.
        ddof: As in `grpo`.
        eps: As in `grpo`.

    Raises:
        InputError: A group of one has no second best.

    Source: verl's grpo_passk; golden file baselines.json.
    """
    if rewards.shape[-1] < 2:
        raise InputError("grpo_passk compares the best with the second best: it needs G >= 2 rollouts, got G = 1")
    missing = np.isnan(rewards)
    ordered = np.sort(np.where(missing, rewards.min(where=~missing, initial=0), rewards), axis=-1)
    lead = over(ordered[..., -1:] - ordered[..., -2:-1], mean_std(rewards, ddof)[1] + eps)
    return np.where((rewards == ordered[..., -1:]) & (scored(rewards) > 1), lead, rewards.dtype.type(0))


preset(
    "advantage",
    "grpo@trl",
    "grpo",
    "TRL 1.16: ddof 1, ε 1e-4, group of one 0",
    eps=1e-4,
    single="zero",
)
preset("advantage", "grpo@trl-batch", "grpo", "TRL scale_rewards='batch'",
       CENTRED - {"groupwise"} | {"scale", "bounded"}, _largest_in_batch,
       equation="A = (R − mean) / (std of the batch + ε)", scale="batch", eps=1e-4)  # fmt: skip
preset("advantage", "grpo@trl-none", "grpo", "TRL scale_rewards='none'", CENTRED, equation="A = R − mean",
       scale="none")  # fmt: skip
preset("advantage", "grpo@verl", "grpo", "verl 0.9: ddof 1, ε 1e-6, group of one keeps its reward", eps=1e-6,
       single="raw")  # fmt: skip
preset(
    "advantage",
    "grpo@nemo-rl",
    "grpo",
    "NeMo-RL: ddof 1, ε 1e-6, not divided where the spread is 0",
    eps=1e-6,
)
preset("advantage", "grpo@openrlhf", "grpo", "OpenRLHF: ddof 1, ε 1e-9", eps=1e-9)
preset("advantage", "grpo@rlhf-book", "grpo", "rlhf-book: ddof 1, ε 1e-8", eps=1e-8)
preset("advantage", "grpo@nano-aha-moment", "grpo", "nano-aha-moment: ddof 0, ε 1e-4",
       bound=_largest_population, ddof=0, eps=1e-4)  # fmt: skip
preset("advantage", "grpo@grpo-zero", "grpo", "GRPO-Zero: ddof 0, ε 1e-4",
       bound=_largest_population, ddof=0, eps=1e-4)  # fmt: skip
preset("advantage", "grpo@grpo-advantage", "grpo", "a web page: ddof 0, no floor, explicit zero",
       bound=_largest_population, ddof=0, eps=0.0)  # fmt: skip
preset("advantage", "dr_grpo@verl", "dr_grpo", "verl 0.9: group of one keeps its reward", single="raw")
preset("advantage", "gpg@verl", "gpg", "verl 0.9: group of one keeps its reward", single="raw")
