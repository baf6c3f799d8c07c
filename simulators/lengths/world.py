"""How long to think: a policy over lengths that all prompts share, harder prompts needing longer responses.

Prompt p needs about n_p tokens, from 1 to 9: a response of l tokens is right with probability
(1 − slip)·σ(1.5 (l − n_p)). The length is drawn from a softmax with logits f_p W, features f_p = (1, standardised n_p),
so that what one prompt learns moves the others. It starts near 12 tokens, longer than any prompt needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulators.errors import check_count, check_room
from simulators.random import uniforms
from simulators.records import Floats, Ints, Policy, Rollouts, Truth, World
from simulators.runs import asked, started

__all__ = ["Lengths"]

_EASIEST, _HARDEST, _SLOPE = 1.0, 9.0, 1.5
_START, _WIDTH = 12.0, 3.0


class Lengths(World):
    """Responses of 1 to `longest` tokens as single actions; rewards are (right, right · l/longest).

    Weights (1, −c) of the components are the usual reward right · (1 − c·l/longest); (1, 0) leave the length out.

    Args:
        prompts: Number of prompts P, from easy to hard.
        longest: Most tokens of a response A.
        slip: Probability that a response is wrong however long it is.
        shared: One table of parameters for all prompts; False: one softmax for each.

    Raises:
        ValueError: For fewer than 2 prompts or lengths, or a slip outside [0, 1].
    """

    name = "lengths"
    provides: tuple[str, ...] = ("lengths",)
    components: tuple[str, ...] = ("right", "length")

    def __init__(self, prompts: int = 16, *, longest: int = 16, slip: float = 0.15, shared: bool = True) -> None:
        self.prompts = check_count("prompts", prompts, least=2)
        self.longest = check_count("longest", longest, least=2)
        wide = longest if shared else longest + prompts
        check_room(4 * prompts * wide, prompts=prompts, longest=longest)
        if not 0 <= slip <= 1:
            raise ValueError(f"slip={slip}; it must be a probability from 0 to 1")
        self.shared, self.lengths = bool(shared), np.arange(1, longest + 1)
        need = np.linspace(_EASIEST, _HARDEST, prompts)
        own = np.stack([np.ones(prompts), (need - need.mean()) / need.std()], axis=-1)
        self.features: Floats = own if shared else np.eye(prompts)
        self.right: Floats = (1 - slip) / (1 + np.exp(-_SLOPE * (self.lengths - need[:, None])))

    def __repr__(self) -> str:
        return f"Lengths(prompts={self.prompts}, longest={self.longest}, shared={self.shared})"

    def init(self, seeds: Sequence[int] | NDArray[Any]) -> Policy:
        """W [S, F, A], F = 2 with shared parameters and P without; every prompt starts with the same policy."""
        start = -0.5 * ((self.lengths - _START) / _WIDTH) ** 2
        table = np.zeros((self.features.shape[1], self.longest))
        table[: 1 if self.shared else None] = start
        return started(table, seeds)

    def rollout(
        self, policy: Policy, group_size: int, step: int = 0, *, attempt: int = 0, fields: Sequence[str] = ()
    ) -> Rollouts:
        """Sample G lengths for every prompt: rewards [S, P, G, 2], actions l − 1 and logp [S, P, G, 1].

        Args:
            policy: W [S, F, A].
            group_size: G.
            step: Counter of the step.
            attempt: Counter of the draw within the step.
            fields: "lengths" adds l [S, P, G].

        Raises:
            ValueError: A field that this world does not provide.
        """
        groups, step, attempt = asked(self, policy, group_size, step, attempt, fields, each=8 + self.longest // 8)
        prompt, rollout = np.arange(self.prompts)[:, None], np.arange(groups)
        own: dict[str, Any] = {"step": step, "attempt": attempt, "prompt": prompt, "rollout": rollout}
        first, second = (uniforms(policy.seeds[:, None, None], **own, draw=d) for d in (0, 1))
        log_policy = self._log_policy(policy)
        below = np.exp(log_policy).cumsum(axis=-1)[:, :, None, :-1]
        action = (first[..., None] >= below).sum(axis=-1)
        right = (second < self.right[prompt, action]).astype(np.float64)
        length = self.lengths[action].astype(np.float64)
        return Rollouts(
            np.stack([right, right * length / self.longest], axis=-1), action[..., None],
            np.take_along_axis(log_policy, action, axis=-1)[..., None], lengths=length if fields else None,
        )  # fmt: skip

    def log_prob(self, policy: Policy, rollouts: Rollouts) -> Floats:
        """log π(l | p) [S, P, G, 1], nats."""
        slots, action = self._slots(rollouts)
        here = np.take_along_axis(self._log_policy(policy), slots[..., None], axis=1)
        return np.take_along_axis(here, action, axis=-1)[..., None]

    def gradient(self, policy: Policy, rollouts: Rollouts, weights: Floats) -> Floats:
        """Σ w ∇log π with respect to W [S, F, A] for weights [S, P, G, 1]."""
        slots, action = self._slots(rollouts)
        w = np.asarray(weights, np.float64)[..., 0]
        taken = (w[..., None] * (action[..., None] == np.arange(self.longest))).sum(axis=2)
        here = np.take_along_axis(np.exp(self._log_policy(policy)), slots[..., None], axis=1)
        return self._back(slots, taken - w.sum(axis=-1, keepdims=True) * here)

    def truth(
        self, policy: Policy, rollouts: Rollouts, *, gradient: bool = True, weights: ArrayLike | None = None
    ) -> Truth:
        """Exact value of each slot [S, P], advantage of each rollout [S, P, G], and the gradient [S, F, A].

        Args:
            policy: W [S, F, A].
            rollouts: Actions [S, P, G, 1].
            gradient: Also give the gradient of the mean value over the prompts.
            weights: Weights of the components [2]; ones by default.
        """
        scale = np.ones(2) if weights is None else np.asarray(weights, np.float64)
        worth = self.right * (scale[0] + scale[1] * self.lengths / self.longest)
        probability, (slots, action) = np.exp(self._log_policy(policy)), self._slots(rollouts)
        value = (probability * worth).sum(axis=-1)
        here = np.take_along_axis(value, slots, axis=1)
        advantage = worth[slots[..., None], action] - here[..., None]
        if not gradient:
            return Truth(here, advantage)
        slope = probability * (worth - value[..., None]) / self.prompts
        return Truth(here, advantage, self._back(np.tile(np.arange(self.prompts), (len(value), 1)), slope))

    def outcome(self, policy: Policy) -> tuple[Floats, Floats]:
        """Exact accuracy and mean length of each prompt, both [S, P]."""
        probability = np.exp(self._log_policy(policy))
        return (probability * self.right).sum(axis=-1), probability @ self.lengths

    def entropy(self, policy: Policy) -> Floats:
        """Entropy of the length, mean over prompts [S], nats."""
        log_policy = self._log_policy(policy)
        return np.asarray(-(np.exp(log_policy) * log_policy).sum(axis=-1).mean(axis=-1))

    def kl(self, policy: Policy, other: Policy) -> Floats:
        """KL(policy ‖ other) of the length, mean over prompts [S], nats."""
        ours, theirs = self._log_policy(policy), self._log_policy(other)
        return np.asarray((np.exp(ours) * (ours - theirs)).sum(axis=-1).mean(axis=-1))

    def _log_policy(self, policy: Policy) -> Floats:
        """log π of every length for every prompt [S, P, A]."""
        logits = self.features @ policy.parameters
        moved = logits - logits.max(axis=-1, keepdims=True)
        return np.asarray(moved - np.log(np.exp(moved).sum(axis=-1, keepdims=True)))

    def _back(self, slots: Ints, slope: Floats) -> Floats:
        """From slopes on the logits of each slot [S, P, A] to those on W [S, F, A]."""
        return np.asarray(np.swapaxes(self.features[slots], -1, -2) @ slope)

    def _slots(self, rollouts: Rollouts) -> tuple[Ints, Ints]:
        """The prompt in each slot [S, P], and the actions [S, P, G]."""
        action = np.asarray(rollouts.actions)[..., 0]
        slots = np.arange(self.prompts) if rollouts.prompt is None else np.asarray(rollouts.prompt)
        if slots.shape[-1] != action.shape[1] or slots.min() < 0 or slots.max() >= self.prompts:
            raise ValueError(f"rollouts.prompt must name a prompt in 0..{self.prompts - 1} for each slot")
        return np.broadcast_to(slots, action.shape[:2]), action
