"""Clip and Delta: a process reward that no number of steps can push up, added to the outcome."""

from __future__ import annotations

import numpy as np

from lab.advantages.statistics import Array
from lab.advantages.step_returns import step_rewards, steps_of
from lab.composites import method
from lab.registry import preset, register

__all__ = ["clip_delta"]


@register(
    "reward",
    "clip-delta",
    paper="clip-delta",
    equation="(R, α Σ_k r_k),  r = delta of min(x − η, 0)",
)
def clip_delta(
    rewards: Array,
    *,
    turn_rewards: Array,
    turn: Array | None = None,
    mask: Array | None = None,
    form: str = "clip-delta",
    alpha: float = 0.3,
    eta: float = 0.7,
    closing: bool = True,
) -> Array:
    """The sum of a solution's step rewards as a further component; see `lab.advantages.step_returns.step_rewards`.

    Args:
        rewards: Reward components [..., P, G, K].
        turn_rewards: Score of each step, within [0, 1], at each of its tokens [..., P, G, T].
        turn: Turn of each token [..., P, G, T]; None: every token is a turn.
        mask: Valid tokens [..., P, G, T]; None: all.
        form: "process", "clip", "delta" or "clip-delta".
        alpha: Weight of the sum.
        eta: Threshold of the clip.
        closing: The last turn only ends the solution and is no step.

    Returns:
        Rewards [..., P, G, K + 1].

    Source: arXiv 2410.15115; alpha and eta are not published.
    """
    scores, steps, _ = steps_of(rewards[..., 0], turn_rewards, turn, mask, closing)
    total = alpha * step_rewards(scores, steps, form, eta).sum(axis=-1)
    return np.concatenate([rewards, total[..., None]], axis=-1)


preset("reward", "process", "clip-delta", "the plain sum of the scores",
       equation="(R, α Σ_k x_k)", form="process")  # fmt: skip
preset("reward", "process-clip", "clip-delta", "the clip alone", equation="(R, α Σ_k min(x_k − η, 0))", form="clip")
preset("reward", "process-delta", "clip-delta", "the delta alone", equation="(R, α x_1)", form="delta")

method("clip-delta", reward="clip-delta", paper="clip-delta", note="clipped and telescoped step scores")
method("process-reward", reward="process", paper="clip-delta", note="the plain sum of the step scores")
method("process-clip", reward="process-clip", paper="clip-delta", note="step scores clipped at η")
method("process-delta", reward="process-delta", paper="clip-delta", note="step scores telescoped")
