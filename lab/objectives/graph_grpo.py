"""Graph-GRPO's objective: present edges are made likelier by their advantage, near a reference if asked for."""

from __future__ import annotations

import numpy as np

from lab.composites import method
from lab.errors import MissingFieldError
from lab.objectives.formula import Formula, Terms, formula
from lab.objectives.tokens import Array, aggregate


def _logit(logp: Array, present: Array) -> tuple[Array, Array]:
    """log P − log(1 − P), and P, of edges whose sampled state has log-probability logp."""
    other = np.log(-np.expm1(np.minimum(logp, -1e-300)))
    sign = np.where(present, 1.0, -1.0)
    return sign * (logp - other), np.where(present, np.exp(logp), -np.expm1(logp))


def _reference(beta: float, logp_ref: Array | None) -> Array:
    if logp_ref is None:
        raise MissingFieldError(f"graph-grpo with beta={beta} compares with a reference policy: pass logp_ref=")
    return logp_ref


@formula(
    "graph-grpo",
    paper="graph-grpo",
    equation="w = c·A·g − β·c·∂KL(Bernoulli(P) ‖ Bernoulli(P_ref))/∂log π,  c = 1/(P·G)",
    reads=(),
    fixed="seq-mean-token-sum",
)
def graph_grpo(t: Terms, *, actions: Array, logp_ref: Array | None = None, beta: float = 0.0) -> Formula:
    """J = mean over graphs of Σ over present edges of A log P, minus beta times the exact KL of every edge.

    An absent edge takes no part in an edge's success rate, so it gets no weight. With P the edge's probability and
    Δ = logit P − logit P_ref the divergence has slope P·Δ in log P and −(1 − P)·Δ in log(1 − P). Log-probabilities are
    those of each edge's being as it is, on the T axis.

    Args:
        t: Terms of the batch.
        actions: 1 where the edge is present [..., P, G, E].
        logp_ref: Log-probabilities under the reference policy [..., P, G, E]; needed where beta > 0.
        beta: Coefficient of the divergence; 0 for none.

    Returns:
        Weights [..., P, G, E], c = 1/(P·G).

    Raises:
        MissingFieldError: beta > 0 without logp_ref.

    Source: arXiv 2603.02701; the exact loss is not published, this form is the lab's choice.
    """
    new, present, c = t.new, np.asarray(actions) == 1, 1.0 / (t.new.shape[-3] * t.new.shape[-2])
    if not beta:
        return Formula(
            lambda: np.asarray(c * np.where(present, t.a, 0.0)),
            lambda: -aggregate(np.where(present, t.a * new, 0.0), c, new),
        )
    (logit, p), (logit_ref, p_ref) = _logit(new, present), _logit(_reference(beta, logp_ref), present)
    pull = beta * np.where(present, p, p - 1) * (logit - logit_ref)
    divergence = p * (logit - logit_ref) + np.log1p(-p) - np.log1p(-p_ref)
    return Formula(
        lambda: np.asarray(c * (np.where(present, t.a, 0.0) - pull)),
        lambda: aggregate(beta * divergence - np.where(present, t.a * new, 0.0), c, new),
    )


method("graph-grpo", advantage="graph-grpo", objective="graph-grpo", paper="graph-grpo",
       note="edges by the success rate of their graphs, present edges only")  # fmt: skip
