"""LaRe: a reward for each step from the return alone, on factors that a language model has written as code.

A decoder's rewards r̂ of the steps are fitted so that they add up to the return. The losses and their gradients to r̂ are
here; `lab.reward_models.lare` fits decoders with them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from lab.advantages.statistics import Array
from lab.errors import InputError, check_whole

__all__ = ["draw_steps", "ircr", "rd", "rrd", "rrd_of_drawn", "self_verified"]


def rd(step_rewards: ArrayLike, returns: ArrayLike, lengths: ArrayLike) -> tuple[float, Array]:
    """Return decomposition: mean_i ((Σ_{t<L} r̂ − R)/L)², and its gradient.

    Args:
        step_rewards: r̂ [B, T], of which the first L count.
        returns: R [B].
        lengths: L [B], from 1 to T.

    Returns:
        The loss, and d loss/d r̂ [B, T].

    Raises:
        InputError: Shapes or lengths that do not fit.

    Source: arXiv 2412.11120, RD; golden file lare.json.
    """
    r, total, length = _checked(step_rewards, returns, lengths)
    mask = np.arange(r.shape[1]) < length[:, None]
    miss = ((r * mask).sum(axis=1) - total) / length
    return float((miss**2).mean()), 2 / len(r) * (miss / length)[:, None] * mask


def rrd(
    step_rewards: ArrayLike, returns: ArrayLike, lengths: ArrayLike, drawn: ArrayLike, *, unbiased: bool = False
) -> tuple[float, Array]:
    """Randomised return decomposition: mean_i (p − R/L)², p the mean r̂ of K drawn steps, and its gradient.

    Args:
        step_rewards: r̂ [B, T].
        returns: R [B].
        lengths: L [B].
        drawn: Indices of the drawn steps [B, K], see `draw_steps`; a step drawn twice counts twice.
        unbiased: See `rrd_of_drawn`.

    Returns:
        The loss, and d loss/d r̂ [B, T].

    Raises:
        InputError: Shapes or lengths that do not fit, a step that is not there, or K = 1 with `unbiased`.

    Source: arXiv 2412.11120, RRD and its unbiased form; golden file lare.json.
    """
    r, total, length = _checked(step_rewards, returns, lengths)
    steps = np.asarray(drawn)
    if steps.ndim != 2 or len(steps) != len(r) or steps.dtype.kind not in "iu" or not steps.size:
        raise InputError(f"drawn has shape {steps.shape}; it must be whole numbers [B, K] for B = {len(r)} episodes")
    if (steps < 0).any() or (steps >= length[:, None]).any():
        raise InputError("drawn holds a step outside its episode; steps are from 0 to the length less 1")
    loss, slope = rrd_of_drawn(np.take_along_axis(r, steps, axis=1), total, length, unbiased=unbiased)
    gradient = np.zeros_like(r)
    np.add.at(gradient, (np.arange(len(r))[:, None], steps), slope)
    return loss, gradient


def rrd_of_drawn(chosen: Array, returns: Array, lengths: Array, *, unbiased: bool = False) -> tuple[float, Array]:
    """`rrd` where only the drawn steps were decoded, chosen [B, K]: the loss, and d loss/d chosen [B, K].

    On average over the draws RRD exceeds RD by the variance of p. `unbiased` subtracts an estimate of it,
    mean_i S² (1 − K/L)/K with S² the sample variance of the drawn r̂: nothing at K = L, and a penalty for K > L.

    Source: arXiv 2412.11120, RRD and its unbiased form; golden file lare.json.
    """
    size, count = chosen.shape
    mean = chosen.mean(axis=1)
    miss = mean - returns / lengths
    loss, slope = (miss**2).mean(), np.tile((2 / (size * count) * miss)[:, None], count)
    if unbiased:
        if count < 2:
            raise InputError("rrd: one drawn step has no variance; the unbiased loss needs at least 2")
        share = (1 - count / lengths) / count
        loss -= (chosen.var(axis=1, ddof=1) * share).mean()
        slope -= 2 / (size * (count - 1)) * (chosen - mean[:, None]) * share[:, None]
    return float(loss), slope


def ircr(returns: ArrayLike, steps: int) -> Array:
    """IRCR, the baseline without a model: every step gets its episode's return, scaled to [0, 1] [..., G, T].

    Args:
        returns: R of the episodes that are compared [..., G].
        steps: T.

    Returns:
        (R − min)/(max − min) at every step; 0 where all returns are equal.

    Source: arXiv 2412.11120, the baseline IRCR; that it is scaled by its extremes is the lab's reading.
    """
    total = np.asarray(returns, dtype=np.float64)
    low, wide = total.min(axis=-1, keepdims=True), np.ptp(total, axis=-1, keepdims=True)
    share = (total - low) / np.where(wide > 0, wide, 1.0)
    return np.repeat(share[..., None], check_whole("steps", steps, 1), axis=-1)


def draw_steps(lengths: ArrayLike, count: int, rng: np.random.Generator) -> Array:
    """K steps of each episode, uniformly and without repetition; with repetition where K > L: [B, K].

    Args:
        lengths: L [B].
        count: K, at least 1.
        rng: Where the numbers come from.

    Source: arXiv 2412.11120, the authors' code.
    """
    length, number = np.asarray(lengths), check_whole("count", count, 1)
    width = max(int(length.max()), number)
    keys = np.where(np.arange(width) < length[:, None], rng.random((len(length), width)), 2.0)
    order = keys.argsort(axis=1)[:, :number]
    repeated = (rng.random((len(length), number)) * length[:, None]).astype(np.int64)
    return np.where((number > length)[:, None], repeated, order)


def self_verified(
    propose: Callable[[str], Callable[[Array], Sequence[ArrayLike]]], dimensions: int, *, tries: int = 5
) -> Callable[[Array], Array]:
    """A language model's factors as an encoder, after a run on two made-up steps, with its errors sent back to it.

    The authors ask for five functions first, then for one that merges their factors: `propose` gives that last answer.

    Args:
        propose: The model: called with what was wrong ("" at first), it answers with a function from steps [n, D] to a
            list of factors, each [n, 1].
        dimensions: D.
        tries: How often it is asked.

    Returns:
        Function from steps [..., D] to factors [..., F], F as many as passed.

    Raises:
        InputError: Nothing passed; the message ends with the last error.

    Source: arXiv 2412.11120, self-verification; that factors be finite is the lab's addition.
    """
    rows = np.random.default_rng(0).standard_normal((2, check_whole("dimensions", dimensions, 1)))
    said = ""
    for _ in range(check_whole("tries", tries, 1)):
        try:
            written = propose(said)
            said = _fault(written(rows.copy()))
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
        else:
            if not said:
                return lambda x: _encode(written, np.asarray(x, dtype=np.float64))
    raise InputError(f"none of {tries} proposals is a function of factors; the last error: {said}")


def _fault(found: Sequence[ArrayLike]) -> str:
    """What is wrong with the factors of two steps, in words for whoever wrote the function; "" if nothing."""
    if not isinstance(found, list | tuple) or not found:
        return f"the function must return a list of factors, each of shape (2, 1), not {type(found).__name__}"
    for place, factor in enumerate(found):
        array = np.asarray(factor, dtype=np.float64)
        if array.shape != (2, 1):
            return f"factor {place} has shape {array.shape} for 2 steps; it must be (2, 1)"
        if not np.isfinite(array).all():
            return f"factor {place} is not finite: {array.ravel().tolist()}"
    return ""


def _encode(written: Callable[[Array], Sequence[ArrayLike]], x: Array) -> Array:
    flat = [np.asarray(f, dtype=np.float64) for f in written(x.reshape(-1, x.shape[-1]))]
    return np.concatenate(flat, axis=-1).reshape(*x.shape[:-1], -1)


def _checked(step_rewards: ArrayLike, returns: ArrayLike, lengths: ArrayLike) -> tuple[Array, Array, Array]:
    r, total, length = np.asarray(step_rewards, np.float64), np.asarray(returns, np.float64), np.asarray(lengths)
    if r.ndim != 2 or total.shape != r.shape[:1] or length.shape != r.shape[:1]:
        shapes = f"step_rewards {r.shape}, returns {total.shape}, lengths {length.shape}"
        raise InputError(f"{shapes}; they must be [B, T], [B] and [B]")
    if (length < 1).any() or (length > r.shape[1]).any():
        raise InputError(f"lengths={length.tolist()}; they must be from 1 to T = {r.shape[1]}")
    return r, total, length
