"""A toy language model: an autoregressive softmax table over a small vocabulary, on verifiable tasks, all truth exact.

The policy has one row of logits for each context (prompt p, position t, previous token u): π(v | p, t, u) is the
softmax of logits[p, t, u]. Token 0 ends the response, and stands as the previous token of the first position. A
response is a path y_0, y_1, ... up to and with the end token, or cut after T tokens:
log π(y | p) = Σ_t log π(y_t | p, t, y_{t−1}). Rewards are those of `simulators.toy_lm.tasks`, read off by machines of
few states, so that value, advantage and gradient follow exactly by dynamic programming over (t, u, state).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulators.errors import check_count, check_room, one_of
from simulators.records import Floats, Ints, Policy, Rollouts, Truth, World
from simulators.runs import asked, started
from simulators.softmax import Tables, initial, tables
from simulators.stride import Stride
from simulators.stride import warm as warm_stride
from simulators.toy_lm import kernels
from simulators.toy_lm import step as lane
from simulators.toy_lm.tasks import COMPONENTS, TASKS, Machine

__all__ = ["ToyLM", "warm"]

_MOST_DRAWS = 65536  # numbers that belong to one rollout, see simulators.random.DRAWS

_CACHE, _LEAST_TOGETHER = 2**22, 2  # bytes for five tables per run; fewer runs would be ruled one by one


class ToyLM(World):
    """A tabular language model with an end token, on one or more verifiable tasks.

    Args:
        tasks: name of a task (`simulators.toy_lm.tasks.TASKS`) or several, which share the prompts evenly in the
            order given; or finished machines, all of one vocabulary and length.
        prompts: number of prompts P, at least one per task.
        vocabulary: number of tokens V, the end token included.
        length: most tokens of a response T, the end token included.
        logits: initial logits, broadcast to [P, T, V, V] (position, previous token, token): [V] sets how likely each
            token is anywhere.
        seed: draws the questions.

    Attributes:
        questions: each prompt as text [P].
        components: names of the reward components [K].
        together: runs whose tables fit into a processor's cache, so that a thread walks them side by side.

    Raises:
        ValueError: for an unknown task, sizes that a task cannot use, logits that are not finite or do not fit.
    """

    name = "toy-lm"
    provides: tuple[str, ...] = ("mask", "greedy_rewards", "task")
    components: tuple[str, ...] = COMPONENTS

    def __init__(
        self,
        tasks: str | Machine | Sequence[str | Machine] = "arithmetic",
        *,
        prompts: int = 8,
        vocabulary: int = 8,
        length: int = 8,
        logits: ArrayLike = 0.0,
        seed: int = 0,
    ) -> None:
        machines = _machines(tasks, prompts, vocabulary, length, seed)
        self.tasks = tuple(m.name for m in machines)
        self.questions = tuple(q for m in machines for q in m.questions)
        self.prompts, self.length, self.vocabulary = len(self.questions), *machines[0].following.shape[1::2]
        self.task = np.repeat(np.arange(len(machines)), [len(m.questions) for m in machines])
        self.tokens = tuple(machines[t].tokens for t in self.task)
        self.states = np.repeat([m.following.shape[2] for m in machines], [len(m.questions) for m in machines])
        self.following, self.payoffs = (
            _padded([getattr(m, name) for m in machines]) for name in ("following", "payoffs")
        )
        self.worth = self.payoffs.sum(axis=-1)
        self.logits = initial(logits, (self.prompts, self.length, self.vocabulary, self.vocabulary), "[P, T, V, V]")
        self.together = max(_LEAST_TOGETHER, _CACHE // (5 * self.logits.nbytes))

    def __repr__(self) -> str:
        sizes = f"prompts={self.prompts}, vocabulary={self.vocabulary}, length={self.length}"
        return f"ToyLM({', '.join(self.tasks)}, {sizes})"

    def pieces(self, tokens: Sequence[int] | NDArray[Any], prompt: int = 0) -> list[str]:
        """What each token of a response to a prompt says."""
        return [self.tokens[prompt][int(t)] for t in tokens]

    def text(self, prompt: int, tokens: Sequence[int] | NDArray[Any]) -> str:
        """A response to a prompt as text, up to and with its end token."""
        words: list[str] = []
        for token in tokens:
            words.append(self.tokens[prompt][int(token)])
            if token == 0:
                break
        return " ".join(words)

    def init(self, seeds: Sequence[int] | NDArray[Any]) -> Policy:
        """The initial logits [S, P, T, V, V] for S seeds, integers from 0 to 2**64 − 1."""
        return started(self.logits, seeds)

    def rollout(
        self, policy: Policy, group_size: int, step: int, *, attempt: int = 0, fields: Sequence[str] = ()
    ) -> Rollouts:
        """Sample G responses to every prompt: rewards [S, P, G, K]; actions, logp and mask [S, P, G, T].

        The token at position t is drawn with number t of its rollout. Behind the end token actions are 0, logp is 0
        and mask is False; the end token itself is valid.

        Args:
            policy: logits [S, P, T, V, V].
            group_size: G, at least 1.
            step: counter of the training step, from 0.
            attempt: counter of the draw within the step, for filters that sample again.
            fields: "greedy_rewards" adds the rewards of each prompt's greedy response [S, P, K], "task" the index of
                each prompt's task [P]; "mask" is always there.

        Raises:
            ValueError: for G < 1, a negative counter, or a field that this world does not provide.
        """
        groups, step, attempt = asked(self, policy, group_size, step, attempt, fields, each=4 * self.length)
        counters = np.uint64(step), np.uint64(attempt)
        table = self._tables(policy)
        shape = (policy.seeds.size, self.prompts, groups, self.length)
        rewards = np.empty((*shape[:3], len(COMPONENTS)))
        actions, logp, mask = np.empty(shape, np.int64), np.empty(shape), np.empty(shape, np.bool_)
        softmax = table.logits, table.cumulative, table.log_total
        kernels.sample(self.following, self.payoffs, policy.seeds, *counters, *softmax, rewards, actions, logp, mask)
        greedy = self._greedy(table) if "greedy_rewards" in fields else None
        task = self.task.copy() if "task" in fields else None
        return Rollouts(rewards, actions, logp, mask, greedy_rewards=greedy, task=task)

    def stride(self, policy: Policy, group_size: int, step: int) -> Stride:
        """The fast lane of the training loop: one kernel call per step, see `simulators.toy_lm.step`."""
        rollouts, contexts = self.rollout(policy, group_size, step), self.logits.shape[:3]
        truth, moved = np.empty((self.prompts, group_size)), np.zeros(contexts, np.bool_)
        scratch = np.zeros(self.logits.shape), np.zeros(contexts), truth, moved
        machine = self.following, self.payoffs, self.worth, self.states
        return Stride(lane.advance, policy, rollouts, step, machine, scratch)

    def log_prob(self, policy: Policy, rollouts: Rollouts) -> Floats:
        """log π(y_t | p, t, y_{t−1}) under `policy` [S, P, G, T], nats; 0 behind the end token."""
        table = self._tables(policy)
        slots, actions = self._checked(policy, rollouts)
        out = np.empty(actions.shape)
        self._check_tokens(kernels.log_prob(table.logits, table.log_total, slots, actions, out))
        return out

    def gradient(self, policy: Policy, rollouts: Rollouts, weights: ArrayLike) -> Floats:
        """Σ w ∇log π over tokens up to and with the end token, with respect to the logits [S, P, T, V, V].

        ∂/∂logit(p, t, u, v) = Σ over rollouts with y_{t−1} = u of w_t (1[y_t = v] − π(v | p, t, u)).

        Args:
            policy: logits [S, P, T, V, V].
            rollouts: actions [S, P, G, T]; several slots may stand for one prompt.
            weights: w, of the same shape as the actions; without effect behind the end token.
        """
        table = self._tables(policy)
        slots, actions = self._checked(policy, rollouts)
        w = np.ascontiguousarray(weights, np.float64)
        if w.shape != actions.shape:
            raise ValueError(f"weights must have the actions' shape {actions.shape}, not {w.shape}")
        out = np.zeros(table.logits.shape)
        self._check_tokens(kernels.score_gradient(table.probabilities, slots, actions, w, out))
        return out

    def truth(
        self, policy: Policy, rollouts: Rollouts, *, gradient: bool = True, weights: ArrayLike | None = None
    ) -> Truth:
        """Exact value, advantages and gradient of the weighted sum of the reward components, for every task.

        value = Σ over t, u, q, v of reach(t, u, q) π(v | p, t, u) score(t, q, v), where reach, the probability of
        getting to position t with last token u in state q, goes forwards from reach(0, end, 0) = 1; the advantage of
        a response is its own reward (no chance is left in it) minus the value.

        Args:
            policy: logits [S, P, T, V, V].
            rollouts: actions [S, P, G, T]; value [S, P] and advantage [S, P, G] are those of its slots.
            gradient: also give the gradient of the mean value over all prompts of the world [S, P, T, V, V].
            weights: weight of each component [K]; ones by default.
        """
        table = self._tables(policy)
        slots, _ = self._checked(policy, rollouts)
        c = np.ones(len(COMPONENTS)) if weights is None else _checked_components(weights)
        worth = self.worth if weights is None else self.payoffs @ c
        values = self._passages(policy, worth)[0]
        value = np.take_along_axis(values, slots, axis=1)
        advantage = self.pay(policy, rollouts) @ c - value[..., None]
        exact = None
        if gradient:
            exact = np.empty(table.logits.shape)
            kernels.exact_gradient(table.probabilities, self.following, worth, self.states, exact)
            exact /= self.prompts
        return Truth(value, advantage, exact)

    def pay(self, policy: Policy, rollouts: Rollouts) -> Floats:
        """Rewards of given responses, as the tasks pay them [S, P, G, K]."""
        slots, actions = self._checked(policy, rollouts)
        out = np.empty((*actions.shape[:3], len(COMPONENTS)))
        self._check_tokens(kernels.pay(self.following, self.payoffs, slots, actions, out))
        return out

    def entropy(self, policy: Policy) -> Floats:
        """−E[log π(y)] of the whole response, averaged over prompts [S], nats."""
        return self._passages(policy, self.worth)[1].mean(-1)

    def kl(self, policy: Policy, other: Policy) -> Floats:
        """E[log(π(y) / π_other(y))] of the whole response, averaged over prompts [S], nats."""
        if np.shape(policy.parameters) != np.shape(other.parameters):
            raise ValueError("kl needs two policies of the same number of seeds")
        return np.maximum(self._passages(policy, self.worth, other)[1].mean(-1) - self.entropy(policy), 0.0)

    def _greedy(self, table: Tables) -> Floats:
        rewards = np.empty((len(table.logits), self.prompts, len(COMPONENTS)))
        kernels.greedy(self.following, self.payoffs, table.logits, rewards)
        return rewards

    def _passages(self, policy: Policy, worth: Floats, scored: Policy | None = None) -> tuple[Floats, Floats]:
        """Expected reward and −E[log π_scored(y)] of every prompt [S, P], tokens from `policy`; None: itself."""
        ours, theirs = self._tables(policy), self._tables(scored or policy)
        machine, out = (self.following, worth, self.states), np.empty((2, policy.seeds.size, self.prompts))
        kernels.passages(ours.probabilities, *machine, theirs.logits, theirs.log_total, *out)
        return out[0], out[1]

    def _tables(self, policy: Policy) -> Tables:
        shape, wanted = np.shape(policy.parameters), (policy.seeds.size, *self.logits.shape)
        if shape != wanted:
            raise ValueError(f"the policy of this language model has logits {wanted}, not {shape}")
        return tables(policy)

    def _checked(self, policy: Policy, rollouts: Rollouts) -> tuple[Ints, Ints]:
        """The prompt of each slot [S, P] and the actions [S, P, G, T], fit for the kernels."""
        actions = np.ascontiguousarray(rollouts.actions, np.int64)
        if actions.ndim != 4 or (actions.shape[0], actions.shape[3]) != (policy.seeds.size, self.length):
            raise ValueError(f"actions must have shape ({policy.seeds.size}, P, G, {self.length}), not {actions.shape}")
        prompt = np.arange(self.prompts) if rollouts.prompt is None else np.asarray(rollouts.prompt)
        if prompt.shape[-1:] != actions.shape[1:2]:
            raise ValueError(f"{actions.shape[1]} slots of actions, {prompt.shape} prompts")
        if not np.all((prompt >= 0) & (prompt < self.prompts)):
            raise ValueError(f"rollouts.prompt must lie in 0..{self.prompts - 1}")
        return np.ascontiguousarray(np.broadcast_to(prompt, actions.shape[:2]), np.int64), actions

    def _check_tokens(self, valid: bool) -> None:
        if not valid:
            raise ValueError(f"actions must lie in 0..{self.vocabulary - 1}")


def warm() -> None:
    """Compile every kernel of the language model, or load it from the disk cache."""
    world = ToyLM("length", prompts=1, vocabulary=2, length=1)
    policy = world.init([0])
    rollouts = world.rollout(policy, 2, 0, fields=("greedy_rewards",))
    world.gradient(policy, rollouts, world.log_prob(policy, rollouts))
    world.truth(policy, rollouts)
    world.kl(policy, policy)
    warm_stride(world.stride(policy, 2, 0))


def _machines(tasks: Any, prompts: int, vocabulary: int, length: int, seed: int) -> list[Machine]:
    """The machine of each task, its share of the prompts made."""
    given = list(tasks) if isinstance(tasks, Sequence) and not isinstance(tasks, str) else [tasks]
    sizes = {"vocabulary": (vocabulary, 2), "length": (length, 1), "prompts": (prompts, max(1, len(given)))}
    for name, (value, least) in sizes.items():
        check_count(name, value, least=least)
    if not given or length >= _MOST_DRAWS:
        raise ValueError(f"one task or more, and a length below {_MOST_DRAWS}; not {given!r} and {length}")
    check_room(prompts * length * vocabulary * (vocabulary + 4), prompts=prompts, length=length, vocabulary=vocabulary)
    shares = [len(part) for part in np.array_split(np.arange(prompts), len(given))]
    machines = [_made(t, n, vocabulary, length, seed) for t, n in zip(given, shares, strict=True)]
    found = {m.following.shape[1::2] for m in machines}
    if len(found) > 1:
        raise ValueError(f"tasks must have one length and vocabulary, not {sorted(found)}")
    return machines


def _made(task: str | Machine, prompts: int, vocabulary: int, length: int, seed: int) -> Machine:
    if isinstance(task, Machine):
        return task
    return one_of("task", task, TASKS)(prompts, vocabulary, length, check_count("seed", seed, least=0))


def _padded(tables_of: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Tables [P, T, Q, V, ...] of several tasks behind one another, with zeros up to the largest Q."""
    most = max(table.shape[2] for table in tables_of)
    wider = []
    for table in tables_of:
        widths = [(0, 0)] * table.ndim
        widths[2] = (0, most - table.shape[2])
        wider.append(np.pad(table, widths))
    return np.ascontiguousarray(np.concatenate(wider))


def _checked_components(weights: ArrayLike) -> Floats:
    c = np.asarray(weights, np.float64)
    if c.shape != (len(COMPONENTS),) or not np.isfinite(c).all():
        raise ValueError(f"weights must be {len(COMPONENTS)} finite numbers, one per component")
    return c
