"""GDPO: each reward is normalised on its own before the rewards are added."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lab.advantages.grpo import largest
from lab.advantages.statistics import (
    Array,
    add_known,
    batch_mean_std,
    difference,
    largest_of_tokens,
    leave_one_out,
    mean_std,
    over,
    token_counts,
    token_moments,
    whiten_tokens,
)  # fmt: skip
from lab.errors import InputError
from lab.registry import preset, register


def _moments(parts: Array, ddof: int, single: str, leave_out: bool) -> tuple[Array, Array]:
    return leave_one_out(parts) if leave_out else mean_std(parts, ddof, single)


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
        Weighted sums [..., P, G] without missing components; those that cancel to less than 1e-12 of their parts are 0.
    """
    parts = np.moveaxis(rewards, -1, 0)
    mean, std = _moments(parts, ddof, single, leave_out)
    normalised = over(difference(parts, mean), np.where(std > 0, std + rewards.dtype.type(eps), std))
    weighted = normalised * weights.reshape(-1, *[1] * (parts.ndim - 1))
    summed = add_known(weighted)
    if rewards.dtype == np.float64:
        summed[np.abs(summed) <= 1e-12 * np.nansum(np.abs(weighted), axis=0)] = 0.0
    return summed


def _worked(rewards: Array, prompt: int, rollout: int, options: Mapping[str, Any]) -> str:
    """One rollout's numbers: each component normalised and weighted, their sum, the batch step."""
    parts = np.moveaxis(rewards, -1, 0)
    mean, std = _moments(parts, options["ddof"], options["single"], options["leave_out"])
    weights = options["weights"]
    weights = np.ones(rewards.shape[-1]) if weights is None else np.asarray(weights, dtype=float)
    here = (..., prompt, rollout if options["leave_out"] else 0)
    text = " + ".join(
        f"{w:.4g}·({r:.4g} − {m:.4g})/({s:.4g} + {options['eps']:.4g})" if s > 0 else f"{w:.4g}·({r:.4g} − {m:.4g})"
        for w, r, m, s in zip(weights, rewards[prompt, rollout], mean[here], std[here], strict=True)
    )
    if options["batch_norm"] == "none":
        return text
    summed = decoupled(rewards, weights, options["ddof"], options["eps"], options["single"], options["leave_out"])
    value = f"A_sum = {text} = {summed[prompt, rollout]:.4g};  ({summed[prompt, rollout]:.4g} − "
    if options["batch_norm"] == "token":
        centre, variance = token_moments(summed, token_counts(summed, options.get("mask")))
        return f"{value}{centre.item():.4g}) / √({variance.item():.4g} + 1e-8)"
    centre, spread = batch_mean_std(summed)
    value += f"{round(centre.item(), 12) + 0.0:.4g})"
    divisor = f" / ({spread.item():.4g} + {options['batch_eps']:.4g})"
    return value + divisor if spread.item() + options["batch_eps"] > 0 else value


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

    Source: GDPO, arXiv 2601.05242, eq. 4-7; golden file gdpo.json.
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
       lambda shape: shape.components * largest(shape), equation="A = Σₖ wₖ (rₖ − meanₖ)/(stdₖ + ε)",
       batch_norm="none")  # fmt: skip
preset("advantage", "gdpo@verl", "gdpo", "verl 0.9: ε 1e-6, whitened over the valid tokens of the batch",
       {"shift", "scale", "permutation", "bounded"},
       equation="A_sum = Σₖ wₖ (rₖ − meanₖ)/(stdₖ + ε);  A = whiten over the batch's tokens (A_sum)",
       eps=1e-6, batch_norm="token", single="raw")  # fmt: skip
preset("advantage", "gdpo@nemo-rl", "gdpo", "NeMo-RL: ε 1e-6, batch deviation without floor", eps=1e-6,
       batch_eps=0.0)  # fmt: skip
preset("advantage", "gdpo@nemo-rl-leave-one-out", "gdpo", "NeMo-RL with leave-one-out mean and deviation",
       {"shift", "permutation", "bounded"},
       equation="A_sum = Σₖ wₖ (rₖ − mean₋ᵢ)/(std₋ᵢ + ε);  A = (A_sum − mean)/std over the batch",
       eps=1e-6, batch_eps=0.0, leave_out=True)  # fmt: skip
