"""The few equations that advantage rules share: centre, scale, whiten, leave one out, median.

All of them work along the last axis (the G rollouts of a group) and keep it, so that a rule reads like its paper:
`(rewards - mean) / (std + eps)`. Missing rewards (NaN) are skipped.

One statement decides what "no spread" means: in float64, a group whose largest and smallest reward differ by at most
`RESOLUTION` times the largest magnitude has no spread; its mean is then its first reward and its deviation 0, exactly.
In float32, which the lab uses only to show what trainers do, rewards are added one after the other and rounding is left
as it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.errors import InputError
from lab.registry import Shape
from simulators.compiled import kernel

__all__ = [
    "NO_SIGNAL",
    "RESOLUTION",
    "add_known",
    "batch_mean_std",
    "difference",
    "largest_of_tokens",
    "leave_one_out",
    "mean_std",
    "median",
    "normalise",
    "over",
    "scored",
    "task_mean_std",
    "token_counts",
    "token_moments",
    "total",
    "weighted_total",
    "whiten_tokens",
]

Array = NDArray[Any]

#: An advantage smaller than this in magnitude teaches nothing: it counts as zero.
NO_SIGNAL = 1e-9

#: Relative difference below which two float64 rewards count as equal (about 4500 units in the last place).
RESOLUTION = 1e-12


@kernel
def _mean_std(x, ddof, resolution, mean, std):  # type: ignore[no-untyped-def]
    """mean[n], std[n] of the valid entries of x[n, g]; sums run from left to right in the type of x."""
    zero = x.dtype.type(0)
    for n in range(x.shape[0]):
        total, low, high, first, count = zero, zero, zero, zero, 0
        for g in range(x.shape[1]):
            r = x[n, g]
            if r == r:
                if count == 0:
                    low, high, first = r, r, r
                low, high = min(low, r), max(high, r)
                total += r
                count += 1
        if count == 0 or high - low <= resolution * max(abs(low), abs(high)):
            mean[n], std[n] = first, zero
            if resolution >= 0 or count == 0:
                continue
        m = total / x.dtype.type(count)
        square = zero
        for g in range(x.shape[1]):
            r = x[n, g]
            if r == r:
                square += (r - m) * (r - m)
        mean[n] = m
        std[n] = np.sqrt(square / x.dtype.type(count - ddof)) if count > ddof else zero


@kernel
def _normalise(x, ddof, eps, resolution, out):  # type: ignore[no-untyped-def]
    """out[n, g] = (x - mean) / (std + eps), 0 where there is no spread."""
    mean, std = np.empty(x.shape[0], x.dtype), np.empty(x.shape[0], x.dtype)
    _mean_std(x, ddof, x.dtype.type(resolution), mean, std)
    for n in range(x.shape[0]):
        scale = std[n] + x.dtype.type(eps)
        if scale == 0:
            scale = x.dtype.type(1)
        flat = std[n] == 0 and resolution >= 0
        for g in range(x.shape[1]):
            out[n, g] = (x[n, g] - (x[n, g] if flat else mean[n])) / scale


def _rows(x: Array) -> Array:
    return np.ascontiguousarray(x).reshape(-1, x.shape[-1])


def _resolution(x: Array) -> float:
    return RESOLUTION if x.dtype.char == "d" else -1.0


def _check_single(single: str) -> None:
    if single not in ("zero", "raw"):
        raise InputError(f"single={single!r}; it must be 'zero' or 'raw'")


def mean_std(rewards: Array, ddof: int = 1, single: str = "zero") -> tuple[Array, Array]:
    """Mean and standard deviation of each group, with the lab's rule for no spread.

    Args:
        rewards: Rewards [..., G].
        ddof: The squared deviations are divided by G - ddof (1: sample deviation, 0: population deviation).
        single: What a group of one gets: "zero" (mean R, std 0, so A = 0) or "raw" (mean 0, std 1, so A = R).

    Returns:
        mean [..., 1] and std [..., 1].
    """
    shape = (*rewards.shape[:-1], 1)
    _check_single(single)
    if rewards.shape[-1] == 1 and single == "raw":
        return np.zeros(shape, rewards.dtype), np.ones(shape, rewards.dtype)
    rows = _rows(rewards)
    mean, std = np.empty(len(rows), rewards.dtype), np.empty(len(rows), rewards.dtype)
    _mean_std(rows, ddof, rewards.dtype.type(_resolution(rewards)), mean, std)
    return mean.reshape(shape), std.reshape(shape)


def normalise(rewards: Array, ddof: int = 1, eps: float = 1e-4, single: str = "zero") -> Array:
    """(rewards - mean) / (std + eps) of each group [..., G], compiled; arguments as in `mean_std`."""
    _check_single(single)
    if rewards.shape[-1] == 1 and single == "raw":
        return rewards / (1 + eps)
    rows = rewards.reshape(-1, rewards.shape[-1])
    if not rows.flags.c_contiguous:
        rows = np.ascontiguousarray(rows)
    out = np.empty(rows.shape, rows.dtype)
    _normalise(rows, ddof, float(eps), _resolution(rows), out)
    return out.reshape(rewards.shape)


def batch_mean_std(values: Array, ddof: int = 1) -> tuple[Array, Array]:
    """Mean and deviation over all prompts and rollouts: values [..., P, G] -> two arrays [..., 1, 1]."""
    flat = values.reshape(*values.shape[:-2], -1)
    mean, std = mean_std(flat, ddof)
    return mean[..., None], std[..., None]


def difference(values: Array, mean: Array) -> Array:
    """Values - mean, exactly 0 where float64 values equal the mean but for rounding (`RESOLUTION`)."""
    away = values - mean
    return np.where(np.abs(away) <= _resolution(values) * np.abs(mean), values.dtype.type(0), away)


def over(numerator: Array, scale: Array) -> Array:
    """Numerator / scale, and the numerator itself divided by nothing where the scale is 0."""
    if scale.all():
        return numerator / scale
    return numerator / np.where(scale == 0, scale.dtype.type(1), scale)


def leave_one_out(rewards: Array) -> tuple[Array, Array]:
    """Mean and sample deviation (ddof 1) of the OTHER rollouts of the group, for each rollout.

    Args:
        rewards: Rewards [..., G]. With G = 1 there is no other: mean R, std 0. With G = 2 the std is 0.

    Returns:
        mean [..., G] and std [..., G].
    """
    size = rewards.shape[-1]
    if size == 1:
        return rewards.copy(), np.zeros_like(rewards)
    others = rewards[..., None, :].repeat(size, axis=-2)[..., ~np.eye(size, dtype=bool)]
    mean, std = mean_std(others.reshape(*rewards.shape, size - 1), ddof=1)
    return mean[..., 0], std[..., 0]


def add_known(parts: Array) -> Array:
    """Sum over the first axis without missing values; missing only where all of them are: [K, ...] -> [...]."""
    missing = np.isnan(parts)
    return np.where(missing.all(axis=0), parts[0], np.where(missing, parts.dtype.type(0), parts).sum(axis=0))


def scored(values: Array) -> Array:
    """Number of rollouts of each group that are not missing [..., 1], in the type of the values."""
    return (~np.isnan(values)).sum(axis=-1, keepdims=True).astype(values.dtype)


def task_mean_std(values: Array, task: Array | None = None, ddof: int = 1) -> tuple[Array, Array]:
    """Mean and deviation over all entries of the same task, NaN left out.

    Args:
        values: One value per prompt [..., P] (or per rollout, with a task for each).
        task: Task of each entry, as `values` or without its leading axes; None: one task.
        ddof: As in `mean_std`.

    Returns:
        mean and std of each entry's task, both in the shape of `values`.
    """
    of = np.zeros(1, dtype=int) if task is None else np.asarray(task)
    mean, std = np.empty_like(values), np.empty_like(values)
    for label in np.unique(of):
        member = np.broadcast_to(of == label, values.shape)
        found = mean_std(np.where(member, values, values.dtype.type(np.nan)), ddof)
        for whole, part in zip((mean, std), found, strict=True):
            np.copyto(whole, part, where=member)
    return mean, std


def median(values: Array) -> Array:
    """Median of each group [..., 1]; the LOWER middle value where G is even (as torch.median)."""
    ordered = np.sort(values, axis=-1)  # missing values last
    if not np.isnan(ordered[..., -1]).any():
        return ordered[..., (values.shape[-1] - 1) // 2, None]
    return np.take_along_axis(ordered, (scored(values).astype(int) - 1) // 2, axis=-1)


def token_counts(rewards: Array, mask: Array | None) -> Array:
    """Number of valid tokens of each rollout [..., P, G], one without a mask; 0 where the reward is missing."""
    lengths = rewards.dtype.type(1) if mask is None else mask.sum(axis=-1, dtype=rewards.dtype)
    return np.where(np.isnan(rewards), rewards.dtype.type(0), lengths)


def total(values: Array) -> Array:
    """Sum over all prompts and rollouts [..., 1, 1], the same for each run however many stand beside it."""
    flat = np.ascontiguousarray(values).reshape(*values.shape[:-2], -1)
    return np.cumsum(flat, axis=-1)[..., -1, None, None]


def weighted_total(rewards: Array, weights: Any = None) -> Array:
    """Components weighted and added: rewards [..., K], weights [K] (None: ones) -> [...]."""
    return np.asarray(rewards.sum(axis=-1) if weights is None else rewards @ np.asarray(weights, dtype=rewards.dtype))


def largest_of_tokens(shape: Shape) -> float:
    """Bound of any value whitened over the batch's tokens: sqrt(N), N = P·G·T (ratio of 1e-8 left out)."""
    return float(np.sqrt(shape.prompts * shape.group_size * shape.tokens))


def whiten_tokens(values: Array, counts: Array) -> Array:
    """(x - mu)/sqrt(var + 1e-8) over all valid tokens of the batch, x constant over the tokens of a rollout.

    mu = sum(n x)/(N + 1e-8) and var with ddof 1 over tokens, so long rollouts count more and a group's advantages need
    not sum to zero. Source: verl 0.9.1, torch_functional.masked_whiten; golden file baselines.json.

    Args:
        values: One value per rollout [..., P, G].
        counts: Valid tokens per rollout [..., P, G].
    """
    mean, variance = token_moments(values, counts)
    return (values - mean) / np.sqrt(variance + 1e-8)


def token_moments(values: Array, counts: Array) -> tuple[Array, Array]:
    """Mean and variance over all valid tokens of the batch, as `whiten_tokens` takes them [..., 1, 1]."""
    number, known = total(counts), np.where(counts > 0, values, values.dtype.type(0))
    mean = total(known * counts) / (number + 1e-8)
    variance = total((known - mean) ** 2 * counts) / (number + 1e-8)
    return mean, variance * number / np.maximum(number - 1, 1)
