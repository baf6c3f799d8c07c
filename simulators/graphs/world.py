"""The graphs world: who talks to whom among N agents is sampled edge by edge, and only a few edges matter.

Agents are in a fixed order, so an edge may only go from i to j > i: there are N(N − 1)/2 of them. Edge e is present
with probability sigmoid(logits[e]), the same for every query. A graph solves query p with probability
sigmoid(easiness[p] + effect · (c − c₀)), c the number of critical edges in it. The T axis is the edges: the action at e
is 1 where it is present. Only the number of critical edges counts, so every expectation is a sum over its values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulators.errors import check_count, check_numbers, check_room
from simulators.random import uniforms
from simulators.records import Floats, Ints, Policy, Rollouts, Truth, World
from simulators.runs import asked, started
from simulators.softmax import initial

__all__ = ["Graphs"]


class Graphs(World):
    """Communication graphs with one logit per edge.

    Args:
        members: number of agents N, at least 2.
        critical: which edges matter, as indices into `edges`.
        easiness: how easy each query is [P], in logits.
        effect: what a critical edge adds, in logits.
        enough: c₀, the number of critical edges with which a query of easiness 0 is solved half of the time.
        logits: initial logits, broadcast to the number of edges.

    Attributes:
        edges: the possible edges (i, j), i < j [E].

    Raises:
        ValueError: for fewer than two agents, an edge that does not exist or stands twice, numbers that are not finite.
    """

    name = "graphs"
    provides: tuple[str, ...] = ()

    def __init__(
        self,
        members: int = 5,
        *,
        critical: Sequence[int] = (0, 1, 2),
        easiness: ArrayLike = (-2.0, 0.0, 2.0),
        effect: float = 2.0,
        enough: float = 2.0,
        logits: ArrayLike = 0.0,
    ) -> None:
        check_count("members", members, least=2)
        check_room(10 * members**2, members=members)
        self.edges = tuple((i, j) for i in range(members) for j in range(i + 1, members))
        self.members, self.effect, self.enough = members, float(effect), float(enough)
        self.critical = _checked_edges(critical, len(self.edges))
        self.easiness = np.atleast_1d(check_numbers("easiness", easiness))
        if self.easiness.ndim != 1 or not self.easiness.size:
            raise ValueError(f"easiness must be one number per query [P], not of shape {self.easiness.shape}")
        self.logits = initial(logits, (len(self.edges),), "[E]")
        if not np.isfinite((self.effect, self.enough)).all():
            raise ValueError(f"effect and enough must be finite, not {effect} and {enough}")
        self.prompts = self.easiness.size
        counts = np.arange(self.critical.size + 1)
        self.success = _sigmoid(self.easiness[:, None] + self.effect * (counts - self.enough))

    def __repr__(self) -> str:
        return f"Graphs(members={self.members}, queries={self.prompts}, critical={self.critical.tolist()})"

    def init(self, seeds: Sequence[int] | NDArray[Any]) -> Policy:
        """The initial logits [S, E] for S seeds, integers from 0 to 2**64 − 1."""
        return started(self.logits, seeds)

    def rollout(
        self, policy: Policy, group_size: int, step: int, *, attempt: int = 0, fields: Sequence[str] = ()
    ) -> Rollouts:
        """Sample G graphs for every query: rewards [S, P, G, 1] of 0 or 1, actions and logp [S, P, G, E].

        Edge e is drawn with number e of its rollout, the reward with number E.

        Args:
            policy: logits [S, E].
            group_size: G, at least 1.
            step: counter of the training step, from 0.
            attempt: counter of the draw within the step, for filters that sample again.
            fields: none; this world has no optional fields.

        Raises:
            ValueError: for G < 1, a negative counter, or a field asked for.
        """
        size = len(self.edges)
        groups, step, attempt = asked(self, policy, group_size, step, attempt, fields, each=5 * (size + 1))
        logits = self._logits(policy)[:, None, None]
        seeds, queries = policy.seeds[:, None, None, None], np.arange(self.prompts)[:, None, None]
        graphs, edges = np.arange(groups)[:, None], np.arange(size + 1)
        drawn = uniforms(seeds, step=step, attempt=attempt, prompt=queries, rollout=graphs, draw=edges)
        actions = (drawn[..., :-1] < _sigmoid(logits)).astype(np.int64)
        solved = drawn[..., -1] < self._solves(np.arange(self.prompts), actions)
        return Rollouts(solved[..., None].astype(np.float64), actions, _log_bernoulli(actions, logits))

    def log_prob(self, policy: Policy, rollouts: Rollouts) -> Floats:
        """Log-probability of each edge's being present or absent as it is [S, P, G, E], nats."""
        return _log_bernoulli(self._actions(policy, rollouts), self._logits(policy)[:, None, None])

    def gradient(self, policy: Policy, rollouts: Rollouts, weights: ArrayLike) -> Floats:
        """Σ w ∇log π with respect to the logits [S, E]: ∂/∂logit(e) = Σ w (g − P(e)) over queries and graphs.

        Args:
            policy: logits [S, E].
            rollouts: actions g [S, P, G, E], 1 where the edge is present.
            weights: w, of the same shape as the actions.
        """
        actions, w = self._actions(policy, rollouts), np.asarray(weights, np.float64)
        if w.shape != actions.shape:
            raise ValueError(f"weights must have the actions' shape {actions.shape}, not {w.shape}")
        return np.asarray((w * (actions - _sigmoid(self._logits(policy))[:, None, None])).sum(axis=(1, 2)))

    def truth(
        self, policy: Policy, rollouts: Rollouts, *, gradient: bool = True, weights: ArrayLike | None = None
    ) -> Truth:
        """Exact value, advantages and gradient.

        value(p) = Σ_c P(c critical edges) success(p, c); the advantage of a graph is its probability of success minus
        the value; ∂value/∂logit(e) = P(e)(1 − P(e)) (value with e − value without e), 0 for an edge that is not
        critical.

        Args:
            policy: logits [S, E].
            rollouts: actions [S, P, G, E]; several slots may stand for one query.
            gradient: also give the gradient of the mean value over all queries of the world [S, E].
            weights: weight of the one reward component [1]; 1 by default.
        """
        c = 1.0 if weights is None else float(np.asarray(weights, np.float64).reshape(()))
        actions, present = self._actions(policy, rollouts), _sigmoid(self._logits(policy))
        slots = self._slots(actions, rollouts)
        values = c * _counts(present[:, self.critical]) @ self.success.T
        value = np.take_along_axis(values, slots, axis=1)
        advantage = c * self._solves(slots, actions) - value[..., None]
        return Truth(value, advantage, c * self._exact_gradient(present) if gradient else None)

    def entropy(self, policy: Policy) -> Floats:
        """Entropy of the graph [S], nats: the sum of those of its edges."""
        logits = self._logits(policy)
        return np.asarray(-self._expected(logits, logits).sum(axis=-1))

    def kl(self, policy: Policy, other: Policy) -> Floats:
        """KL(policy ‖ other) of the graph [S], nats: the sum of those of its edges."""
        ours, theirs = self._logits(policy), self._logits(other)
        if ours.shape != theirs.shape:
            raise ValueError("kl needs two policies of the same number of seeds")
        return np.maximum((self._expected(ours, ours) - self._expected(ours, theirs)).sum(axis=-1), 0.0)

    def probabilities(self, parameters: ArrayLike) -> Floats:
        """Probability of each edge [..., E] of logits [..., E]."""
        return _sigmoid(np.asarray(parameters, np.float64))

    @staticmethod
    def _expected(weights: Floats, logits: Floats) -> Floats:
        """E[log π(g)] of each edge [S, E], drawn with the logits `weights`."""
        present = _sigmoid(weights)
        yes, no = (_log_bernoulli(np.array(g), logits) for g in (1, 0))
        return np.asarray(present * yes + (1 - present) * no)

    def _solves(self, slots: Ints, actions: Ints) -> Floats:
        """Probability of success of each graph [S, P, G]."""
        return np.asarray(self.success[np.asarray(slots)[..., None], actions[..., self.critical].sum(axis=-1)])

    def _exact_gradient(self, present: Floats) -> Floats:
        """Gradient of the mean value over queries [S, E]."""
        out, mean = np.zeros(present.shape), self.success.mean(axis=0)
        for e in self.critical:
            others = _counts(present[:, self.critical[self.critical != e]])
            out[:, e] = present[:, e] * (1 - present[:, e]) * (others @ (mean[1:] - mean[:-1]))
        return out

    def _logits(self, policy: Policy) -> Floats:
        shape, wanted = np.shape(policy.parameters), (policy.seeds.size, len(self.edges))
        if shape != wanted:
            raise ValueError(f"the policy of these graphs has logits {wanted}, not {shape}")
        return np.asarray(policy.parameters, np.float64)

    def _actions(self, policy: Policy, rollouts: Rollouts) -> Ints:
        actions = np.asarray(rollouts.actions)
        if actions.ndim != 4 or (actions.shape[0], actions.shape[3]) != (policy.seeds.size, len(self.edges)):
            wanted = f"({policy.seeds.size}, P, G, {len(self.edges)})"
            raise ValueError(f"actions must have shape {wanted}, not {actions.shape}")
        if not ((actions == 0) | (actions == 1)).all():
            raise ValueError("actions must be 1 (the edge is present) or 0")
        return actions

    def _slots(self, actions: Ints, rollouts: Rollouts) -> Ints:
        """The query of each slot [S, P]."""
        prompt = np.arange(self.prompts) if rollouts.prompt is None else np.asarray(rollouts.prompt)
        if prompt.shape[-1:] != actions.shape[1:2] or not np.all((prompt >= 0) & (prompt < self.prompts)):
            raise ValueError(f"rollouts.prompt must name a query in 0..{self.prompts - 1} for each slot")
        return np.asarray(np.broadcast_to(prompt, actions.shape[:2]))


def _sigmoid(x: Any) -> Floats:
    return np.asarray(np.exp(-np.logaddexp(0.0, -np.asarray(x))))


def _log_bernoulli(actions: Ints, logits: Floats) -> Floats:
    """Log-probability of 1 or 0 under sigmoid(logits)."""
    return np.asarray(-np.logaddexp(0.0, np.where(actions == 1, -logits, logits)))


def _counts(present: Floats) -> Floats:
    """Distribution of the number of present edges among independent ones: [S, C] -> [S, C + 1]."""
    out = np.ones((len(present), 1))
    for p in present.T[..., None]:
        out = np.pad(out * (1 - p), ((0, 0), (0, 1))) + np.pad(out * p, ((0, 0), (1, 0)))
    return out


def _checked_edges(critical: Sequence[int], edges: int) -> Ints:
    found = np.asarray(critical, np.int64).reshape(-1)
    if len(set(found.tolist())) != found.size or not ((found >= 0) & (found < edges)).all():
        raise ValueError(f"critical must name different edges in 0..{edges - 1}, not {found.tolist()}")
    return found
