"""GDPO: each reward is normalised on its own before the rewards are added."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lab.advantages.grpo import largest
from lab.advantages.statistics import (
    Array,
    batch_mean_std,
    largest_of_tokens,
    leave_one_out,
    mean_std,
    over,
    token_counts,
    whiten_tokens,
)  # fmt: skip
from lab.errors import InputError
from lab.registry import preset, register


def decoupled(rewards: Array, weights: Array, ddof: int, eps: float, single: str, leave_out: bool) -> Array:
    """Steps 1 and 2 of GDPO: sum_k w_k (r_k - mean_k)/(std_k + eps), before any batch step.

    Args:
        rewards: Reward components [..., P, G, K].
        weights: Weight of each component [K].
        ddof: As in `gdpo`.
        eps: As in `gdpo`.
        single: As in `gdpo`.
        leave_out: As in `gdpo`.

    Returns:
        Weighted sums [..., P, G]; sums that cancel to less than 1e-12 of their parts are 0.
    """
    parts = np.moveaxis(rewards, -1, 0)
    if leave_out:
        mean, std = leave_one_out(parts)
    else:
        mean, std = mean_std(parts, ddof, single)
    normalised = over(parts - mean, np.where(std > 0, std + rewards.dtype.type(eps), std))
    weighted = normalised * weights.reshape(-1, *[1] * (parts.ndim - 1))
    summed = weighted.sum(axis=0)
    if rewards.dtype == np.float64:
        summed[np.abs(summed) <= 1e-12 * np.abs(weighted).sum(axis=0)] = 0.0
    return summed


def _worked(rewards: Array, prompt: int, rollout: int, options: Mapping[str, Any]) -> str:
    """One rollout's numbers: each component normalised, the weighted sum, the batch step."""
    mean, std = mean_std(np.moveaxis(rewards[prompt], -1, 0), options["ddof"], options["single"])
    weights = options.get("weights")
    weights = np.ones(rewards.shape[-1]) if weights is None else np.asarray(weights, dtype=float)
    terms = [
        f"{w:g}·({r:.4g} − {m:.4g})/({s:.4g} + {options['eps']:g})"
        for w, r, m, s in zip(weights, rewards[prompt, rollout], mean[:, 0], std[:, 0], strict=True)
    ]
    summed = decoupled(rewards, weights, options["ddof"], options["eps"], options["single"], options["leave_out"])
    batch_std = batch_mean_std(summed)[1].item()
    here = f"{' + '.join(terms)} = {summed[prompt, rollout]:.4g}"
    return here if options["batch_norm"] == "none" else f"{here};  over the batch deviation {batch_std:.4g}"


@register(
    "advantage",
    paper="gdpo",
    equation="Aₖ = (rₖ − meanₖ)/(stdₖ + ε);  A_sum = Σₖ wₖ Aₖ;  A = (A_sum − mean)/(std + ε) over the batch",
    properties={"shift", "scale", "permutation", "zero_sum", "silent", "bounded"},
    bound=largest_of_tokens,
    worked=_worked,
    components=True,
)
def gdpo(
    rewards: Array,
    *,
    weights: Array | None = None,
    mask: Array | None = None,
    ddof: int = 1,
    eps: float = 1e-4,
    batch_norm: str = "rollout",
    batch_eps: float = 1e-4,
    single: str = "zero",
    leave_out: bool = False,
) -> Array:
    """GDPO: normalise each reward component in its group, add, then normalise over the batch.

    Args:
        rewards: Reward components [..., P, G, K].
        weights: Weight of each component [K]; ones by default.
        mask: Valid tokens [..., P, G, T], read by `batch_norm="token"`.
        ddof: Degrees of freedom of the group deviation.
        eps: Floor of the group deviation.
        batch_norm: "none", "rollout" (over rollouts, std + batch_eps) or "token" (verl: whitened over valid tokens).
        batch_eps: Floor of the batch deviation; with 0 a batch without spread is centred only.
        single: A group of one gets 0 ("zero") or its raw rewards ("raw", verl).
        leave_out: Statistics of the other rollouts (NeMo-RL's option).

    Returns:
        Advantages [..., P, G]. A component that is constant in the group contributes 0.

    Source: gdpo card, eq. 4-7 (arXiv 2601.05242); golden file gdpo.json.
    """
    weight = np.ones(rewards.shape[-1]) if weights is None else np.asarray(weights)
    summed = decoupled(rewards, weight.astype(rewards.dtype), ddof, eps, single, leave_out)
    if batch_norm == "none":
        return summed
    if batch_norm == "token":
        return whiten_tokens(summed, token_counts(summed, mask))
    if batch_norm != "rollout":
        raise InputError(f"gdpo: batch_norm={batch_norm!r}; it must be 'none', 'rollout' or 'token'")
    mean, std = batch_mean_std(summed)
    return over(summed - mean, std + summed.dtype.type(batch_eps))


_BEFORE = {"shift", "scale", "permutation", "zero_sum", "silent", "groupwise", "bounded"}
preset("advantage", "gdpo@trl", "gdpo", "TRL 1.16 normalize_then_sum: ε 1e-4 twice, over rollouts")
preset("advantage", "gdpo@no-batch-norm", "gdpo", "before the batch step", _BEFORE,
       lambda shape: shape.components * largest(shape), batch_norm="none")  # fmt: skip
preset("advantage", "gdpo@verl", "gdpo", "verl 0.9: ε 1e-6, whitened over the valid tokens of the batch",
       {"shift", "scale", "permutation", "bounded"}, eps=1e-6, batch_norm="token", single="raw")  # fmt: skip
preset("advantage", "gdpo@nemo-rl", "gdpo", "NeMo-RL: ε 1e-6, batch deviation without floor", eps=1e-6,
       batch_eps=0.0)  # fmt: skip
preset("advantage", "gdpo@nemo-rl-leave-one-out", "gdpo", "NeMo-RL with leave-one-out mean and deviation",
       {"shift", "permutation", "bounded"}, eps=1e-6, batch_eps=0.0, leave_out=True)  # fmt: skip
