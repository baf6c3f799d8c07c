"""RPO: follow the reference of each pair, more where it is preferred to what the model made itself."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from lab.objectives.tokens import Array
from lab.registry import register

__all__ = ["pair_loss", "pair_weights"]


def _log_sigmoid(x: Array) -> Array:
    return -np.logaddexp(0, -x)


def _margin(model_ref: Array, model_gen: Array, base_ref: Array, base_gen: Array) -> Array:
    return (base_ref - model_ref) - (base_gen - model_gen)


def pair_loss(
    model_ref: Array, model_gen: Array, base_ref: Array, base_gen: Array, label: Array, *, beta: float = 1.0
) -> tuple[Array, Array]:
    """Both parts of RPO's loss for each pair: -y log sigmoid(beta D) - (1-y) log sigmoid(-beta D), and model_ref.

    Args:
        model_ref: Error of the tuned model on the reference of each pair [B]: a negative log-probability.
        model_gen: The same on the generated one [B].
        base_ref: Error of the frozen model on the reference [B].
        base_gen: The same on the generated one [B].
        label: y, 1 where the reference is preferred, 0 where not, or the probability of it [B].
        beta: Scale of the margin D = (base_ref - model_ref) - (base_gen - model_gen).

    Returns:
        Preference loss [B] and likeness loss [B]; their means add up to the loss.

    Source: arXiv 2407.12164, loss; golden file harmonic-rpo.json (`rpo_loss`).
    """
    margin = beta * _margin(model_ref, model_gen, base_ref, base_gen)
    return -label * _log_sigmoid(margin) - (1 - label) * _log_sigmoid(-margin), model_ref


def pair_weights(
    model_ref: Array, model_gen: Array, base_ref: Array, base_gen: Array, label: Array, *, beta: float = 1.0
) -> tuple[Array, Array]:
    """Weights of a pair's two log-probabilities, 1 + c and -c with c = beta (y - sigmoid(beta D)); arguments as above.

    With beta = 1 a reference is never pushed away: 1 + c lies within (0, 2). For the mean divide by the pairs.

    Source: arXiv 2407.12164, gradient of the loss; golden file harmonic-rpo.json.
    """
    margin = beta * _margin(model_ref, model_gen, base_ref, base_gen)
    c = beta * (label - np.exp(_log_sigmoid(margin)))
    return 1 + c, -c


def _errors(values: Array, mask: Array | None) -> tuple[Array, Array]:
    """Minus the log-probability of each rollout of the first and of the second half of a group [..., P, G // 2]."""
    total = -(values if mask is None else np.where(mask != 0, values, 0.0)).sum(axis=-1)
    half = values.shape[-2] // 2
    return total[..., :half], total[..., half : 2 * half]


def _pairs(new: Array, advantage: Array, base: Array, mask: Array | None) -> tuple[Array, ...]:
    """Model and base errors of both halves, and the probability that the first is preferred [..., P, G // 2]."""
    a = advantage if advantage.ndim == new.ndim - 1 else advantage[..., 0]
    half = new.shape[-2] // 2
    label = np.exp(_log_sigmoid(a[..., :half] - a[..., half : 2 * half]))
    return (*_errors(new, mask), *_errors(base, mask), label)


def _loss(new: Array, advantage: Array, o: SimpleNamespace) -> Array:
    preference, likeness = pair_loss(*_pairs(new, advantage, _base(o.logp, o.logp_ref), o.mask), beta=o.beta)
    pairs = preference.shape[-2] * preference.shape[-1]
    return np.asarray((preference + o.likeness * likeness).sum(axis=(-2, -1)) / max(pairs, 1))


def _base(logp: Array, logp_ref: Array | None) -> Array:
    return logp if logp_ref is None else logp_ref


@register(
    "objective",
    "harmonic-rpo",
    paper="harmonic-rpo",
    equation="w_ref = (1 + c)/B,  w_gen = −c/B,  c = β (y − σ(βΔ))",
    loss=_loss,
)
def harmonic_rpo(
    logp_new: Array,
    advantage: Array,
    *,
    logp: Array,
    logp_ref: Array | None = None,
    mask: Array | None = None,
    beta: float = 1.0,
    likeness: float = 1.0,
) -> Array:
    """RPO on pairs of rollouts: rollout g of the first half of a group is the reference of rollout g + G/2.

    The label y is taken at its expectation, sigmoid(A_ref - A_gen), with centred rewards as advantages.

    Args:
        logp_new: Log-probabilities under the updated policy [..., P, G, T].
        advantage: Rewards up to a constant [..., P, G]; of values per token the first counts.
        logp: Log-probabilities under the sampling policy [..., P, G, T].
        logp_ref: Under the frozen base model [..., P, G, T]; None: `logp`.
        mask: Valid tokens [..., P, G, T]; None for all.
        beta: Scale of the margin of log-ratios.
        likeness: Coefficient of the likelihood of the references (1 in the paper, 0 leaves the preference alone).

    Returns:
        Weights [..., P, G, T], the same for every valid token of a rollout; 0 for the last rollout of an odd group.

    Source: arXiv 2407.12164, loss, on log-probabilities; golden file harmonic-rpo.json through `pair_weights`.
    """
    first, second = pair_weights(*_pairs(logp_new, advantage, _base(logp, logp_ref), mask), beta=beta)
    half, pairs = logp_new.shape[-2] // 2, logp_new.shape[-3] * (logp_new.shape[-2] // 2)
    weights = np.zeros(logp_new.shape)
    if half:
        weights[..., :half, :] = ((first - 1 + likeness) / pairs)[..., None]
        weights[..., half : 2 * half, :] = (second / pairs)[..., None]
    return weights if mask is None else weights * (mask != 0)
