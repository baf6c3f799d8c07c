"""A bandit whose rewards come from a noisy judge, one response at a time or two side by side.

Arm a of prompt p has the utility u[p, a]. Judged alone, a response gets u + drift + noise, the drift being that of the
call. Judged in a pair, both responses of a call share its drift, so it cancels between them; each pair is judged in
both orders, and the scores of the two calls are added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from simulators.bandit.world import Bandit
from simulators.errors import check_numbers, check_room
from simulators.random import uniforms
from simulators.records import Floats, Policy, Rollouts
from simulators.reward_laws import normal

__all__ = ["Judged", "judgements"]

_FIRST = 4096  # of the draws of a pair; the bandit's own are far below


def judgements(
    utility: Floats, *, seed: ArrayLike, step: int = 0, attempt: int = 0, prompt: ArrayLike = 0, drift: float = 1.0,
    noise: float = 0.3,
) -> Floats:  # fmt: skip
    """Scores [..., G, G] of the members of groups, each compared with each in both orders.

    Args:
        utility: true utilities [..., G].
        seed: seeds [...], broadcast with `prompt` to the leading axes; as for `simulators.random.uniforms`.
        step: counter of the step.
        attempt: counter of the draw within the step.
        prompt: counters of the groups.
        drift: standard deviation of what a call adds to both of its responses.
        noise: standard deviation of what it adds to each.

    Returns:
        scores[..., i, j]: what i got beside j, both orders added; the diagonal means nothing.
    """
    size = utility.shape[-1]
    i, j = np.indices((size, size))
    first, second = np.minimum(i, j), np.maximum(i, j)
    lead = (..., None, None)
    counters: dict[str, Any] = {"step": step, "attempt": attempt, "prompt": np.asarray(prompt)[lead]}
    total = np.zeros((*utility.shape, size))
    for order in (0, 1):
        place = _FIRST + 12 * second + 6 * order  # six numbers of each call: three normal ones
        calls = (place, place + 2 + 2 * (i > j))
        shared, own = (_normal(np.asarray(seed)[lead], rollout=first, draw=draw, **counters) for draw in calls)
        total += utility[..., :, None] + drift * shared + noise * own
    return total


def _normal(seed: ArrayLike, *, draw: ArrayLike, **counters: ArrayLike) -> Floats:
    """Standard normal numbers from two uniforms each (Box and Muller)."""
    u, v = (uniforms(seed, draw=np.asarray(draw) + k, **counters) for k in (0, 1))
    return np.sqrt(-2 * np.log1p(-u)) * np.cos(2 * np.pi * v)


class Judged(Bandit):
    """A bandit that also offers pairwise judgements; what is exact about a bandit is exact here.

    Args:
        utility: u [P, A].
        drift: standard deviation of a call's drift.
        noise: standard deviation of the noise on each response.
        logits: initial logits, broadcast to [P, 1, A].
    """

    name = "judged"
    provides: tuple[str, ...] = (*Bandit.provides, "pair_scores")
    stride = Bandit.stride  # without a field its rollouts are the bandit's

    def __init__(
        self, utility: ArrayLike, *, drift: float = 1.0, noise: float = 0.3, logits: ArrayLike = 0.0
    ) -> None:  # fmt: skip
        if min(drift, noise) < 0:
            raise ValueError(f"drift={drift}, noise={noise}; standard deviations are at least 0")
        table = check_numbers("utility", utility)
        super().__init__(means=np.atleast_2d(table), law=normal(float(np.hypot(drift, noise))), logits=logits)
        self.drift, self.noise = drift, noise

    def rollout(
        self, policy: Policy, group_size: int, step: int, *, attempt: int = 0, fields: Sequence[str] = ()
    ) -> Rollouts:
        """As a bandit's; the field "pair_scores" adds the judgements of all pairs [S, P, G, G]."""
        others = [f for f in fields if f != "pair_scores"]
        rollouts = super().rollout(policy, group_size, step, attempt=attempt, fields=others)
        if len(others) == len(fields):
            return rollouts
        sizes = {"group_size": group_size, "prompts": self.prompts, "runs": policy.seeds.size}
        check_room(8 * group_size * rollouts.rewards.size, **sizes)
        slots = np.arange(self.prompts)
        utility = self.means[slots[:, None], 0, rollouts.actions[..., 0]]
        pairs = judgements(
            utility, seed=policy.seeds[:, None], step=step, attempt=attempt, prompt=slots, drift=self.drift,
            noise=self.noise,
        )  # fmt: skip
        return replace(rollouts, pair_scores=pairs)
