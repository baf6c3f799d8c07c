"""The world of turns: episodes of several actions on a hidden state, with a process reward per turn, all truth exact.

The policy has a row of logits for each thing that it can see: π(a | view) is the softmax of logits[row, view, a], with
a row of tables per prompt or one for all. An action moves the hidden state, of which the view shows a part, so effects
may come at once or turns later. An episode ends with the closing action of its task, which is forced after the last
turn, or after a fixed number of turns where the task has none. Its reward is 1 with a probability that depends on the
last hidden state. Value and gradient follow by dynamic programming over (turn, hidden state), the expected reward of an
episode by filtering the hidden state given what the policy saw and did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulators.errors import check_count, check_room, one_of
from simulators.records import Floats, Ints, Policy, Rollouts, Truth, World
from simulators.runs import asked, started
from simulators.softmax import Tables, initial, tables
from simulators.turns import kernels
from simulators.turns.tasks import TASKS, Episode

__all__ = ["Turns", "warm"]

_MOST_TURNS = 8000  # eight random numbers each, see simulators.random.DRAWS


class Turns(World):
    """Multi-turn episodes with process rewards.

    Args:
        task: name of a task (`simulators.turns.tasks.TASKS`), or finished tables.
        prompts: number of prompts P; the task's starting states are dealt out to them in turn.
        turns: most turns of an episode, the closing one not counted; None: as many as the task says.
        shared: one policy for all prompts instead of one for each.
        logits: initial logits, broadcast to [R, O, A]; None: those of the task.

    Attributes:
        task: the tables.
        tokens: names of the actions, for each prompt.
        length: tokens of an episode T: its turns, and the closing one where the task has it.

    Raises:
        ValueError: for an unknown task, counts below 1, logits that are not finite or do not fit.
    """

    name = "turns"
    provides: tuple[str, ...] = ("mask", "turn", "turn_rewards")

    def __init__(
        self,
        task: str | Episode = "dialogue",
        *,
        prompts: int = 8,
        turns: int | None = None,
        shared: bool = False,
        logits: ArrayLike | None = None,
    ) -> None:
        self.task = task if isinstance(task, Episode) else one_of("task", task, TASKS)()
        self.prompts = check_count("prompts", prompts, least=1)
        check_room(self.prompts * (self.task.logits.size + 3), prompts=self.prompts)
        self.tokens = (self.task.actions,) * self.prompts
        self.turns = check_count("turns", self.task.turns if turns is None else turns, least=1)
        if self.turns > _MOST_TURNS:
            raise ValueError(f"turns={turns}; at most {_MOST_TURNS}")
        self.length = self.turns + (self.task.closing >= 0)
        self.starts = np.resize(np.array(self.task.starts, np.int64), self.prompts)
        self.rows = np.zeros(self.prompts, np.int64) if shared else np.arange(self.prompts)
        self.logits = initial(self.task.logits if logits is None else logits, self._shape, "[R, O, A]")

    def __repr__(self) -> str:
        return f"Turns({self.task.name}, prompts={self.prompts}, turns={self.turns})"

    def pieces(self, tokens: Sequence[int] | NDArray[Any], prompt: int = 0) -> list[str]:
        """The name of each action."""
        return [self.task.actions[int(t)] for t in tokens]

    @property
    def _shape(self) -> tuple[int, int, int]:
        return (int(self.rows[-1]) + 1, len(self.task.views), len(self.task.actions))

    @property
    def _dynamics(self) -> tuple[Any, ...]:
        return self.task.seen, self.task.following, self.task.chance

    def init(self, seeds: Sequence[int] | NDArray[Any]) -> Policy:
        """The initial logits [S, R, O, A] for S seeds, integers from 0 to 2**64 − 1."""
        return started(self.logits, seeds)

    def rollout(
        self, policy: Policy, group_size: int, step: int, *, attempt: int = 0, fields: Sequence[str] = ()
    ) -> Rollouts:
        """Sample G episodes of every prompt: rewards [S, P, G, 1]; actions, logp, mask and state [S, P, G, T].

        A token is a turn. Behind the closing action, which is itself valid, actions and logp are 0; a forced close has
        logp 0. `state` holds what the policy saw.

        Args:
            policy: logits [S, R, O, A].
            group_size: G, at least 1.
            step: counter of the training step, from 0.
            attempt: counter of the draw within the step, for filters that sample again.
            fields: "turn" adds the index of each turn, "turn_rewards" its process reward, 0 at the closing turn
                [S, P, G, T]; "mask" is always there.

        Raises:
            ValueError: for G < 1, a negative counter, or a field that this world does not provide.
        """
        groups, step, attempt = asked(self, policy, group_size, step, attempt, fields, each=6 * self.length)
        counters = np.uint64(step), np.uint64(attempt)
        table, task = self._tables(policy), self.task
        shape = (policy.seeds.size, self.prompts, groups, self.length)
        out = Rollouts(
            np.empty((*shape[:3], 1)), np.empty(shape, np.int64), np.empty(shape), np.empty(shape, np.bool_),
            turn_rewards=np.empty(shape), state=np.empty(shape, np.int64),
        )  # fmt: skip
        kernels.sample(
            *self._dynamics, task.score, task.win, self.starts, task.closing, np.array([task.noise]), task.low,
            task.high, self.rows, policy.seeds, *counters, table.logits, table.cumulative, table.log_total,
            out.rewards, out.actions, out.logp, out.mask, out.state, out.turn_rewards,
        )  # fmt: skip
        turn = np.broadcast_to(np.arange(self.length), shape).copy() if "turn" in fields else None
        return replace(out, turn=turn, turn_rewards=out.turn_rewards if "turn_rewards" in fields else None)

    def log_prob(self, policy: Policy, rollouts: Rollouts) -> Floats:
        """log π(action | what was seen) under `policy` [S, P, G, T], nats; 0 at a forced close and behind the close."""
        table = self._tables(policy)
        slots, actions, state = self._checked(policy, rollouts)
        out = np.zeros(actions.shape)
        self._check_possible(
            kernels.log_prob(table.logits, table.log_total, self.rows[slots], actions, state, self.task.closing, out)
        )
        return out

    def gradient(self, policy: Policy, rollouts: Rollouts, weights: ArrayLike) -> Floats:
        """Σ w ∇log π over turns, with respect to the logits [S, R, O, A].

        Args:
            policy: logits [S, R, O, A].
            rollouts: actions and state [S, P, G, T]; several slots may stand for one prompt.
            weights: w, of the same shape as the actions; without effect at a forced close and behind the close.
        """
        table = self._tables(policy)
        slots, actions, state = self._checked(policy, rollouts)
        w = np.ascontiguousarray(weights, np.float64)
        if w.shape != actions.shape:
            raise ValueError(f"weights must have the actions' shape {actions.shape}, not {w.shape}")
        out = np.zeros(table.logits.shape)
        self._check_possible(
            kernels.score_gradient(table.probabilities, self.rows[slots], actions, state, self.task.closing, w, out)
        )
        return out

    def truth(
        self, policy: Policy, rollouts: Rollouts, *, gradient: bool = True, weights: ArrayLike | None = None
    ) -> Truth:
        """Exact value, advantages and gradient of the reward of an episode.

        V_t(q) = Σ_a π(a | seen q) Σ_m chance V_{t+1}(next), backwards from the chance of reward at the end; the
        advantage of an episode is its expected reward given all that the policy saw and did, minus the value.

        Args:
            policy: logits [S, R, O, A].
            rollouts: actions and state [S, P, G, T]; value [S, P] and advantage [S, P, G] are those of its slots.
            gradient: also give the gradient of the mean value over all prompts of the world [S, R, O, A].
            weights: weight of the reward [1]; one by default.
        """
        scale = 1.0 if weights is None else _checked_weight(weights)
        table, win = self._tables(policy), self.task.win * scale
        slots, actions, state = self._checked(policy, rollouts)
        tail = *self._dynamics, win, self.starts, self.task.closing, self.turns
        values = np.empty((policy.seeds.size, self.prompts))
        kernels.values(table.probabilities, self.rows, *tail, values)
        value, worth = np.take_along_axis(values, slots, axis=1), np.empty(actions.shape[:3])
        self._check_possible(
            kernels.beliefs(*self._dynamics, win, self.starts[slots], self.task.closing, actions, state, worth)
        )
        exact = None
        if gradient:
            exact = np.zeros(table.logits.shape)
            kernels.exact_gradient(table.probabilities, self.rows, *tail, exact)
            exact /= self.prompts
        return Truth(value, worth - value[..., None], exact)

    def mean_turns(self, policy: Policy) -> Floats:
        """Expected number of turns before the close, or until the end where the task has none [S, P]."""
        seen = self._visits(policy)
        if self.task.closing < 0:
            return np.asarray(seen.sum(axis=-1))
        stays = 1 - self._tables(policy).probabilities[..., self.task.closing][:, self.rows]
        return np.asarray((seen * stays).sum(axis=-1))

    def entropy(self, policy: Policy) -> Floats:
        """−E[log π] of the whole episode's actions, averaged over prompts [S], nats."""
        return -self._mean_log(policy, policy)

    def kl(self, policy: Policy, other: Policy) -> Floats:
        """E[log(π / π_other)] of the whole episode's actions, averaged over prompts [S], nats."""
        if np.shape(policy.parameters) != np.shape(other.parameters):
            raise ValueError("kl needs two policies of the same number of seeds")
        return np.maximum(self._mean_log(policy, policy) - self._mean_log(policy, other), 0.0)

    def _mean_log(self, policy: Policy, scored: Policy) -> Floats:
        """E[Σ_t log π_scored(a_t)] over episodes of `policy`, averaged over prompts [S]."""
        ours, theirs = self._tables(policy), self._tables(scored)
        each = (ours.probabilities * (theirs.logits - theirs.log_total[..., None])).sum(axis=-1)
        return np.asarray((self._visits(policy) * each[:, self.rows]).sum(axis=-1).mean(axis=-1))

    def _visits(self, policy: Policy) -> Floats:
        out = np.empty((policy.seeds.size, self.prompts, len(self.task.views)))
        tail = self.starts, self.task.closing, self.turns
        kernels.visits(self._tables(policy).probabilities, self.rows, *self._dynamics, *tail, out)
        return out

    def _tables(self, policy: Policy) -> Tables:
        shape, wanted = np.shape(policy.parameters), (policy.seeds.size, *self._shape)
        if shape != wanted:
            raise ValueError(f"the policy of this world of turns has logits {wanted}, not {shape}")
        return tables(policy)

    def _checked(self, policy: Policy, rollouts: Rollouts) -> tuple[Ints, Ints, Ints]:
        """The prompt of each slot [S, P], actions and states [S, P, G, T], fit for the kernels."""
        if rollouts.state is None:
            raise ValueError("rollouts of the world of turns carry `state`, what the policy saw; these do not")
        actions, state = (np.ascontiguousarray(x, np.int64) for x in (rollouts.actions, rollouts.state))
        wanted = (policy.seeds.size, self.length)
        if actions.ndim != 4 or (actions.shape[0], actions.shape[3]) != wanted or state.shape != actions.shape:
            shapes = f"not {actions.shape} and {state.shape}"
            raise ValueError(f"actions and state must have shape ({wanted[0]}, P, G, {wanted[1]}), {shapes}")
        prompt = np.arange(self.prompts) if rollouts.prompt is None else np.asarray(rollouts.prompt)
        if prompt.shape[-1:] != actions.shape[1:2]:
            raise ValueError(f"{actions.shape[1]} slots of actions, {prompt.shape} prompts")
        if not np.all((prompt >= 0) & (prompt < self.prompts)):
            raise ValueError(f"rollouts.prompt must lie in 0..{self.prompts - 1}")
        return np.ascontiguousarray(np.broadcast_to(prompt, actions.shape[:2]), np.int64), actions, state

    def _check_possible(self, possible: bool) -> None:
        if not possible:
            sizes = f"actions in 0..{len(self.task.actions) - 1}, states in 0..{len(self.task.views) - 1}"
            raise ValueError(f"these rollouts cannot happen in this world: {sizes}, each state as the actions lead to")


def warm() -> None:
    """Compile every kernel of the world of turns, or load it from the disk cache."""
    world = Turns("steps", prompts=1, turns=2)
    policy = world.init([0])
    rollouts = world.rollout(policy, 2, 0)
    world.gradient(policy, rollouts, world.log_prob(policy, rollouts))
    world.truth(policy, rollouts)
    world.entropy(policy)


def _checked_weight(weights: ArrayLike) -> float:
    c = np.asarray(weights, np.float64)
    if c.shape != (1,) or not np.isfinite(c).all():
        raise ValueError("weights must be one finite number, for the one reward component")
    return float(c[0])
