"""Imitation: a policy is to become like another one of which it only sees samples, one for each group of a step.

Policy and target are tables of bigrams, see `simulators.bigrams.tables`. Every run starts at a table of its own and has
a target of its own; all P groups of a step are drawn from the one policy, each with one fresh trajectory of the
target, its reference. The reward compares a rollout with the reference of its group. What is meant is the target
itself: gold is minus the distance between the frequencies of pairs of neighbours, exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulators.bigrams.fitters import FITTERS, Fitter
from simulators.bigrams.tables import draw_tables, features, frequencies, marginals, pool, sample, softmax, width
from simulators.errors import check_count, check_room, one_of
from simulators.random import uniforms
from simulators.records import Floats, Ints, Policy, Rollouts, World
from simulators.runs import asked, seeded

__all__ = ["Bigrams"]

_START, _TARGET = 62_000, 63_000
_REFERENCE = 1 << 20  # rollout of the draws of a group's reference


class Bigrams(World):
    """A table of bigrams that is rewarded for being like a reference.

    Args:
        prompts: Groups in a step P.
        vocabulary: Symbols V.
        length: Symbols of a trajectory T.
        sharpness: Deviation of the logits of starts, targets and the pool.
        reward_model: "token-match", the share of places at which rollout and reference have the same symbol; another
            name of `simulators.bigrams.fitters.FITTERS`; or a function (pool, seeds) -> model of its kind.
        policies: Size of the pool that a reward model may learn from; no run's start or target is in it.
        seed: Of the pool and the reward model.

    Raises:
        ValueError: Sizes that are too small, or no such reward model.

    Source: POLAR card, lab form.
    """

    name = "bigrams"
    provides: tuple[str, ...] = ("response", "reference_response")
    components: tuple[str, ...] = ("likeness",)

    def __init__(
        self, prompts: int = 8, *, vocabulary: int = 6, length: int = 16, sharpness: float = 1.2,
        reward_model: str | Fitter = "token-match", policies: int = 200, seed: int = 0,
    ) -> None:  # fmt: skip
        self.prompts, self.seed = check_count("prompts", prompts, least=1), check_count("seed", seed, least=0)
        wide = check_count("vocabulary", vocabulary, least=2)
        check_room(2 * policies * (wide + 1) * wide, policies=policies, vocabulary=wide)
        self.pool = pool(policies, vocabulary=wide, sharpness=sharpness, length=length, seeds=seed)
        self.vocabulary, self.length, self.sharpness = wide, length, float(sharpness)
        self.label = reward_model if isinstance(reward_model, str) else getattr(reward_model, "__name__", "own")
        self._fit = one_of("reward model", reward_model, FITTERS) if isinstance(reward_model, str) else reward_model

    def __repr__(self) -> str:
        sizes = f"prompts={self.prompts}, vocabulary={self.vocabulary}, length={self.length}"
        return f"Bigrams({sizes}, reward_model={self.label})"

    @cached_property
    def model(self) -> Any:
        """The fitted reward model; None where tokens are matched."""
        return None if self._fit is None else self._fit(self.pool, [self.seed])

    def init(self, seeds: Sequence[int] | NDArray[Any]) -> Policy:
        """Logits [S, V + 1, V] of S seeds, each run with a random table of its own; the reward model is fitted here."""
        keys = seeded(seeds)
        check_room(keys.size * self.pool.logits[0, 0].size, runs=keys.size)
        self.model  # noqa: B018  # a step should not wait for it
        return Policy(self._tables(keys, _START), keys)

    def target(self, policy: Policy) -> Floats:
        """Logits of the target of each run [S, V + 1, V]."""
        if "target" not in policy.memo:
            policy.memo["target"] = self._tables(policy.seeds, _TARGET)
        found: Floats = policy.memo["target"]
        return found

    def _tables(self, seeds: NDArray[np.uint64], which: int) -> Floats:
        rng = (np.random.default_rng((int(s), which)) for s in seeds)
        return np.concatenate([draw_tables(1, self.vocabulary, self.sharpness, r) for r in rng])

    def rollout(
        self, policy: Policy, group_size: int, step: int, *, attempt: int = 0, fields: Sequence[str] = ()
    ) -> Rollouts:
        """Sample G trajectories for each of P references: rewards [S, P, G, 1], actions and logp [S, P, G, T].

        Args:
            policy: Tables of the runs.
            group_size: G.
            step: This and `attempt` tell the draws.
            attempt: Number of the draw, for a step that samples again.
            fields: "response", features of each trajectory [S, P, G, V + V²]; "reference_response", of each
                reference [S, P, V + V²].
        """
        wide = width(self.vocabulary)
        groups, step, attempt = asked(self, policy, group_size, step, attempt, fields, each=4 * self.length + 2 * wide)
        slots, members = np.arange(self.prompts)[:, None, None], np.append(np.arange(groups), _REFERENCE)[:, None]
        u = uniforms(policy.seeds[:, None, None, None], step=step, attempt=attempt, prompt=slots, rollout=members,
                     draw=np.arange(self.length))  # fmt: skip
        actions = sample(policy.parameters[:, None, None], u[:, :, :-1])
        shown = sample(self.target(policy)[:, None], u[:, :, -1])
        extra = {}
        if fields or self._fit is not None:
            extra = {
                "response": features(actions, self.vocabulary),
                "reference_response": features(shown, self.vocabulary),
            }
        rewards = self._rewards(actions, shown, extra)[..., None]
        asked_for = {name: extra[name] for name in self.provides if name in fields}
        return Rollouts(rewards, actions, self._logp(policy, actions), extra=asked_for)

    def _rewards(self, actions: Ints, shown: Ints, seen: dict[str, Floats]) -> Floats:
        if self.model is None:
            return np.asarray((actions == shown[:, :, None]).mean(-1))
        context = {"reference_response": seen["reference_response"][None]}
        return np.asarray(self.model(seen["response"][None], context)[0])

    def log_prob(self, policy: Policy, rollouts: Rollouts) -> Floats:
        """Log-probability of each symbol after the one before it [S, P, G, T], nats."""
        return self._logp(policy, self._checked(rollouts))

    def _checked(self, rollouts: Rollouts) -> Ints:
        actions = np.asarray(rollouts.actions)
        if not ((actions >= 0) & (actions < self.vocabulary)).all():
            raise ValueError(f"actions must lie in 0..{self.vocabulary - 1}")
        return actions

    def _rows(self, actions: Ints) -> tuple[Ints, Ints]:
        """Run and symbol before each symbol, broadcast to [S, P, G, T]."""
        before = np.concatenate([np.full_like(actions[..., :1], self.vocabulary), actions[..., :-1]], -1)
        return np.arange(len(actions))[:, None, None, None], before

    def _logp(self, policy: Policy, actions: Ints) -> Floats:
        return np.asarray(np.log(softmax(policy.parameters))[(*self._rows(actions), actions)])

    def gradient(self, policy: Policy, rollouts: Rollouts, weights: ArrayLike) -> Floats:
        """Σ w ∇log π [S, V + 1, V]: of each row Σ w (1[symbol] − π), the weights [S, P, G, T]."""
        actions, shape = self._checked(rollouts), policy.parameters.shape
        run, before = self._rows(actions)
        place = (run * shape[1] + before) * shape[2] + actions
        each = np.broadcast_to(weights, actions.shape).ravel()
        pulled = np.bincount(place.ravel(), each, minlength=policy.parameters.size).reshape(shape)
        return np.asarray(pulled - pulled.sum(-1, keepdims=True) * softmax(policy.parameters))

    def entropy(self, policy: Policy) -> Floats:
        """Entropy of a trajectory [S], nats, exact."""
        chances = softmax(policy.parameters)
        return self._passed(policy, -(chances * np.log(chances)).sum(-1))

    def kl(self, policy: Policy, other: Policy) -> Floats:
        """KL(policy ‖ other) of a trajectory [S], nats, exact."""
        ours, theirs = softmax(policy.parameters), softmax(other.parameters)
        return self._passed(policy, (ours * (np.log(ours) - np.log(theirs))).sum(-1))

    def _passed(self, policy: Policy, rows: Floats) -> Floats:
        """Σ_t E[row of the symbol before] [S], of numbers of each row [S, V + 1]."""
        before = marginals(policy.parameters, self.length)[:, :-1].sum(1)
        return np.asarray(rows[:, -1] + (before * rows[:, :-1]).sum(-1))

    def gold(self, policy: Policy) -> Floats:
        """Minus the total variation of the frequencies of pairs from the target's [S], exact; 0 is the target."""
        apart = [frequencies(table, self.length) for table in (policy.parameters, self.target(policy))]
        return np.asarray(-0.5 * np.abs(apart[0] - apart[1]).sum((-1, -2)))
