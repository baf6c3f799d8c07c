"""What objectives share: the ratio, the sequence ratio, and how tokens are aggregated into one number."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.errors import UnknownNameError

__all__ = [
    "AGGREGATIONS",
    "LOG_LIMIT",
    "aggregate",
    "factor",
    "log_ratio",
    "over_tokens",
    "ratio",
    "scale",
    "sequence_mean",
    "sigmoid",
    "spread",
]

Array = NDArray[Any]

#: Name -> what divides the sum over tokens. N = rollouts with a valid token, len = valid tokens of a rollout.
AGGREGATIONS = {
    "token-mean": "1 / valid tokens in the batch (DAPO)",
    "seq-mean-token-mean": "1 / (N · len) (GRPO, GSPO)",
    "seq-mean-token-sum": "1 / N",
    "seq-mean-token-sum-norm": "1 / (N · L_max) (Dr. GRPO)",
    "token-sum": "1",
}

#: Log-ratios of a token are clamped to ± this, where the ratio's slope is 0.
LOG_LIMIT = 20.0


def log_ratio(logp_new: Array, logp: Array) -> Array:
    """Log pi_new - log pi_old per token, clamped to ±20."""
    return np.clip(logp_new - logp, -LOG_LIMIT, LOG_LIMIT)


def ratio(logp_new: Array, logp: Array) -> tuple[Array, Array]:
    """Rho = exp(clamp(logp_new - logp_old, -20, 20)) and d rho / d logp_new, which is 0 where the clamp is active.

    Args:
        logp_new: Log-probabilities under the policy that is being updated [..., P, G, T].
        logp: The same under the policy that sampled [..., P, G, T].

    Returns:
        rho [..., P, G, T] and its derivative [..., P, G, T].
    """
    difference = logp_new - logp
    rho = np.exp(np.clip(difference, -LOG_LIMIT, LOG_LIMIT))
    return rho, np.where(np.abs(difference) > LOG_LIMIT, 0.0, rho)


def sequence_mean(values: Array, mask: Array | None, floor: float = 0.0) -> Array:
    """Mean over the valid tokens of each rollout [..., P, G, 1]; `floor` is added to the token count."""
    if mask is None:
        return values.sum(axis=-1, keepdims=True) / (values.shape[-1] + floor)
    count = mask.sum(axis=-1, keepdims=True)
    return (values * mask).sum(axis=-1, keepdims=True) / np.maximum(count + floor, 1e-8)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0, -x)))


def over_tokens(advantage: Array, like: Array) -> Array:
    """Advantages per rollout [..., P, G] as [..., P, G, 1]; those per token [..., P, G, T] as they are."""
    return advantage[..., None] if advantage.ndim == like.ndim - 1 else advantage


def scale(
    mask: Array | None,
    like: Array,
    aggregation: str,
    max_length: int | None = None,
    floor: float = 0.0,
) -> Any:
    """The factor c of each token: loss = sum of c * (loss per token), so weight = c * (weight per token).

    Args:
        mask: Valid tokens [..., P, G, T], None for all.
        like: An array [..., P, G, T] that gives the shape.
        aggregation: A key of `AGGREGATIONS`.
        max_length: L_max of "seq-mean-token-sum-norm"; T by default.
        floor: Added to len in "seq-mean-token-mean" (verl adds 1e-8).

    Returns:
        A number, or an array that broadcasts to [..., P, G, T], 0 at masked tokens.
    """
    if aggregation not in AGGREGATIONS:
        raise UnknownNameError("aggregation", aggregation, AGGREGATIONS)
    groups, length = like.shape[-3] * like.shape[-2], like.shape[-1]
    if mask is None:
        return _unmasked(groups, length, aggregation, max_length, floor)
    valid = np.asarray(mask, dtype=np.float64)
    count = valid.sum(axis=-1, keepdims=True)
    sequences = np.maximum((count > 0).sum(axis=(-3, -2), keepdims=True), 1)
    if aggregation == "token-mean":
        return valid / np.maximum(count.sum(axis=(-3, -2), keepdims=True), 1)
    if aggregation == "seq-mean-token-mean":
        return valid / (sequences * np.maximum(count + floor, 1e-8))
    if aggregation == "seq-mean-token-sum-norm":
        return valid / (sequences * (max_length or length))
    return valid if aggregation == "token-sum" else valid / sequences


def _unmasked(groups: int, length: int, aggregation: str, max_length: int | None, floor: float) -> float:
    """`scale` where every token is valid: one number."""
    if aggregation == "token-mean":
        return 1.0 / (groups * length)
    if aggregation == "seq-mean-token-mean":
        return 1.0 / (groups * (length + floor))
    if aggregation == "seq-mean-token-sum-norm":
        return 1.0 / (groups * (max_length or length))
    return 1.0 if aggregation == "token-sum" else 1.0 / groups


def spread(values: Array, like: Array) -> Array:
    """Values per rollout [..., P, G, 1] at every token of `like` [..., P, G, T]; unchanged where T = 1."""
    return values if values.shape == like.shape else np.broadcast_to(values, like.shape)


def factor(options: SimpleNamespace, like: Array) -> Any:
    """`scale` with the aggregation that an objective's options name."""
    o = options
    return scale(o.mask, like, o.aggregation, getattr(o, "max_length", None), getattr(o, "floor", 0.0))


def aggregate(values: Array, c: Any, like: Array) -> Array:
    """Sum of c * values over the batch [...], values broadcast to the shape of `like`."""
    return np.asarray(np.broadcast_to(c * values, like.shape).sum(axis=(-3, -2, -1)))
