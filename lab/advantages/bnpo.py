"""BNPO: the centred reward over a Beta density that follows the law of the success rates in the batch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from lab.advantages.statistics import RESOLUTION, Array, add_known, mean_std
from lab.errors import InputError
from lab.registry import register

_LARGEST_WEIGHT = 1e6


def beta_parameters(success: Array) -> tuple[Array, Array]:
    """alpha = 1 + a/3 and beta = 1 + b/3 of the normalising Beta, (a, b) the moment fit of the success rates.

    Args:
        success: Success rate of each prompt [..., P].

    Returns:
        alpha [...] and beta [...], at least 1; both 1 (plain R - p) with one prompt or with equal rates.

    Source: BNPO, arXiv 2506.02864, parameters per batch.
    """
    mean, std = (x[..., 0] for x in mean_std(success))
    variance = std**2
    flat = variance <= (RESOLUTION * np.maximum(mean, 1.0)) ** 2
    size = np.where(flat, 0.0, mean * (1 - mean) / np.where(flat, 1.0, variance) - 1)
    return np.maximum(1.0, 1 + size * mean / 3), np.maximum(1.0, 1 + size * (1 - mean) / 3)


def inverse_beta_density(success: Array, alpha: Array, beta: Array) -> Array:
    """1/Beta(alpha, beta)(p), clipped to [0, 1e6]: success [..., P], parameters [...] -> weight [..., P].

    Source: BNPO, arXiv 2506.02864, mechanism.
    """
    log_gamma = np.vectorize(math.lgamma, otypes=[float])
    log_beta = log_gamma(alpha) + log_gamma(beta) - log_gamma(alpha + beta)
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.where(alpha[..., None] == 1, 0.0, (alpha[..., None] - 1) * np.log(success))
        right = np.where(beta[..., None] == 1, 0.0, (beta[..., None] - 1) * np.log1p(-success))
    log_weight = np.minimum(log_beta[..., None] - left - right, math.log(_LARGEST_WEIGHT))
    return np.exp(log_weight)


def _worked(rewards: Array, prompt: int, rollout: int, options: Mapping[str, Any]) -> str:
    """One rollout's numbers, component by component."""
    unit = np.moveaxis((rewards - options["low"]) / (options["high"] - options["low"]), -1, 0)
    success = mean_std(unit)[0][..., 0]
    alpha, beta = beta_parameters(success)
    weight = inverse_beta_density(success, alpha, beta)
    own = np.ones(len(unit)) if options["weights"] is None else np.asarray(options["weights"], dtype=float)
    text = " + ".join(
        f"{w:.4g} · ({r:.4g} − {p:.4g})"
        for w, r, p in zip(own * weight[:, prompt], unit[:, prompt, rollout], success[:, prompt], strict=True)
    )
    fitted = ", ".join(f"α = {a:.4g}, β = {b:.4g}" for a, b in zip(alpha, beta, strict=True))
    return f"{fitted};  {text}" if len(unit) == 1 else f"{fitted};  ({text}) / {len(unit)}"


@register(
    "advantage",
    paper="bnpo",
    equation="A = (R − p̂) / Beta(p̂; α, β),  α = 1 + a/3, β = 1 + b/3 fitted to the batch",
    properties={"permutation", "zero_sum", "silent"},
    worked=_worked,
    components=True,
)
def bnpo(rewards: Array, *, weights: Array | None = None, low: float = 0.0, high: float = 1.0) -> Array:
    """BNPO: A = (R - p)/f_N(p; alpha, beta), p the group mean, alpha and beta fitted to the batch's group means.

    Several components are normalised each on its own and averaged: A = (1/K) sum_k w_k A_k.

    Args:
        rewards: Reward components [..., P, G, K], each within [low, high].
        weights: Weight of each component [K]; ones by default.
        low: Reward that is mapped to 0.
        high: Reward that is mapped to 1.

    Returns:
        Advantages [..., P, G]. One prompt, or equal success rates: alpha = beta = 1, that is R - p (the source gives
        NaN or raises for equal rates). A group of one, or without spread: 0.

    Raises:
        InputError: A group mean lies outside [low, high], or low is not below high.

    Source: BNPO, arXiv 2506.02864, mechanism and edge cases; golden file bnpo.json (float32).
    """
    if not low < high:
        raise InputError(f"bnpo: low={low:g}, high={high:g}; low must be below high")
    unit = np.moveaxis((rewards - low) / (high - low), -1, 0)
    mean = mean_std(unit)[0]
    success = mean[..., 0]
    if ((success < 0) | (success > 1)).any():
        worst = float(success.flat[np.argmax(np.abs(success - 0.5))]) * (high - low) + low
        raise InputError(
            f"bnpo: a group's mean reward is {worst:g}, outside [low, high] = [{low:g}, {high:g}]; "
            "say which range the rewards have with low= and high="
        )
    weight = inverse_beta_density(success, *beta_parameters(success))[..., None]
    parts = np.where(unit == mean, 0.0, weight * (unit - mean))
    if weights is not None:
        parts = parts * np.asarray(weights).reshape(-1, *[1] * (unit.ndim - 1))
    return (add_known(parts) / len(parts)).astype(rewards.dtype, copy=False)
