"""RPO: follow the reference of each pair, more where it is preferred to what the model made itself."""

from __future__ import annotations

import numpy as np

from lab.objectives.formula import Formula, Terms, formula
from lab.objectives.tokens import Array, sigmoid

__all__ = ["pair_loss", "pair_weights"]


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
    return label * np.logaddexp(0, -margin) + (1 - label) * np.logaddexp(0, margin), model_ref


def pair_weights(
    model_ref: Array, model_gen: Array, base_ref: Array, base_gen: Array, label: Array, *, beta: float = 1.0
) -> tuple[Array, Array]:
    """Weights of a pair's two log-probabilities, 1 + c and -c with c = beta (y - sigmoid(beta D)); arguments as above.

    With beta = 1 a reference is never pushed away: 1 + c lies within (0, 2). For the mean divide by the pairs.

    Source: arXiv 2407.12164, gradient of the loss; golden file harmonic-rpo.json.
    """
    margin = beta * _margin(model_ref, model_gen, base_ref, base_gen)
    c = beta * (label - sigmoid(margin))
    return 1 + c, -c


@formula(
    "harmonic-rpo", paper="harmonic-rpo", equation="w_ref = (1 + c)/B,  w_gen = −c/B,  c = β (y − σ(βΔ))", coupled=True
)
def harmonic_rpo(t: Terms, *, logp_ref: Array | None = None, beta: float = 1.0, likeness: float = 1.0) -> Formula:
    """RPO on pairs of rollouts: rollout g of the first half of a group is the reference of rollout g + G/2.

    The label y is taken at its expectation, sigmoid(A_ref - A_gen), with centred rewards as advantages.

    Args:
        t: Terms of the batch.
        logp_ref: Log-probabilities under the frozen base model [..., P, G, T]; None: `logp`.
        beta: Scale of the margin of log-ratios.
        likeness: Coefficient of the likelihood of the references (1 in the paper, 0 leaves the preference alone).

    Returns:
        Weights [..., P, G, T], the same for every valid token of a rollout; 0 for the last rollout of an odd group.

    Source: arXiv 2407.12164, loss, on log-probabilities; golden file harmonic-rpo.json through `pair_weights`.
    """
    half, a = t.new.shape[-2] // 2, t.per_rollout
    pairs = max(t.new.shape[-3] * half, 1)
    first, second = slice(0, half), slice(half, 2 * half)
    errors = [-t.sums(x)[..., of] for x in (t.new, t.logp if logp_ref is None else logp_ref) for of in (first, second)]
    four = (*errors, sigmoid(a[..., first] - a[..., second]))

    def weights() -> Array:
        reference, other = pair_weights(*four, beta=beta)
        w = np.zeros(a.shape)
        w[..., first], w[..., second] = (reference - 1 + likeness) / pairs, other / pairs
        return t.at_tokens(w)

    def loss() -> Array:
        preference, alike = pair_loss(*four, beta=beta)
        return np.asarray((preference + likeness * alike).sum(axis=(-2, -1)) / pairs)

    return Formula(weights, loss)
