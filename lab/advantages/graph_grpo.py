"""Graph-GRPO: an edge is worth the success rate of the graphs that contain it."""

from __future__ import annotations

import math

import numpy as np

from lab.advantages.statistics import Array, normalise, over
from lab.errors import InputError
from lab.registry import register


def edge_success(rewards: Array, actions: Array) -> Array:
    """Success rate of the graphs that contain each edge, S = Σ R g / Σ g.

    Args:
        rewards: Rewards of the graphs [..., P, G]; an unscored graph (NaN) is left out.
        actions: 1 where the edge is present [..., P, G, E].

    Returns:
        Rates [..., P, E]; NaN for an edge that no graph contains.

    Raises:
        InputError: Actions other than 0 and 1.

    Source: arXiv 2603.02701, edge score.
    """
    if not ((actions == 0) | (actions == 1)).all():
        raise InputError("actions must be 1 (the edge is present) or 0; graph-grpo reads a world of graphs")
    known = ~np.isnan(rewards)[..., None]
    present = (actions * known).astype(rewards.dtype)
    count = present.sum(axis=-2)
    won = (np.where(known, rewards[..., None], rewards.dtype.type(0)) * present).sum(axis=-2)
    return np.where(count > 0, over(won, count), rewards.dtype.type(np.nan))


@register(
    "advantage",
    "graph-grpo",
    paper="graph-grpo",
    equation="A[e] = (S[e] − mean S) / (std S + ε),  S[e] = Σ R g[e] / Σ g[e]",
    properties={"shift", "scale", "permutation", "silent", "groupwise", "bounded"},
    bound=lambda shape: math.sqrt(max(shape.tokens - 1, 0)),
)
def graph_grpo(rewards: Array, *, actions: Array, eps: float = 1e-6) -> Array:
    """Graph-GRPO: the success rate of an edge's graphs, normalised over the edges of the query.

    Args:
        rewards: Rewards of the graphs [..., P, G].
        actions: 1 where the edge is present [..., P, G, E].
        eps: Floor of the population deviation over edges, in units of reward.

    Returns:
        Advantages [..., P, G, E], the same for all graphs of a query that contain the edge; 0 for an absent edge, and
        everywhere where all rewards are equal.

    Source: arXiv 2603.02701, edge advantage; ddof 0, eps and unsampled edges are the lab's choice.
    """
    rate = edge_success(rewards, actions)
    edges = np.nan_to_num(normalise(rate, 0, eps))
    present = (np.asarray(actions) == 1).astype(edges.dtype)
    return np.where(np.isnan(rewards)[..., None], rewards[..., None], edges[..., None, :] * present)
