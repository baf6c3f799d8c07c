"""One step of a training run before anything moves: what was sampled, weighed and differentiated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from lab.advantages.credit import Credit
from lab.measures.advantage import per_rollout
from lab.objectives.door import Weights
from lab.sampling.refill import first_slots
from simulators.records import Rollouts

__all__ = ["Memory", "Moment"]

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
        gradient: The estimate, like the parameters, before clipping; None if it was not asked for.
        slots: Slots of the P axis that each run needed [S], where prompts were sampled again; None: all.
        memory: What rules remember after the step, by kind and name.
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
        )  # fmt: skip
