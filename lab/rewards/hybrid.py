"""HARMO's rewards: rules where an answer can be checked, a learned score elsewhere, a length penalty, a format bit."""

from __future__ import annotations

import numpy as np

from lab.advantages.statistics import Array
from lab.composites import method
from lab.errors import InputError
from lab.registry import register

__all__ = ["hybrid_reward", "length_penalty"]


def length_penalty(
    score: Array, lengths: Array, *, p_max: float = 1.0, tau: float = 0.5, everywhere: bool = False
) -> Array:
    """-P_max clip(1 - len/L, 0, 1) for answers that score below tau, L the mean length of the group's others.

    Args:
        score: Accuracy rewards [..., P, G].
        lengths: Length of each answer [..., P, G], tokens.
        p_max: Largest penalty.
        tau: An answer with at least this score counts as correct; on the score's own scale.
        everywhere: Penalise short correct answers too.

    Returns:
        Penalties [..., P, G], at most 0; 0 for a group without a correct answer. L is at least one token.

    Source: arXiv 2510.05283, length penalty; the formula is the lab's reading of its description.
    """
    correct = score >= tau
    count = correct.sum(axis=-1, keepdims=True)
    mean = np.where(correct, lengths, 0.0).sum(axis=-1, keepdims=True) / np.maximum(count, 1)
    penalty = -p_max * np.clip(1 - lengths / np.maximum(mean, 1.0), 0.0, 1.0)
    return np.where((count > 0) & (everywhere | ~correct), penalty, 0.0)


@register(
    "reward",
    "hybrid-reward",
    paper="hybrid-reward",
    equation="(r_hyb, r_len, w·r_fmt),  r_len = −P·clip(1 − len/L, 0, 1) where r_hyb < τ",
)
def hybrid_reward(
    rewards: Array,
    *,
    mask: Array,
    task: Array | None = None,
    p_max: float = 1.0,
    tau: float = 0.5,
    format_weight: float = 0.2,
    everywhere: bool = False,
) -> Array:
    """HARMO's hybrid, multi-aspect reward.

    Args:
        rewards: Components [..., P, G, K]: the rule's verdict, the learned score (K >= 2), the format bit (K >= 3).
        mask: Valid tokens [..., P, G, T].
        task: 0 where a prompt's answers can be checked, else 1 [..., P]; None: all can.
        p_max: See `length_penalty`; 0 for none.
        tau: See `length_penalty`.
        format_weight: Weight of the format bit.
        everywhere: See `length_penalty`.

    Returns:
        Rewards [..., P, G, 3]: accuracy, length penalty, weighted format; they count equally.

    Raises:
        InputError: A prompt is open, and there is no learned score.

    Source: arXiv 2510.05283, eq. 1-3 as its reviews quote them; the length penalty's formula and weight are the lab's.
    """
    score = rewards[..., 0]
    if task is not None and np.any(task):
        if rewards.shape[-1] < 2:
            raise InputError("hybrid-reward: open prompts need a learned score, and there is one reward component")
        score = np.where(np.asarray(task, dtype=bool)[..., None], rewards[..., 1], score)
    lengths = np.asarray(mask).sum(axis=-1)
    penalty = length_penalty(score, lengths, p_max=p_max, tau=tau, everywhere=everywhere)
    form = rewards[..., 2] * format_weight if rewards.shape[-1] > 2 else np.zeros_like(score)
    return np.stack([score, penalty, form], axis=-1)


method("hybrid-reward", advantage="dr_grpo", reward="hybrid-reward", paper="hybrid-reward",
       note="rule or learned score, penalty on short wrong answers, format bit; no deviation")  # fmt: skip
