"""A toy language model with a hidden state: logits = W h + b, only the unembedding W is trained.

The tasks, the sampling and the exact truth are those of `simulators.toy_lm`; its table of logits is made here from a
hidden state h(p, t, u) of D numbers for each context (prompt, position, previous token): logits[p, t, u] = W h(p, t, u)
+ b(p, t, u). What one context learns moves every other one whose hidden state is not orthogonal to it.
∂/∂W = Σ over contexts of (∂/∂logits) hᵀ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulators.errors import check_count, check_room
from simulators.hidden_lm import kernels
from simulators.records import Floats, Policy, Rollouts, Truth, World
from simulators.runs import asked, seeded
from simulators.softmax import Tables, tables
from simulators.toy_lm.tasks import Machine
from simulators.toy_lm.world import ToyLM

__all__ = ["HiddenLM", "warm"]


class HiddenLM(World):
    """A low-rank language model on the tasks of `ToyLM`.

    Args:
        tasks: As in `ToyLM`.
        prompts: Number of prompts P.
        vocabulary: Number of tokens V, the end token included.
        length: Most tokens of a response T, the end token included.
        width: Size of the hidden state D.
        shared: How much of a hidden state is common to all prompts: h = own + shared · common, both N(0, 1/D) for each
            position and previous token.
        spread: Standard deviation of the initial W; each run draws its own.
        logits: b, fixed logits, broadcast to [P, T, V, V]; -1000 makes a token impossible.
        features: h, broadcast to [P, T, V, D] (its last axis is D), in place of width and shared.
        seed: Draws the questions and the hidden states.

    Attributes:
        features: h [P, T, V, D].
        table: The tabular model that samples and knows the truth.

    Raises:
        ValueError: As `ToyLM`, and for a width below 1, or numbers that are not finite or do not fit.
    """

    name = "hidden-lm"
    provides: tuple[str, ...] = (*ToyLM.provides, "hidden", "prediction_error")
    components: tuple[str, ...] = ToyLM.components

    def __init__(
        self,
        tasks: str | Machine | Sequence[str | Machine] = "targets",
        *,
        prompts: int = 4,
        vocabulary: int = 9,
        length: int = 6,
        width: int = 16,
        shared: float = 0.5,
        spread: float = 0.3,
        logits: ArrayLike = 0.0,
        features: ArrayLike | None = None,
        seed: int = 0,
    ) -> None:
        self.table = ToyLM(tasks, prompts=prompts, vocabulary=vocabulary, length=length, logits=logits, seed=seed)
        self.tasks, self.questions, self.tokens = self.table.tasks, self.table.questions, self.table.tokens
        self.prompts, self.length, self.vocabulary = self.table.prompts, self.table.length, self.table.vocabulary
        self.task, self.together = self.table.task, self.table.together
        contexts = self.prompts, self.length, self.vocabulary
        given = _drawn(contexts, width, shared, seed) if features is None else features
        self.features = _checked_features(given, contexts)
        self.spread = float(spread)
        if not (np.isfinite(self.features).all() and 0 <= self.spread < np.inf):
            raise ValueError("hidden states and the spread of W must be finite, the spread at least 0")

    def __repr__(self) -> str:
        width = f"width={self.features.shape[-1]}"
        sizes = f"prompts={self.prompts}, vocabulary={self.vocabulary}, length={self.length}, {width}"
        return f"HiddenLM({', '.join(self.tasks)}, {sizes})"

    def pieces(self, tokens: Sequence[int] | NDArray[Any], prompt: int = 0) -> list[str]:
        """What each token of a response to a prompt says."""
        return self.table.pieces(tokens, prompt)

    def text(self, prompt: int, tokens: Sequence[int] | NDArray[Any]) -> str:
        """A response to a prompt as text, up to and with its end token."""
        return self.table.text(prompt, tokens)

    def init(self, seeds: Sequence[int] | NDArray[Any]) -> Policy:
        """W [S, V, D] of S seeds, integers from 0 to 2**64 − 1, each drawn from its own seed."""
        keys = seeded(seeds)
        shape = self.vocabulary, self.features.shape[-1]
        drawn = [self.spread * np.random.default_rng((int(key), 1)).standard_normal(shape) for key in keys]
        return Policy(np.stack(drawn), keys)

    def rollout(
        self, policy: Policy, group_size: int, step: int, *, attempt: int = 0, fields: Sequence[str] = ()
    ) -> Rollouts:
        """Sample G responses to every prompt, as `ToyLM.rollout`.

        Args:
            policy: W [S, V, D].
            group_size: G, at least 1.
            step: Counter of the training step, from 0.
            attempt: Counter of the draw within the step.
            fields: Beside those of `ToyLM`, "hidden" adds h of each token's context [S, P, G, T, D] and
                "prediction_error" its one-hot minus the policy's probabilities [S, P, G, T, V]; both are 0 behind the
                end token.

        Raises:
            ValueError: For G < 1, a negative counter, or a field that this world does not provide.
        """
        further = self.features.shape[-1] * ("hidden" in fields) + self.vocabulary * ("prediction_error" in fields)
        asked(self, policy, group_size, step, attempt, fields, each=self.length * (4 + further))
        table = self._table(policy)
        known = [field for field in fields if field in self.table.provides]
        drawn = self.table.rollout(table, group_size, step, attempt=attempt, fields=known)
        hidden = self._hidden(drawn) if "hidden" in fields else None
        error = self._errors(tables(table), drawn) if "prediction_error" in fields else None
        return replace(drawn, hidden=hidden, prediction_error=error)

    def log_prob(self, policy: Policy, rollouts: Rollouts) -> Floats:
        """log π(y_t | p, t, y_{t−1}) under `policy` [S, P, G, T], nats; 0 behind the end token."""
        return self.table.log_prob(self._table(policy), rollouts)

    def gradient(self, policy: Policy, rollouts: Rollouts, weights: ArrayLike) -> Floats:
        """Σ w ∇log π over tokens up to and with the end token, with respect to W [S, V, D]: Σ w e hᵀ."""
        return self._pulled(self.table.gradient(self._table(policy), rollouts, weights))

    def truth(
        self, policy: Policy, rollouts: Rollouts, *, gradient: bool = True, weights: ArrayLike | None = None
    ) -> Truth:
        """Exact value, advantages and gradient [S, V, D] of the weighted sum of the components, as `ToyLM.truth`."""
        exact = self.table.truth(self._table(policy), rollouts, gradient=gradient, weights=weights)
        return replace(exact, gradient=self._pulled(exact.gradient)) if gradient else exact

    def pay(self, policy: Policy, rollouts: Rollouts) -> Floats:
        """Rewards of given responses, as the tasks pay them [S, P, G, K]."""
        return self.table.pay(self._table(policy), rollouts)

    def entropy(self, policy: Policy) -> Floats:
        """−E[log π(y)] of the whole response, averaged over prompts [S], nats."""
        return self.table.entropy(self._table(policy))

    def kl(self, policy: Policy, other: Policy) -> Floats:
        """E[log(π(y) / π_other(y))] of the whole response, averaged over prompts [S], nats."""
        return self.table.kl(self._table(policy), self._table(other))

    def _table(self, policy: Policy) -> Policy:
        """The tabular policy of logits [S, P, T, V, V]; made again where W has changed."""
        weights, wanted = policy.parameters, (policy.seeds.size, self.vocabulary, self.features.shape[-1])
        if np.shape(weights) != wanted:
            raise ValueError(f"the policy of this language model has W {wanted}, not {np.shape(weights)}")
        held = policy.memo.get("table")
        if held is None or not np.array_equal(held[0], weights):
            table = held[1] if held else Policy(np.empty((len(weights), *self.table.logits.shape)), policy.seeds)
            kept = np.array(weights, np.float64)
            out = table.parameters.reshape(len(kept), -1, wanted[1])
            kernels.unembed(_rows(self.features), kept, _rows(self.table.logits), out)
            held = policy.memo["table"] = kept, table
        found: Policy = held[1]
        return found

    def _pulled(self, gradient: Floats) -> Floats:
        out = np.zeros((len(gradient), self.vocabulary, self.features.shape[-1]))
        kernels.pull_back(_rows(self.features), gradient.reshape(len(gradient), -1, self.vocabulary), out)
        return out

    def _contexts(self, rollouts: Rollouts) -> tuple[NDArray[Any], ...]:
        """Prompt, position and previous token of each token, as indices that broadcast to [S, P, G, T]."""
        before = np.zeros_like(rollouts.actions)
        before[..., 1:] = rollouts.actions[..., :-1]
        return np.arange(self.prompts)[:, None, None], np.arange(self.length), before

    def _hidden(self, rollouts: Rollouts) -> Floats:
        assert rollouts.mask is not None
        return np.asarray(self.features[self._contexts(rollouts)] * rollouts.mask[..., None])

    def _errors(self, table: Tables, rollouts: Rollouts) -> Floats:
        assert rollouts.mask is not None
        runs = np.arange(len(rollouts.actions))[:, None, None, None]
        chosen = rollouts.actions[..., None] == np.arange(self.vocabulary)
        return np.asarray((chosen - table.probabilities[(runs, *self._contexts(rollouts))]) * rollouts.mask[..., None])


def warm() -> None:
    """Compile every kernel of the model, or load it from the disk cache."""
    world = HiddenLM("length", prompts=1, vocabulary=2, length=1, width=1)
    policy = world.init([0])
    world.truth(policy, world.rollout(policy, 2, 0, fields=("hidden", "prediction_error")))


def _drawn(contexts: tuple[int, ...], width: int, shared: float, seed: int) -> Floats:
    """Own and common hidden states added [P, T, V, D]."""
    size = check_count("width", width, least=1)
    sizes = dict(zip(("prompts", "length", "vocabulary", "width"), (*contexts, size), strict=True))
    check_room(3 * prod(sizes.values()), **sizes)
    rng = np.random.default_rng((check_count("seed", seed, least=0), 0))
    common = rng.standard_normal((*contexts[1:], size))
    return np.asarray((rng.standard_normal((*contexts, size)) + shared * common) / np.sqrt(size))


def _checked_features(features: ArrayLike, contexts: tuple[int, ...]) -> Floats:
    given = np.asarray(features, np.float64)
    try:
        return np.ascontiguousarray(np.broadcast_to(given, (*contexts, given.shape[-1] if given.ndim else 1)))
    except ValueError:
        raise ValueError(f"features {given.shape} do not broadcast to [P, T, V, D] {(*contexts, 'D')}") from None


def _rows(array: Floats) -> Floats:
    return array.reshape(-1, array.shape[-1])
