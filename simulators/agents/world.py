"""The agents world: several agents work on one trajectory by a plan, each with softmax heads of its own.

Each prompt has one head per agent: π_n(a | p) is the softmax of logits[p, n]. A call of agent n with action a is right
with probability skill[p, n, a]; action 0 is invalid: never right by default, and it costs a penalty. The plan
(`simulators.agents.tasks`) says who is called next. The T axis is the calls of a trajectory. Because a plan only walks
forward, value and gradient follow exactly from one pass back and one pass forward over its states.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulators.agents import kernels
from simulators.agents.tasks import Orchestra, orchestra
from simulators.errors import check_numbers
from simulators.records import Floats, Ints, Policy, Rollouts, Truth, World
from simulators.runs import asked, started
from simulators.softmax import Tables, initial, tables

__all__ = ["Agents", "warm"]

_MOST_CALLS = 65536 // 3  # three numbers per call, see simulators.random.DRAWS


class Agents(World):
    """Several agents with a softmax head per prompt each.

    Args:
        plan: name of an orchestra (`simulators.agents.tasks.ORCHESTRAS`), or one.
        skill: probability that a call is right, [A], [P, A] or [P, N, A].
        penalty: cost of a call with action 0, in units of reward.
        logits: initial logits, broadcast to [P, N, A].

    Attributes:
        agents: names of the agents [N].
        length: most calls of a trajectory T.
        agent_axis: axis of the parameters and of a gradient along which the agents stand.
        components: names of the reward components: the outcome (0 or 1) and the sum of the penalties (at most 0).

    Raises:
        ValueError: for an unknown orchestra, a skill outside [0, 1], a penalty below 0, shapes that do not fit.
    """

    name = "agents"
    provides: tuple[str, ...] = ("mask", "agent", "turn_rewards")
    components: tuple[str, ...] = ("outcome", "penalty")
    agent_axis = 2

    def __init__(
        self, plan: str | Orchestra = "conditional", *, skill: ArrayLike, penalty: float = 0.0, logits: ArrayLike = 0.0
    ) -> None:
        self.plan = orchestra(plan)
        self.agents, self.length = self.plan.agents, self.plan.length
        self.skill = _checked_skill(skill, len(self.agents))
        self.prompts, _, self.arms = self.skill.shape
        if not (np.isfinite(penalty) and penalty >= 0):
            raise ValueError(f"penalty must be a finite number of at least 0, not {penalty}")
        if self.length > _MOST_CALLS:
            raise ValueError(f"the plan has up to {self.length} calls; at most {_MOST_CALLS} are possible")
        self.pay = np.where(np.arange(self.arms) == 0, -float(penalty), 0.0)
        self.logits = initial(logits, self.skill.shape, "[P, N, A]")
        self._chances = _running(self.plan.follow)

    def __repr__(self) -> str:
        return f"Agents({self.plan.name!r}, prompts={self.prompts}, agents={len(self.agents)}, arms={self.arms})"

    def init(self, seeds: Sequence[int] | NDArray[Any]) -> Policy:
        """The initial logits [S, P, N, A] for S seeds, integers from 0 to 2**64 − 1."""
        return started(self.logits, seeds)

    def rollout(
        self, policy: Policy, group_size: int, step: int, *, attempt: int = 0, fields: Sequence[str] = ()
    ) -> Rollouts:
        """Sample G trajectories of every prompt: rewards [S, P, G, 2]; actions, logp, mask, agent, scores [S, P, G, T].

        The score of a call (`turn_rewards`) is the outcome of its trajectory less the call's own penalty. Behind the
        last call actions, logp, agents and scores are 0 and mask is False.

        Args:
            policy: logits [S, P, N, A].
            group_size: G, at least 1.
            step: counter of the training step, from 0.
            attempt: counter of the draw within the step, for filters that sample again.
            fields: any of `provides`; all of them are always there.

        Raises:
            ValueError: for G < 1, a negative counter, or a field that this world does not provide.
        """
        groups, step, attempt = asked(self, policy, group_size, step, attempt, fields, each=6 * self.length)
        counters = np.uint64(step), np.uint64(attempt)
        table = self._tables(policy)
        shape = (policy.seeds.size, self.prompts, groups, self.length)
        rewards, actions, logp = np.empty((*shape[:3], 2)), np.empty(shape, np.int64), np.empty(shape)
        mask, who, scores = np.empty(shape, np.bool_), np.empty(shape, np.int64), np.empty(shape)
        world = self.plan.agent, self._chances, self.skill, self.pay
        softmax = table.logits, table.cumulative, table.log_total
        kernels.sample(*world, policy.seeds, *counters, *softmax, rewards, actions, logp, mask, who, scores)
        return Rollouts(rewards, actions, logp, mask, agent=who, turn_rewards=scores)

    def log_prob(self, policy: Policy, rollouts: Rollouts) -> Floats:
        """log π_n(a | p) of each call under `policy` [S, P, G, T], nats; 0 behind the last call."""
        table, (head, actions, mask) = self._tables(policy), self._checked(policy, rollouts)
        found = table.logits.reshape(-1)[head * self.arms + actions] - table.log_total.reshape(-1)[head]
        return np.where(mask, found, 0.0)

    def gradient(self, policy: Policy, rollouts: Rollouts, weights: ArrayLike) -> Floats:
        """Σ w ∇log π over all calls, with respect to the logits [S, P, N, A].

        ∂/∂logit(p, n, b) = Σ over calls of agent n on prompt p of w · (1[a = b] − π_n(b | p)).

        Args:
            policy: logits [S, P, N, A].
            rollouts: actions, mask and agent [S, P, G, T]; several slots may stand for one prompt.
            weights: w, of the same shape as the actions; without effect behind the last call.
        """
        table, (head, actions, mask) = self._tables(policy), self._checked(policy, rollouts)
        w = np.asarray(weights, np.float64)
        if w.shape != actions.shape:
            raise ValueError(f"weights must have the actions' shape {actions.shape}, not {w.shape}")
        place, size = (head * self.arms + actions)[mask], table.logits.size
        chosen = np.bincount(place, weights=w[mask], minlength=size).reshape(table.logits.shape)
        return np.asarray(chosen - chosen.sum(axis=-1, keepdims=True) * table.probabilities)

    def truth(
        self, policy: Policy, rollouts: Rollouts, *, gradient: bool = True, weights: ArrayLike | None = None
    ) -> Truth:
        """Exact value, advantages and gradient of the weighted sum of outcome and penalties.

        The advantage of a trajectory is the expected reward of all trajectories with the same calls and actions, minus
        the value: chance in what a call achieves is averaged out as far as nobody reacted to it.

        Args:
            policy: logits [S, P, N, A].
            rollouts: actions, mask and agent [S, P, G, T]; value [S, P] and advantage [S, P, G] are those of its slots.
            gradient: also give the gradient of the mean value over all prompts of the world [S, P, N, A].
            weights: weight of the outcome and of the penalties [2]; ones by default.
        """
        table, c = self._tables(policy), _checked_components(weights)
        slots, (_, actions, mask) = self._slots(policy, rollouts), self._checked(policy, rollouts)
        values = self._values(table, c)
        value = np.take_along_axis(values[..., 0], slots, axis=1)
        sure = np.empty(actions.shape[:3])
        world = self.plan.agent, self.plan.follow, self.skill
        if not kernels.posterior(*world, slots, actions, mask, np.asarray(rollouts.agent, np.int64), sure):
            raise ValueError("the rollouts hold a trajectory that this plan cannot produce")
        paid = np.where(mask, self.pay[actions], 0.0).sum(axis=-1)
        exact = self._exact_gradient(table, c, values) / self.prompts if gradient else None
        return Truth(value, c[0] * sure + c[1] * paid - value[..., None], exact)

    def entropy(self, policy: Policy) -> Floats:
        """−E[Σ log π] over the calls of a trajectory, averaged over prompts [S], nats."""
        table = self._tables(policy)
        return -self._per_trajectory(table, _mean_log(table, table))

    def kl(self, policy: Policy, other: Policy) -> Floats:
        """E[Σ log(π / π_other)] over the calls of a trajectory, averaged over prompts [S], nats."""
        if np.shape(policy.parameters) != np.shape(other.parameters):
            raise ValueError("kl needs two policies of the same number of seeds")
        ours, theirs = self._tables(policy), self._tables(other)
        return np.maximum(self._per_trajectory(ours, _mean_log(ours, ours) - _mean_log(ours, theirs)), 0.0)

    def calls(self, policy: Policy) -> Floats:
        """Expected number of calls of each agent per trajectory [S, P, N]."""
        visits = self._visits(self._tables(policy))
        return np.stack([visits[..., self.plan.agent == n].sum(axis=-1) for n in range(len(self.agents))], axis=-1)

    def _per_trajectory(self, table: Tables, per_call: Floats) -> Floats:
        """Expected sum over the calls of what a call of each agent is worth [S, P, N], mean over prompts [S]."""
        return np.asarray((self._visits(table) * per_call[..., self.plan.agent]).sum(axis=-1).mean(axis=-1))

    def _next(self, table: Tables) -> Floats:
        """Probability of each next state under the policy [S, P, Q, Q + 2]."""
        right = (table.probabilities * self.skill).sum(axis=-1)[..., self.plan.agent, None]
        return np.asarray((1 - right) * self.plan.follow[:, 0] + right * self.plan.follow[:, 1])

    def _visits(self, table: Tables) -> Floats:
        """Probability of each state [S, P, Q]."""
        chance = self._next(table)
        visits = np.zeros((*chance.shape[:2], chance.shape[3]))
        visits[..., 0] = 1.0
        for q in range(chance.shape[2]):
            visits += visits[..., q, None] * chance[..., q, :]
        return visits[..., :-2]

    def _values(self, table: Tables, c: Floats) -> Floats:
        """Expected reward from each state on, the ends included [S, P, Q + 2]."""
        chance = self._next(table)
        cost = c[1] * (table.probabilities @ self.pay)
        values = np.zeros((*chance.shape[:2], chance.shape[3]))
        values[..., -1] = c[0]
        for q in range(chance.shape[2])[::-1]:
            values[..., q] = cost[..., self.plan.agent[q]] + (chance[..., q, :] * values).sum(axis=-1)
        return values

    def _exact_gradient(self, table: Tables, c: Floats, values: Floats) -> Floats:
        """Σ over states of P(state) π_n(b) (reward from b on − reward from the state on) [S, P, N, A]."""
        out, visits = np.zeros(table.logits.shape), self._visits(table)
        ahead = np.einsum("qex,spx->spqe", self.plan.follow, values)
        for q, n in enumerate(self.plan.agent):
            wrong, right = ahead[..., q, :1], ahead[..., q, 1:]
            action = c[1] * self.pay + wrong + self.skill[:, n] * (right - wrong)
            out[:, :, n] += visits[..., q, None] * table.probabilities[:, :, n] * (action - values[..., q, None])
        return out

    def _tables(self, policy: Policy) -> Tables:
        shape, wanted = np.shape(policy.parameters), (policy.seeds.size, *self.skill.shape)
        if shape != wanted:
            raise ValueError(f"the policy of these agents has logits {wanted}, not {shape}")
        return tables(policy)

    def _slots(self, policy: Policy, rollouts: Rollouts) -> Ints:
        """The prompt of each slot [S, P]."""
        prompt = np.arange(self.prompts) if rollouts.prompt is None else np.asarray(rollouts.prompt)
        shape = np.shape(rollouts.actions)[:2]
        if prompt.shape[-1:] != shape[1:]:
            raise ValueError(f"{shape[1:]} slots of actions, {prompt.shape} prompts")
        if not np.all((prompt >= 0) & (prompt < self.prompts)):
            raise ValueError(f"rollouts.prompt must lie in 0..{self.prompts - 1}")
        return np.ascontiguousarray(np.broadcast_to(prompt, shape), np.int64)

    def _checked(self, policy: Policy, rollouts: Rollouts) -> tuple[Ints, Ints, NDArray[np.bool_]]:
        """Row of each call among all heads (s, p, n), its action and whether it took place, each [S, P, G, T]."""
        if rollouts.agent is None or rollouts.mask is None:
            raise ValueError("rollouts of the agents world need agent and mask: who was called, and how often")
        actions, agent = np.ascontiguousarray(rollouts.actions, np.int64), np.asarray(rollouts.agent)
        runs = policy.seeds.size
        if actions.ndim != 4 or (actions.shape[0], actions.shape[3]) != (runs, self.length):
            raise ValueError(f"actions must have shape ({runs}, P, G, {self.length}), not {actions.shape}")
        for what, values, size in (("actions", actions, self.arms), ("agent", agent, len(self.agents))):
            if not np.all((values >= 0) & (values < size)):
                raise ValueError(f"{what} must lie in 0..{size - 1}")
        row = np.arange(runs)[:, None] * self.prompts + self._slots(policy, rollouts)
        return row[..., None, None] * len(self.agents) + agent, actions, np.asarray(rollouts.mask, np.bool_)


def warm() -> None:
    """Compile every kernel of the agents world, or load it from the disk cache."""
    world = Agents(skill=[0.0, 1.0])
    policy = world.init([0])
    world.truth(policy, world.rollout(policy, 2, 0))


def _running(follow: Floats) -> Floats:
    """Running sums of the next states' probabilities; beyond every draw from the last possible state on."""
    sums = np.cumsum(follow, axis=-1)
    last = follow.shape[-1] - 1 - np.argmax(follow[..., ::-1] > 0, axis=-1)
    return np.where(np.arange(follow.shape[-1]) >= last[..., None], 2.0, sums)


def _mean_log(weights: Tables, policy: Tables) -> Floats:
    """E[log π(a)] of each head, actions drawn from `weights` [S, P, N]."""
    return np.asarray((weights.probabilities * (policy.logits - policy.log_total[..., None])).sum(axis=-1))


def _checked_skill(skill: ArrayLike, agents: int) -> Floats:
    table = check_numbers("skill", skill)
    if table.ndim not in (1, 2, 3) or table.size == 0 or (table.ndim == 3 and table.shape[1] != agents):
        raise ValueError(f"skill must have shape [A], [P, A] or [P, {agents}, A], not {table.shape}")
    if not ((table >= 0) & (table <= 1)).all():
        raise ValueError("skill is the probability that a call is right: it must be from 0 to 1")
    whole = table.reshape(-1, 1, table.shape[-1]) if table.ndim < 3 else table
    return np.ascontiguousarray(np.broadcast_to(whole, (whole.shape[0], agents, whole.shape[2])))


def _checked_components(weights: ArrayLike | None) -> Floats:
    c = np.ones(2) if weights is None else np.asarray(weights, np.float64)
    if c.shape != (2,) or not np.isfinite(c).all():
        raise ValueError("weights must be 2 finite numbers: one for the outcome, one for the penalties")
    return c
