"""THR: how much each token's update moves the likelihood of the correct responses, and weights by its sign."""

from __future__ import annotations

import numpy as np

from lab.advantages.grpo import largest
from lab.advantages.statistics import Array, normalise, scored
from lab.errors import InputError
from lab.registry import preset, register

__all__ = ["hidden_influence", "nthr", "thr", "threshold"]

_PROPERTIES = {"shift", "scale", "permutation", "silent", "groupwise", "bounded"}


def _shares(right: Array, like: Array, mask: Array | None) -> tuple[Array, Array]:
    """1/T of every valid token of a correct response, 0 elsewhere, and the valid tokens as numbers [..., P, G, T]."""
    valid = np.ones(like.shape[:-1]) if mask is None else np.asarray(mask != 0, dtype=float)
    return right[..., None] * valid / np.maximum(valid.sum(axis=-1, keepdims=True), 1.0), valid


def hidden_influence(right: Array, hidden: Array, prediction_error: Array, mask: Array | None = None) -> Array:
    """s = e' M h of each token, M = sum over correct responses of (1/T) sum_k e_k h_k'.

    Moving the unembedding along this token's score alone changes the sum over the correct responses of their mean
    log-probability by s, to first order. Minus s for a token of a wrong response is its THR.

    Args:
        right: Which responses are correct [..., P, G].
        hidden: h, the state in front of the unembedding [..., P, G, T, D].
        prediction_error: e, one-hot of the token minus the policy's probabilities [..., P, G, T, V].
        mask: Valid tokens [..., P, G, T]; None for all.

    Returns:
        s [..., P, G, T], in units of h squared; 0 at masked tokens and where no response is correct.

    Raises:
        InputError: Shapes that do not fit.

    Source: arXiv 2510.03669, group form of THR.
    """
    groups, tokens = right.shape, hidden.shape[:-1]
    if tokens[:-1] != groups or prediction_error.shape[:-1] != tokens:
        raise InputError(
            f"hidden has shape {hidden.shape}, prediction_error {prediction_error.shape}; they must be "
            f"[..., P, G, T, D] and [..., P, G, T, V] with [..., P, G] = {groups}"
        )
    share, valid = _shares(right, hidden, mask)
    rows = *groups[:-1], groups[-1] * tokens[-1], -1
    e, h = prediction_error.reshape(rows), hidden.reshape(rows)
    pulled = np.swapaxes(e * share.reshape(rows), -1, -2) @ h
    return np.asarray(((e @ pulled) * h).sum(axis=-1).reshape(tokens) * valid)


def threshold(influence: Array, right: Array, mask: Array | None = None, beta: float = 1.0) -> Array:
    """tau = beta min over correct responses of their mean s [..., P, 1]; infinite where no response is correct.

    Source: tau of the predecessor NTHR, which THR refers to.
    """
    share = _shares(right, influence[..., None], mask)[0]
    lowest = np.where(right, (share * influence).sum(axis=-1), np.inf).min(axis=-1, keepdims=True)
    return np.where(np.isfinite(lowest), beta, 1.0) * lowest


@register(
    "advantage",
    paper="thr",
    equation="A = 1[|THR| > τ] (1 + p·sign THR) (R − mean)/(std + ε),  THR = ±e'Mh,  M = Σ₊ (1/T) Σ e h'",
    properties=_PROPERTIES,
    bound=lambda shape: 1.1 * largest(shape),
)
def thr(
    rewards: Array,
    *,
    hidden: Array,
    prediction_error: Array,
    mask: Array | None = None,
    p: float = 0.1,
    beta: float = 1.0,
    ddof: int = 1,
    eps: float = 1e-4,
) -> Array:
    """THR: GRPO's advantage on the tokens that move the correct responses, more on those that raise them.

    A response is correct where its advantage is above 0, which for rewards of 0 and 1 is where the reward is 1. A
    token with THR > 0 raises the likelihood of the correct responses when it is updated with its advantage.

    Args:
        rewards: Rewards, 0 or 1 as published [..., P, G].
        hidden: State in front of the unembedding [..., P, G, T, D].
        prediction_error: One-hot of the token minus the probabilities [..., P, G, T, V].
        mask: Valid tokens [..., P, G, T]; None for all.
        p: Above 0 exploits, below 0 explores, 0 only selects.
        beta: Factor of the threshold tau; 0 keeps every token with an influence. A negative tau keeps all.
        ddof: As in `grpo`.
        eps: As in `grpo`.

    Returns:
        Advantages [..., P, G, T]; all 0 where the responses are equally good.

    Source: arXiv 2510.03669, steered advantage.
    """
    advantage = normalise(rewards, ddof, eps)
    right = advantage > 0
    influence = hidden_influence(right, hidden, prediction_error, mask)
    dominant = np.abs(influence) > threshold(influence, right, mask, beta)[..., None]
    steer = dominant * (1 + p * np.sign(influence) * np.sign(advantage)[..., None])
    return (steer * advantage[..., None]).astype(rewards.dtype)


@register(
    "advantage",
    paper="thr",
    equation="A = η (R − mean)/(std + ε) where R is wrong and s > τ,  η = 2|½ − share correct|",
    properties=_PROPERTIES,
    bound=largest,
)
def nthr(
    rewards: Array,
    *,
    hidden: Array,
    prediction_error: Array,
    mask: Array | None = None,
    beta: float = 1.0,
    ddof: int = 1,
    eps: float = 1e-4,
) -> Array:
    """NTHR, the predecessor: tokens of wrong responses that hold the correct ones up are pushed down less.

    Args:
        rewards: Rewards, 0 or 1 as published [..., P, G].
        hidden: State in front of the unembedding [..., P, G, T, D].
        prediction_error: One-hot of the token minus the probabilities [..., P, G, T, V].
        mask: Valid tokens [..., P, G, T]; None for all.
        beta: Factor of the threshold tau.
        ddof: As in `grpo`.
        eps: As in `grpo`.

    Returns:
        Advantages [..., P, G, T].

    Source: On the Effect of Negative Gradient in Group Relative Deep Reinforcement Optimization.
    """
    advantage = normalise(rewards, ddof, eps)
    right = advantage > 0
    influence = hidden_influence(right, hidden, prediction_error, mask)
    shielded = (advantage < 0)[..., None] & (influence > threshold(influence, right, mask, beta)[..., None])
    eta = 2 * np.abs(0.5 - right.sum(axis=-1, keepdims=True) / np.maximum(scored(rewards), 1))
    return (np.where(shielded, eta[..., None], 1.0) * advantage[..., None]).astype(rewards.dtype)


preset("advantage", "thr@dominant", "thr", "selects tokens, does not steer", bound=largest, p=0.0)
preset("advantage", "thr@explore", "thr", "the published exploration setting", p=-0.1)
