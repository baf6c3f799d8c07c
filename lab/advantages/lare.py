"""LaRe: advantages of steps from a learnt reward of each step, in place of the outcome."""

from __future__ import annotations

import math

from lab.advantages.statistics import Array
from lab.advantages.turns import at_tokens, returns, scored_turns, within_turn
from lab.errors import UnknownNameError
from lab.registry import preset, register

__all__ = ["FORMS", "lare"]

#: What of the step rewards counts at a step: all that follow, or its own.
FORMS = ("to-go", "step")


@register(
    "advantage",
    "lare",
    paper="lare",
    equation="A = z_step(Σ_{k≥t} γ^(k−t) r̂_k),  or A = z_step(r̂_t)",
    properties={"shift", "scale", "permutation", "zero_sum", "bounded", "groupwise"},
    bound=lambda shape: math.sqrt(shape.group_size - 1),
)
def lare(
    rewards: Array, *, token_rewards: Array, mask: Array | None = None, form: str = "to-go", gamma: float = 1.0,
    eps: float = 1e-8,
) -> Array:  # fmt: skip
    """Each step's redistributed reward against the group's at the same step; the outcome itself is not read.

    Args:
        rewards: Outcomes [..., P, G]; only whether there is one counts.
        token_rewards: r̂, what a decoder makes of each step [..., P, G, T].
        mask: Valid steps [..., P, G, T]; None: all.
        form: "to-go" adds up what follows, "step" takes the step alone (where steps do not depend on one another).
        gamma: Discount of what follows.
        eps: Added to the population deviation, in units of reward.

    Returns:
        Advantages [..., P, G, T]; 0 where a step has no spread or a rollout no outcome.

    Raises:
        UnknownNameError: No such form.

    Source: arXiv 2412.11120, proxy rewards; the baseline per step is the lab's group-relative reading.
    """
    if form not in FORMS:
        raise UnknownNameError("form of lare", form, FORMS)
    values, present = scored_turns(rewards, token_rewards, None, mask)
    if form == "to-go":
        values = returns(values, present, gamma)
    return at_tokens(within_turn(values, present, eps), None, mask)


preset("advantage", "lare@step", "lare", note="each step by its own reward, whatever follows", form="step",
       equation="A = z_step(r̂_t)")  # fmt: skip
