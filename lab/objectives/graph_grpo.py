"""Graph-GRPO's objective: present edges are made likelier by their advantage, near a reference if asked for."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from lab.errors import MissingFieldError
from lab.objectives.tokens import Array, aggregate, over_tokens
from lab.registry import register


def _logit(logp: Array, present: Array) -> tuple[Array, Array]:
    """log P − log(1 − P), and P, of edges whose sampled state has log-probability logp."""
    other = np.log(-np.expm1(np.minimum(logp, -1e-300)))
    sign = np.where(present, 1.0, -1.0)
    return sign * (logp - other), np.where(present, np.exp(logp), -np.expm1(logp))


def _reference(beta: float, logp_ref: Array | None) -> Array:
    if logp_ref is None:
        raise MissingFieldError(f"graph-grpo with beta={beta} compares with a reference policy: pass logp_ref=")
    return logp_ref


def _loss(new: Array, advantage: Array, o: SimpleNamespace) -> Array:
    present, c = np.asarray(o.actions) == 1, 1.0 / (new.shape[-3] * new.shape[-2])
    gain = np.where(present, over_tokens(advantage, new) * new, 0.0)
    if not o.beta:
        return -aggregate(gain, c, new)
    logit, p = _logit(new, present)
    logit_ref, p_ref = _logit(_reference(o.beta, o.logp_ref), present)
    divergence = p * (logit - logit_ref) + np.log1p(-p) - np.log1p(-p_ref)
    return aggregate(o.beta * divergence - gain, c, new)


@register(
    "objective",
    "graph-grpo",
    paper="graph-grpo",
    equation="w = c·A·g − β·c·∂KL(Bernoulli(P) ‖ Bernoulli(P_ref))/∂log π,  c = 1/(P·G)",
    loss=_loss,
    aggregation="seq-mean-token-sum",
)
def graph_grpo(
    logp_new: Array, advantage: Array, *, actions: Array, logp_ref: Array | None = None, beta: float = 0.0
) -> Array:
    """J = mean over graphs of Σ over present edges of A log P, minus beta times the exact KL of every edge.

    An absent edge takes no part in an edge's success rate, so it gets no weight. With P the edge's probability and
    Δ = logit P − logit P_ref the divergence has slope P·Δ in log P and −(1 − P)·Δ in log(1 − P).

    Args:
        logp_new: Log-probability of each edge's being as it is under the updated policy [..., P, G, E].
        advantage: [..., P, G] or [..., P, G, E].
        actions: 1 where the edge is present [..., P, G, E].
        logp_ref: The same under the reference policy; needed where beta > 0.
        beta: Coefficient of the divergence; 0 for none.

    Returns:
        Weights [..., P, G, E], c = 1/(P·G).

    Raises:
        MissingFieldError: beta > 0 without logp_ref.

    Source: arXiv 2603.02701; the exact loss is not published, this form is the lab's choice.
    """
    present, c = np.asarray(actions) == 1, 1.0 / (logp_new.shape[-3] * logp_new.shape[-2])
    w = np.where(present, over_tokens(advantage, logp_new), 0.0)
    if beta:
        logit, p = _logit(logp_new, present)
        apart = logit - _logit(_reference(beta, logp_ref), present)[0]
        w = w - beta * np.where(present, p, p - 1) * apart
    return np.asarray(c * w)
