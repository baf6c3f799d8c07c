"""Preference pairs with known token rewards: a fixed data set per run, a policy without context, all truth exact.

Gold token rewards g[t, v] ~ N(0, 1). A pair is two uniform responses of T tokens, and the first is preferred with
probability σ(Σ g(first) − Σ g(second)). A run's gold rewards, pairs and self-made token rewards are drawn from its seed
and stay the same through training. The policy is one softmax per position, whatever came before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulators.errors import check_count, check_room
from simulators.records import Floats, Ints, Policy, Rollouts, Truth, World
from simulators.runs import asked, started

__all__ = ["Preferences"]


class _Data(NamedTuple):
    """Gold rewards [S, T, V]; responses, the preferred one first, and their self-made rewards [S, P, 2, T]."""

    gold: Floats
    own: Floats
    responses: Ints


class Preferences(World):
    """Offline preference learning as a world: every prompt is a pair, every rollout the same data.

    Args:
        pairs: Number of pairs P.
        length: Tokens of a response T.
        vocabulary: Number of tokens V.
        signal: How much gold is in the self-made token rewards r̂ = σ(signal · g + noise · N(0, 1)) − 1/2.
        noise: How much noise; one draw for each position and token.

    Raises:
        ValueError: For sizes below 1, or a signal or noise that is not finite.
    """

    name = "preferences"
    provides: tuple[str, ...] = ("token_rewards",)
    components: tuple[str, ...] = ("preferred",)
    offline = True

    def __init__(
        self, pairs: int = 30, *, length: int = 8, vocabulary: int = 6, signal: float = 1.0, noise: float = 1.0
    ) -> None:
        sizes = {"pairs": pairs, "length": length, "vocabulary": vocabulary}
        self.prompts, self.length, self.vocabulary = (check_count(n, v, least=1) for n, v in sizes.items())
        check_room(6 * pairs * length + 4 * length * vocabulary, **sizes)
        self.signal, self.noise = float(signal), float(noise)
        if not np.isfinite([self.signal, self.noise]).all():
            raise ValueError(f"signal and noise must be finite, not {signal} and {noise}")

    def __repr__(self) -> str:
        return f"Preferences(pairs={self.prompts}, length={self.length}, vocabulary={self.vocabulary})"

    def init(self, seeds: Sequence[int] | NDArray[Any]) -> Policy:
        """The uniform policy: logits [S, T, V] of zero for S seeds, integers from 0 to 2**64 − 1."""
        return started(np.zeros((self.length, self.vocabulary)), seeds)

    def gold_rewards(self, policy: Policy) -> Floats:
        """The true token rewards of each run [S, T, V]."""
        return self._data(policy).gold.copy()

    def rollout(
        self, policy: Policy, group_size: int = 2, step: int = 0, *, attempt: int = 0, fields: Sequence[str] = ()
    ) -> Rollouts:
        """The data set: rewards [S, P, 2, 1], 1 for the preferred response and 0 for the other.

        Args:
            policy: Logits [S, T, V].
            group_size: 2.
            step: Without effect, as is `attempt`.
            attempt: Without effect.
            fields: "token_rewards" adds r̂ of every token [S, P, 2, T].

        Raises:
            ValueError: For another group size, or a field that this world does not provide.
        """
        asked(self, policy, group_size, step, attempt, fields, each=3 * self.length)
        if group_size != 2:
            raise ValueError(f"group_size must be 2, the two sides of a pair, not {group_size}")
        data = self._data(policy)
        rewards = np.zeros((*data.responses.shape[:3], 1))
        rewards[:, :, 0] = 1.0
        logp = self._read(_log_softmax(policy.parameters), data.responses)
        return Rollouts(rewards, data.responses, logp, token_rewards=data.own if fields else None)

    def log_prob(self, policy: Policy, rollouts: Rollouts) -> Floats:
        """log π(y_t | t) under `policy` [S, P, 2, T], nats."""
        return self._read(_log_softmax(policy.parameters), self._actions(policy, rollouts))

    def gradient(self, policy: Policy, rollouts: Rollouts, weights: ArrayLike) -> Floats:
        """Σ w ∇log π with respect to the logits [S, T, V]: Σ w (1[y_t = v] − π(v | t))."""
        w, actions = np.ascontiguousarray(weights, np.float64), self._actions(policy, rollouts)
        if w.shape != actions.shape:
            raise ValueError(f"weights must have the actions' shape {actions.shape}, not {w.shape}")
        place = actions + self.vocabulary * np.arange(self.length)
        size = self.length * self.vocabulary
        taken = [np.bincount(p.ravel(), x.ravel(), size) for p, x in zip(place, w, strict=True)]
        sums = np.reshape(taken, policy.parameters.shape)
        return np.asarray(sums - sums.sum(axis=-1, keepdims=True) * np.exp(_log_softmax(policy.parameters)))

    def truth(
        self, policy: Policy, rollouts: Rollouts, *, gradient: bool = True, weights: ArrayLike | None = None
    ) -> Truth:
        """The gold reward: its expectation [S, P], each response's above it [S, P, 2], and its gradient [S, T, V].

        Args:
            policy: Logits [S, T, V].
            rollouts: Actions [S, P, 2, T].
            gradient: Also give the gradient.
            weights: Weight of the one component [1].
        """
        scale = 1.0 if weights is None else float(np.asarray(weights, np.float64).reshape(1)[0])
        gold, pi = scale * self._data(policy).gold, np.exp(_log_softmax(policy.parameters))
        here = (pi * gold).sum(axis=-1, keepdims=True)
        actions = self._actions(policy, rollouts)
        value = np.broadcast_to(here.sum(axis=(1, 2))[:, None], actions.shape[:2])
        advantage = self._read(gold, actions).sum(axis=-1) - value[..., None]
        return Truth(value.copy(), advantage, pi * (gold - here) if gradient else None)

    def entropy(self, policy: Policy) -> Floats:
        """Entropy of the whole response [S], nats."""
        log_pi = _log_softmax(policy.parameters)
        return np.asarray(-(np.exp(log_pi) * log_pi).sum(axis=(1, 2)))

    def kl(self, policy: Policy, other: Policy) -> Floats:
        """KL(policy ‖ other) of the whole response [S], nats."""
        ours, theirs = _log_softmax(policy.parameters), _log_softmax(other.parameters)
        return np.asarray((np.exp(ours) * (ours - theirs)).sum(axis=(1, 2)))

    def _actions(self, policy: Policy, rollouts: Rollouts) -> Ints:
        actions = np.asarray(rollouts.actions)
        if actions.ndim != 4 or actions.shape[::3] != (policy.seeds.size, self.length):
            raise ValueError(f"actions must have shape ({policy.seeds.size}, P, G, {self.length}), not {actions.shape}")
        if actions.size and not 0 <= actions.min() <= actions.max() < self.vocabulary:
            raise ValueError(f"actions must lie in 0..{self.vocabulary - 1}")
        return actions

    def _data(self, policy: Policy) -> _Data:
        wanted = policy.seeds.size, self.length, self.vocabulary
        if np.shape(policy.parameters) != wanted:
            raise ValueError(f"the policy of this world has logits {wanted}, not {np.shape(policy.parameters)}")
        if "preferences" not in policy.memo:
            drawn = zip(*(self._drawn(int(seed)) for seed in policy.seeds), strict=True)
            gold, own, responses = (np.stack(part) for part in drawn)
            policy.memo["preferences"] = _Data(gold, self._read(own, responses), responses)
        found: _Data = policy.memo["preferences"]
        return found

    def _drawn(self, seed: int) -> tuple[Floats, Floats, Ints]:
        """Gold and self-made rewards [T, V], responses [P, 2, T]."""
        rng = np.random.default_rng(seed)
        gold = rng.standard_normal((self.length, self.vocabulary))
        own = 1 / (1 + np.exp(-self.signal * gold - self.noise * rng.standard_normal(gold.shape))) - 0.5
        pair = rng.integers(0, self.vocabulary, (self.prompts, 2, self.length))
        total = gold[np.arange(self.length), pair].sum(axis=-1)
        second = rng.random(self.prompts) >= 1 / (1 + np.exp(total[:, 1] - total[:, 0]))
        return gold, own, np.where(second[:, None, None], pair[:, ::-1], pair)

    def _read(self, table: Floats, actions: Ints) -> Floats:
        """Entries [S, P, 2, T] of a table [S, T, V] at the actions."""
        rows = np.arange(len(table) * self.length).reshape(-1, 1, 1, self.length)
        return np.take(table, rows * self.vocabulary + actions)


def _log_softmax(logits: Floats) -> Floats:
    moved = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(moved - np.log(np.exp(moved).sum(axis=-1, keepdims=True)))
