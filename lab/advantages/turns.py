"""What rules of several turns share: tokens to turns and back, returns, z-scores over groups of unequal turns.

A turn stands on an axis N of its own, as long as the most turns of a rollout; `present` says which turns there are.
"""

from __future__ import annotations

import numpy as np

from lab.advantages.statistics import Array, mean_std, over
from lab.errors import InputError

__all__ = ["at_tokens", "closes", "per_turn", "pooled", "returns", "scored_turns", "turn_index", "within_turn"]


def turn_index(like: Array, turn: Array | None, mask: Array | None) -> Array:
    """The turn of each token [..., T], and T where a token is not valid.

    Args:
        like: An array over tokens [..., T].
        turn: Turn of each token [..., T], from 0; None: every token is a turn.
        mask: Valid tokens [..., T]; None: all.

    Raises:
        InputError: Turns of valid tokens that are no whole numbers from 0 to T - 1.
    """
    size = like.shape[-1]
    index = np.broadcast_to(np.arange(size) if turn is None else np.asarray(turn), like.shape)
    index = index if mask is None else np.where(np.asarray(mask, dtype=bool), index, size)
    wrong = (index < 0) | (index > size) | (index != np.floor(index))
    if wrong.any():
        raise InputError(f"turn holds {index[wrong][0]}; turns are whole numbers from 0 to {size - 1}")
    return index.astype(np.int64)


def per_turn(values: Array, turn: Array | None = None, mask: Array | None = None) -> tuple[Array, Array]:
    """Values that are the same at every token of a turn, one for each turn: [..., T] -> [..., N], N = T.

    Args:
        values: [..., P, G, T].
        turn: See `turn_index`.
        mask: See `turn_index`.

    Returns:
        Values of the turns [..., P, G, N], 0 where there is none, and which turns there are [..., P, G, N].
    """
    index, wider = turn_index(values, turn, mask), (*values.shape[:-1], values.shape[-1] + 1)
    out, present = np.zeros(wider, values.dtype), np.zeros(wider, dtype=bool)
    np.put_along_axis(out, index, values, axis=-1)
    np.put_along_axis(present, index, True, axis=-1)
    return out[..., :-1], present[..., :-1]


def scored_turns(rewards: Array, turn_rewards: Array, turn: Array | None, mask: Array | None) -> tuple[Array, Array]:
    """As `per_turn` in the type of `rewards` [..., P, G]; the turns of an unscored rollout count as absent."""
    values, present = per_turn(np.asarray(turn_rewards, dtype=rewards.dtype), turn, mask)
    return values, present & ~np.isnan(rewards[..., None])


def at_tokens(values: Array, turn: Array | None = None, mask: Array | None = None) -> Array:
    """Values of turns at the tokens of those turns [..., P, G, N] -> [..., P, G, T], 0 at tokens that are not valid."""
    index = turn_index(values, turn, mask)
    return np.take_along_axis(np.concatenate([values, np.zeros_like(values[..., :1])], axis=-1), index, axis=-1)


def closes(present: Array) -> Array:
    """Which turn is the last one of its rollout [..., N]."""
    later = np.flip(np.cumsum(np.flip(present, -1), axis=-1), -1)
    return np.asarray(present & (later == 1))


def returns(values: Array, present: Array, gamma: float = 1.0) -> Array:
    """Discounted sums from each turn on, Σ_{k≥t} γ^(k−t) v_k [..., N]; turns that are absent add 0."""
    out = np.where(present, values, values.dtype.type(0))
    for t in range(values.shape[-1] - 2, -1, -1):
        out[..., t] += values.dtype.type(gamma) * out[..., t + 1]
    return out


def _scaled(rows: Array, eps: float, floor: float) -> Array:
    """(x - mean)/(std + eps) of each row without NaN, std = √(population variance + floor); 0 without spread."""
    mean, std = mean_std(rows, ddof=0)
    scale = np.sqrt(std**2 + rows.dtype.type(floor)) + rows.dtype.type(eps)
    z = over(rows - mean, scale)
    flat = (std == 0) | np.isnan(rows)
    return np.where(flat, rows.dtype.type(0), z)


def within_turn(values: Array, present: Array, eps: float, floor: float = 0.0) -> Array:
    """z-score of each turn over the rollouts of its prompt that reach it.

    Args:
        values: [..., P, G, N].
        present: Which turns there are.
        eps: Added to the deviation.
        floor: Added to the population variance.

    Returns:
        [..., P, G, N]; 0 where a turn is absent, has one rollout, or no spread.
    """
    known = np.where(present, values, values.dtype.type(np.nan))
    return np.swapaxes(_scaled(np.swapaxes(known, -1, -2), eps, floor), -1, -2)


def pooled(values: Array, present: Array, eps: float, floor: float = 0.0, *, batch: bool = False) -> Array:
    """z-score over all turns of the prompt, or of the batch; arguments and result as in `within_turn`."""
    known = np.where(present, values, values.dtype.type(np.nan))
    lead = values.ndim - (3 if batch else 2)
    return _scaled(np.ascontiguousarray(known).reshape(*values.shape[:lead], -1), eps, floor).reshape(values.shape)
