"""The flow world offline: samples of the pretrained flow, made once for each seed, and a policy that draws none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.errors import check_count
from simulators.flow.world import Flow
from simulators.random import DRAWS, uniforms
from simulators.records import FIELDS, Floats, Ints, Policy, Rollouts
from simulators.runs import asked

__all__ = ["Pool"]


class Pool(Flow):
    """A flow that learns from a pool: each step takes other G of its samples, without replacement, for each prompt.

    The pretrained flow has sampled them, but `logp` and the fields of velocities are those of the policy that learns,
    as in every offline world. Fresh noise comes with each step (`fields.NOISED`).

    Args:
        *args: As in `Flow`.
        pool: Samples for each prompt.
        **given: As in `Flow`.

    Raises:
        ValueError: The pool is empty, or as in `Flow`.
    """

    offline = True

    def __init__(self, *args: Any, pool: int = 64, **given: Any) -> None:
        super().__init__(*args, **given)
        self.pool = check_count("pool", pool, least=1)
        self.suits = {"group_size": min(6, pool)}

    def rollout(
        self, policy: Policy, group_size: int, step: int, *, attempt: int = 0, fields: Sequence[str] = ()
    ) -> Rollouts:
        """G samples of the pool for each prompt; see `Flow.rollout`.

        Raises:
            ValueError: G is larger than the pool.
        """
        groups, step, attempt = asked(self, policy, group_size, step, attempt, fields, each=40 * self.steps)
        if groups > self.pool:
            raise ValueError(f"group_size={groups}; the pool has {self.pool} samples of each prompt")
        if "pool" not in policy.memo:
            policy.memo["pool"] = super().rollout(self.init(policy.seeds), self.pool, 0)
        chosen = self._chosen(policy.seeds, step, attempt)[..., :groups]
        taken = {name: _taken(name, array, chosen) for name, array in policy.memo["pool"].held().items()}
        asides = self._asides(policy, taken["reached"], fields, step=step, attempt=attempt)
        return Rollouts.of(taken | asides | {"logp": self.log_prob(policy, Rollouts.of(taken))})

    def kl(self, policy: Policy, other: Policy) -> Floats:
        """KL(policy ‖ other) of a rollout [S], nats, along eight rollouts of the policy's own."""
        super().rollout(policy, 8, 0)
        return super().kl(policy, other)

    def _chosen(self, seeds: NDArray[np.uint64], step: int, attempt: int) -> Ints:
        """The pool in the order in which this step takes from it [S, P, pool]."""
        u = uniforms(seeds[:, None, None], step=step, attempt=attempt, prompt=np.arange(self.prompts)[:, None],
                     rollout=np.arange(self.pool), draw=DRAWS - 2)  # fmt: skip
        return u.argsort(axis=-1)


def _taken(name: str, array: NDArray[Any], chosen: Ints) -> NDArray[Any]:
    """Those rollouts of a field of the pool."""
    place = FIELDS[name].axis("G", array)
    return np.take_along_axis(array, chosen.reshape(*chosen.shape, *[1] * (array.ndim - chosen.ndim)), axis=place)
