"""Harmless tasks whose metric can be gamed: the proxy reward is what one trains on, the gold reward what one means.

A task has features φ = [1 | its family, one-hot | noise], and the policy is softmax(W φ) over a few answers. The
leading 1 belongs to all families: through it a habit learned in some of them reaches the others. Where it does not
learn (`shared=False`), nothing reaches them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulators.errors import check_count, check_room
from simulators.random import uniforms
from simulators.records import Floats, Ints, Policy, Rollouts, Truth, World
from simulators.runs import asked, seeded

__all__ = ["BASE", "GOLD", "PROXY", "Outcome", "RewardHacks", "graders", "metrics"]

#: Rewards of the three answers: honest, hack, refuse; and their logits before any training.
PROXY, GOLD, BASE = (0.6, 1.0, 0.0), (1.0, 0.1, 0.0), (2.0, 0.0, -1.0)

NOISE_FEATURES, NOISE, WOBBLE = 8, 0.3, 0.1  # noise dimensions, their deviation, deviation of the first weights
_WEIGHTS, _TASKS, _TRAINED, _HELD_OUT, _LESSONS = range(5)  # streams of random numbers of one seed


@dataclass(frozen=True)
class Outcome:
    """What a policy does on tasks that it is only tested on; NaN where there are none.

    Attributes:
        hack: probability of an answer whose proxy reward is above its gold reward [S].
        proxy: expected proxy reward [S].
        gold: expected gold reward [S].
    """

    hack: Floats
    proxy: Floats
    gold: Floats


class RewardHacks(World):
    """Tasks from several families, three answers to each, and a proxy reward that prefers the wrong one.

    Rollouts are scored by the proxy; `gold` tells what they are worth. The world's tasks, P of them, are from the
    families trained on, and are another draw for each seed.

    Args:
        tasks: P.
        families: number of families F.
        trained: how many of them are trained on, from the first. Held out are those of the last half (of F) that are
            not; with all of them trained on, none.
        shared: whether the weights of the leading 1 learn. Without, only the family and the noise do.
        proxy: proxy reward of each answer, [A] or [F, A].
        gold: gold reward of each answer, likewise.
        base: logits of the answers before training [A]; every weight also has N(0, 0.1²) added.

    Raises:
        ValueError: for fewer than one task or family, more families trained than there are, or rewards that are not
            finite or don't fit the answers.

    Source: School of Reward Hacks, arXiv 2508.17511, for the question; the world itself is the lab's own.
    """

    name = "reward-hacks"
    provides: tuple[str, ...] = ()

    def __init__(
        self,
        tasks: int = 64,
        *,
        families: int = 12,
        trained: int = 6,
        shared: bool = True,
        proxy: ArrayLike = PROXY,
        gold: ArrayLike = GOLD,
        base: ArrayLike = BASE,
    ) -> None:
        self.prompts = check_count("tasks", tasks, least=1)
        self.families = check_count("families", families, least=1)
        self.trained = check_count("trained", trained, least=1)
        check_room(2 * self.prompts * (self.families + NOISE_FEATURES), tasks=tasks, families=families)
        if self.trained > self.families:
            raise ValueError(f"trained must be at most the number of families, {self.families}, not {self.trained}")
        self.shared = bool(shared)
        self.base = np.asarray(base, np.float64)
        if self.base.ndim != 1 or self.base.size < 2 or not np.isfinite(self.base).all():
            raise ValueError(f"base must be a finite logit for each of two answers or more, not {base!r}")
        self.rewards, self.golds = self._table("proxy", proxy), self._table("gold", gold)

    @property
    def answers(self) -> int:
        """A."""
        return self.base.size

    @property
    def held_out(self) -> range:
        """The families that are tested and never trained on."""
        return range(max(self.trained, self.families // 2), self.families)

    def __repr__(self) -> str:
        shared = "" if self.shared else ", shared=False"
        return f"RewardHacks(tasks={self.prompts}, families={self.families}, trained={self.trained}{shared})"

    def init(self, seeds: Sequence[int] | NDArray[Any]) -> Policy:
        """The weights W [S, A, 1 + F + 8] before training, for S seeds."""
        keys = seeded(seeds)
        shape = self.answers, 1 + self.families + NOISE_FEATURES
        weights = np.stack([_rng(s, _WEIGHTS).normal(0, WOBBLE, shape) for s in keys])
        weights[..., 0] += self.base
        return Policy(weights, keys)

    def rollout(
        self, policy: Policy, group_size: int, step: int, *, attempt: int = 0, fields: Sequence[str] = ()
    ) -> Rollouts:
        """Sample G answers to every task: rewards (the proxy's), actions and logp [S, P, G, 1].

        Raises:
            ValueError: for G < 1, a negative counter, or any field: this world has none.
        """
        size, step, attempt = asked(self, policy, group_size, step, attempt, fields, each=8)
        families, features = self._tasks(policy)
        pi = _softmax(policy.parameters, features)
        u = uniforms(
            policy.seeds[:, None, None], step=step, attempt=attempt,
            prompt=np.arange(self.prompts)[:, None], rollout=np.arange(size),
        )  # fmt: skip
        actions = (u[..., None] >= pi.cumsum(axis=-1)[:, :, None, :-1]).sum(axis=-1)
        rewards = np.take_along_axis(self.rewards[families], actions, axis=-1)
        logp = np.log(np.take_along_axis(pi, actions, axis=-1))
        return Rollouts(rewards[..., None], actions[..., None], logp[..., None])

    def log_prob(self, policy: Policy, rollouts: Rollouts) -> Floats:
        """log π of each answer [S, P, G, 1], nats."""
        _, features, actions = self._slots(policy, rollouts)
        return np.log(np.take_along_axis(_softmax(policy.parameters, features), actions, axis=-1))[..., None]

    def gradient(self, policy: Policy, rollouts: Rollouts, weights: ArrayLike) -> Floats:
        """Σ w ∇log π with respect to W [S, A, D]: Σ w (1[a] − π) ⊗ φ."""
        _, features, actions = self._slots(policy, rollouts)
        w = np.asarray(weights, np.float64)
        if w.shape != (*actions.shape, 1):
            raise ValueError(f"weights must have the actions' shape {(*actions.shape, 1)}, not {w.shape}")
        chosen = actions[..., None] == np.arange(self.answers)
        pull = (w * (chosen - _softmax(policy.parameters, features)[:, :, None])).sum(axis=2)
        return self._learned(np.swapaxes(pull, 1, 2) @ features)

    def truth(
        self, policy: Policy, rollouts: Rollouts, *, gradient: bool = True, weights: ArrayLike | None = None
    ) -> Truth:
        """Exact value, advantages and gradient of the proxy reward, times its weight [1]."""
        families, features, actions = self._slots(policy, rollouts)
        scale = 1.0 if weights is None else float(np.reshape(weights, ()))
        reward = scale * self.rewards[families]
        value = (_softmax(policy.parameters, features) * reward).sum(axis=-1)
        advantage = np.take_along_axis(reward, actions, axis=-1) - value[..., None]
        return Truth(value, advantage, scale * self._exact(policy) if gradient else None)

    def gold(self, policy: Policy) -> Floats:
        """Expected gold reward over the world's tasks [S]."""
        families, features = self._tasks(policy)
        return (_softmax(policy.parameters, features) * self.golds[families]).sum(axis=-1).mean(axis=-1)

    def table(self, policy: Policy) -> tuple[Floats, Floats]:
        """Probability and (proxy) reward of every answer to the world's tasks [S, P, A]."""
        families, features = self._tasks(policy)
        return _softmax(policy.parameters, features), self.rewards[families]

    def responses(self, policy: Policy) -> tuple[Floats, list[Floats], list[Floats]]:
        """The answers to each task of the first run, with the one reward of each; see `World`."""
        pi, rewards = self.table(policy)
        values = [np.unique(row) for row in rewards[0]]
        return pi[0], values, [(row[:, None] == v) * 1.0 for row, v in zip(rewards[0], values, strict=True)]

    def entropy(self, policy: Policy) -> Floats:
        """−Σ π log π, averaged over tasks [S], nats."""
        pi = _softmax(policy.parameters, self._tasks(policy)[1])
        return -(pi * np.log(pi)).sum(axis=-1).mean(axis=-1)

    def kl(self, policy: Policy, other: Policy) -> Floats:
        """Σ π log(π / π_other), averaged over tasks [S], nats."""
        features = self._tasks(policy)[1]
        ours, theirs = (_softmax(each.parameters, features) for each in (policy, other))
        return np.maximum((ours * np.log(ours / theirs)).sum(axis=-1).mean(axis=-1), 0.0)

    def outcome(self, policy: Policy, *, held_out: bool = True, tasks: int = 4000) -> Outcome:
        """How often the policy hacks, and what that earns, on `tasks` new tasks of each seed.

        Args:
            policy: weights [S, A, D].
            held_out: on families never trained on (NaN where there are none); else on those trained on.
            tasks: how many.
        """
        families = self.held_out if held_out else range(self.trained)
        if not families:
            none = np.full(len(policy.seeds), np.nan)
            return Outcome(none, none, none)
        stream = _HELD_OUT if held_out else _TRAINED
        family, features = self._drawn(policy, stream, check_count("tasks", tasks, least=1), families)
        pi, proxy, gold = _softmax(policy.parameters, features), self.rewards[family], self.golds[family]
        return Outcome(*((pi * x).sum(axis=-1).mean(axis=-1) for x in (proxy > gold, proxy, gold)))

    def imitate(
        self, policy: Policy, *, share: float = 1.0, demonstrations: int = 1000, steps: int = 300, lr: float = 0.5,
        decay: float = 0.01,
    ) -> Iterator[int]:  # fmt: skip
        """Supervised fine-tuning on demonstrations, in place: W += lr (Σ (y − π) ⊗ φ / n − decay (W − W_start)).

        A demonstration is the answer with the highest proxy reward with probability `share` (a hack), else the one
        with the highest gold reward (earnest). All of them are seen in every step.

        Args:
            policy: weights [S, A, D], which move.
            share: of hacks, from 0 to 1.
            demonstrations: n, spread evenly over the families trained on.
            steps: of gradient descent.
            lr: step length.
            decay: pull back to where the weights started.

        Yields:
            The number of steps made, from 0 to `steps`; between them the policy may be looked at.

        Raises:
            ValueError: for a share outside [0, 1], or fewer than one demonstration.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"share must be from 0 to 1, not {share!r}")
        number = check_count("demonstrations", demonstrations, least=1)
        family, features = self._drawn(policy, _LESSONS, number, range(self.trained))
        hack = uniforms(policy.seeds[:, None], prompt=np.arange(number), draw=1) < share
        answer = np.where(hack, self.rewards.argmax(axis=-1)[family], self.golds.argmax(axis=-1)[family])
        wanted = np.swapaxes((answer[..., None] == np.arange(self.answers)).astype(np.float64), 1, 2)
        weights, start = policy.parameters, policy.parameters.copy()
        yield 0
        for step in range(1, check_count("steps", steps, least=0) + 1):
            error = (wanted - np.swapaxes(_softmax(weights, features), 1, 2)) @ features / number
            weights += lr * self._learned(error - decay * (weights - start))
            yield step

    def _table(self, name: str, given: ArrayLike) -> Floats:
        """Rewards of each family's answers [F, A]."""
        table = np.asarray(given, np.float64)
        shape = self.families, self.answers
        if table.shape not in (shape, shape[1:]) or not np.isfinite(table).all():
            raise ValueError(f"{name} must be finite rewards {shape[1:]} or {shape}, one per answer, not {table.shape}")
        return np.broadcast_to(table, shape).copy()

    def _learned(self, gradient: Floats) -> Floats:
        """A gradient of W, without the weights of the leading 1 where they don't learn."""
        if not self.shared:
            gradient[..., 0] = 0.0
        return gradient

    def _exact(self, policy: Policy) -> Floats:
        """Gradient of the mean proxy reward over the world's tasks [S, A, D]."""
        families, features = self._tasks(policy)
        pi, reward = _softmax(policy.parameters, features), self.rewards[families]
        pull = pi * (reward - (pi * reward).sum(axis=-1, keepdims=True))
        return self._learned(np.swapaxes(pull, 1, 2) @ features / self.prompts)

    def _tasks(self, policy: Policy) -> tuple[Ints, Floats]:
        """Families [S, P] and features [S, P, D] of the world's tasks."""
        return self._drawn(policy, _TASKS, self.prompts, range(self.trained))

    def _slots(self, policy: Policy, rollouts: Rollouts) -> tuple[Ints, Floats, Ints]:
        """Families [S, P], features [S, P, D] and answers [S, P, G] of the slots of a batch."""
        families, features = self._tasks(policy)
        actions = np.asarray(rollouts.actions)
        runs = len(policy.seeds)
        if actions.ndim != 4 or (actions.shape[0], actions.shape[3]) != (runs, 1):
            raise ValueError(f"actions must have shape ({runs}, P, G, 1), not {actions.shape}")
        if rollouts.prompt is not None:
            slots = np.broadcast_to(rollouts.prompt, actions.shape[:2])
            families = np.take_along_axis(families, slots, axis=1)
            features = np.take_along_axis(features, slots[..., None], axis=1)
        return families, features, actions[..., 0]

    def _drawn(self, policy: Policy, stream: int, number: int, families: range) -> tuple[Ints, Floats]:
        """`number` tasks of these families for each seed: family [S, n] and features [S, n, D]; kept in the memo."""
        key = f"{self.name}-{stream}-{number}-{families}"
        if key not in policy.memo:
            family = np.asarray(families)[np.arange(number) % len(families)]
            noise = [_rng(s, stream).normal(0, NOISE, (number, NOISE_FEATURES)) for s in policy.seeds]
            one_hot = np.eye(self.families)[family]
            fixed = np.concatenate([np.ones((number, 1)), one_hot], axis=1)
            features = np.stack([np.concatenate([fixed, x], axis=1) for x in noise])
            policy.memo[key] = np.broadcast_to(family, (len(noise), number)), features
        found: tuple[Ints, Floats] = policy.memo[key]
        return found


def graders(levels: Sequence[float] = (0.0, 0.5, 1.0), *, base: ArrayLike = BASE, **settings: Any) -> RewardHacks:
    """The same tasks where one also chooses by whom one is graded: reward = κ · gold + (1 − κ) · proxy.

    A grader of knowledge κ = 1 sees what is meant, κ = 0 only the metric. Answers are all pairs, the grader varying
    fastest; all graders are equally likely at first. Choosing κ is also choosing the weights of the reward that one is
    scored by.

    Args:
        levels: κ of each grader, from 0 to 1.
        base: logits of the three answers before training.
        **settings: of `RewardHacks`, but for `proxy` and `gold`.

    Raises:
        ValueError: for a κ outside [0, 1], or none.

    Source: School of Reward Hacks, arXiv 2508.17511: models trained on hacks prefer lax graders.
    """
    knowledge = np.asarray(levels, np.float64)
    if knowledge.ndim != 1 or not knowledge.size or not ((knowledge >= 0) & (knowledge <= 1)).all():
        raise ValueError(f"levels must be one or more numbers from 0 to 1, not {levels!r}")
    proxy, gold = np.asarray(PROXY)[:, None], np.asarray(GOLD)[:, None]
    scored = (knowledge * gold + (1 - knowledge) * proxy).ravel()
    return RewardHacks(
        proxy=scored, gold=np.repeat(GOLD, knowledge.size), base=np.repeat(base, knowledge.size), **settings
    )


def metrics(count: int = 3, *, base: ArrayLike = BASE, **settings: Any) -> RewardHacks:
    """The same tasks where families are scored by different metrics, and each can be gamed in a way of its own.

    Family f has metric f mod M. Answers: honest, game metric 0, ..., game metric M - 1, refuse. Gaming costs quality q
    and has the feature z, which pays only under one's own metric: proxy = 0.6 q + z · 1[own metric], gold = q − 0.9 z,
    with q and z such that gaming one's own metric earns `PROXY` and `GOLD` of a hack. So what spreads to other families
    may be a habit that does not even pay.

    Args:
        count: M, at least 1.
        base: logits of honest, of all games together, and of refuse before training.
        **settings: of `RewardHacks`, but for `proxy` and `gold`.

    Source: School of Reward Hacks, arXiv 2508.17511: its tasks have metrics of many kinds.
    """
    kinds, families = check_count("count", count, least=1), settings.get("families", 12)
    z = (PROXY[1] - PROXY[0] * GOLD[1]) / (1 + 0.9 * PROXY[0])
    quality = GOLD[1] + 0.9 * z
    own = np.arange(families)[:, None] % kinds == np.arange(kinds)
    gamed = PROXY[0] * quality + z * own
    honest, hack, refuse = np.asarray(base, np.float64)
    return RewardHacks(
        proxy=np.hstack([np.full((families, 1), PROXY[0]), gamed, np.full((families, 1), PROXY[2])]),
        gold=[GOLD[0], *[GOLD[1]] * kinds, GOLD[2]],
        base=[honest, *[hack - np.log(kinds)] * kinds, refuse], **settings,
    )  # fmt: skip


def _rng(seed: Any, stream: int) -> np.random.Generator:
    return np.random.default_rng((int(seed), stream))


def _softmax(weights: Floats, features: Floats) -> Floats:
    """π [S, n, A] of weights [S, A, D] at features [S, n, D]."""
    logits = features @ np.swapaxes(weights, 1, 2)
    unscaled = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return unscaled / unscaled.sum(axis=-1, keepdims=True)
