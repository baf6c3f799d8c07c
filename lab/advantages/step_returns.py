"""Step scores as rewards (Clip, Delta and both), and the advantage of each step against the others at that step."""

from __future__ import annotations

import math

import numpy as np

from lab.advantages.statistics import Array
from lab.advantages.turns import at_tokens, closes, returns, scored_turns, within_turn
from lab.errors import UnknownNameError
from lab.registry import register

__all__ = ["FORMS", "step_returns", "step_rewards", "steps_of"]

#: How scores become rewards.
FORMS = ("process", "clip", "delta", "clip-delta")


def step_rewards(scores: Array, steps: Array, form: str = "clip-delta", eta: float = 0.7) -> Array:
    """Rewards of the K steps of each solution from the scores x_1 .. x_K of a process reward model.

    process: r_k = x_k. clip: r_k = min(x_k − eta, 0). delta: r_k = x_k − x_{k+1} for k < K − 1, x_k for k = K − 1, 0
    for k = K, so that the sum is x_1 however many steps there are. clip-delta: clip, then delta.

    Args:
        scores: [..., N].
        steps: Which of them are steps, in one piece from the first on [..., N].
        form: A member of `FORMS`.
        eta: Threshold of the clip: scores above it give 0.

    Returns:
        Rewards [..., N], 0 where there is no step. With one step delta gives 0.

    Raises:
        UnknownNameError: No such form.

    Source: arXiv 2410.15115, Clip and Delta.
    """
    if form not in FORMS:
        raise UnknownNameError("form of step rewards", form, FORMS)
    x = np.minimum(scores - scores.dtype.type(eta), 0) if "clip" in form else scores
    if "delta" not in form:
        return np.where(steps, x, scores.dtype.type(0))
    x = np.where(steps & ~closes(steps), x, scores.dtype.type(0))
    return x - np.concatenate([x[..., 1:], np.zeros_like(x[..., :1])], axis=-1)


def steps_of(
    rewards: Array, turn_rewards: Array, turn: Array | None, mask: Array | None, closing: bool
) -> tuple[Array, Array, Array]:
    """Score of each turn, which turns are steps, and which turns there are [..., P, G, N].

    Args:
        rewards: Outcomes [..., P, G]; the turns of an unscored rollout count as absent.
        turn_rewards: Score of each turn at each of its tokens [..., P, G, T].
        turn: Turn of each token [..., P, G, T]; None: every token is a turn.
        mask: Valid tokens [..., P, G, T]; None: all.
        closing: The last turn only ends the solution and is no step.
    """
    scores, present = scored_turns(rewards, turn_rewards, turn, mask)
    return scores, present & ~closes(present) if closing else present, present


@register(
    "advantage",
    "step-returns",
    paper="clip-delta",
    equation="A = z_turn(R + α Σ_{k≥t} r_k),  r = Clip, Delta or both of the step scores",
    properties={"shift", "permutation", "zero_sum", "bounded", "groupwise"},
    bound=lambda shape: math.sqrt(shape.group_size - 1),
)
def step_returns(
    rewards: Array,
    *,
    turn_rewards: Array,
    turn: Array | None = None,
    mask: Array | None = None,
    form: str = "clip-delta",
    alpha: float = 0.3,
    eta: float = 0.7,
    closing: bool = True,
    eps: float = 1e-8,
) -> Array:
    """Return-to-go of each step, the outcome included, against the rollouts of the prompt that reach the step.

    Args:
        rewards: Outcomes R [..., P, G].
        turn_rewards: Score of each step, at each of its tokens [..., P, G, T].
        turn: Turn of each token [..., P, G, T]; None: every token is a turn.
        mask: Valid tokens [..., P, G, T]; None: all.
        form: See `step_rewards`.
        alpha: Weight of the step rewards.
        eta: See `step_rewards`.
        closing: The last turn only ends the solution and is no step.
        eps: Added to the population deviation, in units of reward.

    Returns:
        Advantages [..., P, G, T], constant over a turn.

    Source: arXiv 2410.15115, step rewards; the baseline per step is the lab's group-relative reading.
    """
    scores, steps, present = steps_of(rewards, turn_rewards, turn, mask, closing)
    later = rewards.dtype.type(alpha) * returns(step_rewards(scores, steps, form, eta), steps)
    return at_tokens(within_turn(rewards[..., None] + later, present, eps), turn, mask)
