"""One step of a training run before anything moves: what was sampled, weighed and differentiated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.advantages.credit import Credit
from lab.measures.advantage import per_rollout
from lab.objectives.door import Weights
from lab.sampling.refill import first_slots
from simulators.records import Rollouts

__all__ = ["Memory", "Moment", "acting", "by_block", "kept_tokens"]

Array = NDArray[Any]
Memory = dict[str, Mapping[str, Array]]


@dataclass(frozen=True, repr=False)
class Moment:
    """Everything of one step before the parameters move.

    Attributes:
        step: Index of the step.
        rollouts: What the world sampled (slots of sampled-again prompts included).
        rewards: Rewards after the reward rule [S, P, G, K].
        credit: The advantage rule's result; `credit.advantage` [S, P, G] or [S, P, G, T].
        keep: Rollouts that take part in the update [S, P, G], or None for all.
        mask: Valid tokens of those [S, P, G, T], or None for all.
        weights: Weights on the gradient of each score by name [S, P, G, T]; "logp" is that of log π.
        gradient: The estimate, like the parameters, before clipping, by block in a world that has several; None if it
            was not asked for.
        slots: Slots of the P axis that each run needed [S], where prompts were sampled again; None: all.
        memory: What rules remember after the step, by kind and name.
        parts: Where a rule combines several gradients, the same step of each reward component by itself; else none. The
            weights are then the sum of the parts' times their shares, and so are the advantages.
        shares: Share of each part [K, S]; None where there are none.
    """

    step: int
    rollouts: Rollouts
    rewards: Array
    credit: Credit
    keep: Array | None
    mask: Array | None
    weights: Weights
    gradient: Any
    slots: Array | None = None
    memory: Memory = field(default_factory=dict)
    parts: tuple[Moment, ...] = ()
    shares: Array | None = None

    def __repr__(self) -> str:
        runs, prompts, size, components = self.rewards.shape
        return f"Moment of step {self.step}: {runs} runs x {prompts} prompts, G={size}, {components} reward components"

    @property
    def advantage(self) -> Array:
        """Advantages per rollout [S, P, G]."""
        return per_rollout(self.credit.advantage, self.rollouts.mask)

    def first(self, slots: int) -> Moment:
        """The same moment with only the first slots of the P axis."""

        def cut(array: Any) -> Any:
            return None if array is None else array[:, :slots]

        return replace(
            self, rollouts=first_slots(self.rollouts, slots), rewards=cut(self.rewards), keep=cut(self.keep),
            credit=Credit(cut(self.credit.advantage), cut(self.credit.keep), cut(self.credit.clip_scale)),
            mask=cut(self.mask), weights={n: cut(w) for n, w in self.weights.items()},
            parts=tuple(part.first(slots) for part in self.parts),
        )  # fmt: skip

    def joined(self, shares: Array) -> Moment:
        """The step that its parts make with these shares [K, S]: advantages and weights added, what any keeps kept."""
        kept = [part.keep for part in self.parts if part.keep is not None]
        keep = np.logical_or.reduce(kept) if len(kept) == len(self.parts) else None
        advantage = _sum(shares, [part.used for part in self.parts])
        weights = {n: _sum(shares, [part.weights[n] for part in self.parts]) for n in self.parts[0].weights}
        return replace(
            self, credit=Credit(advantage, keep), keep=keep, mask=kept_tokens(self.rollouts, keep), weights=weights,
            shares=shares,
        )  # fmt: skip

    @property
    def policy_gradient(self) -> Any:
        """The estimate for the block that acts, like `Policy.parameters`."""
        return acting(self.gradient)

    @property
    def used(self) -> Array:
        """The advantage rule's, 0 where a rollout takes no part [S, P, G] or [S, P, G, T]."""
        given = self.credit.advantage
        if self.keep is None:
            return given
        return np.where(self.keep if given.ndim == self.keep.ndim else self.keep[..., None], given, 0.0)


def by_block(gradient: Any) -> dict[str, Any]:
    """A world's gradient by block of parameters; one that has no names is that of the block that acts."""
    return dict(gradient) if isinstance(gradient, Mapping) else {"policy": gradient}


def acting(gradient: Any) -> Any:
    """The part of a world's gradient that is of the block that acts, like `Policy.parameters`."""
    return by_block(gradient)["policy"]


def kept_tokens(rollouts: Rollouts, keep: Array | None) -> Array | None:
    """Valid tokens of the rollouts that take part [S, P, G, T]; None: all of them."""
    if keep is None:
        return rollouts.mask
    every = np.ones(rollouts.logp.shape, dtype=bool) if rollouts.mask is None else rollouts.mask
    return every & keep[..., None]


def _sum(shares: Array, arrays: list[Array]) -> Array:
    """Sum of the arrays [S, ...] times their shares [K, S]."""
    return np.asarray(sum(a * s.reshape(-1, *[1] * (a.ndim - 1)) for s, a in zip(shares, arrays, strict=True)))
