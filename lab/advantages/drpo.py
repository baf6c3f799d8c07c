"""DRPO's sets: which rollouts are certainly correct and which certainly wrong."""

from __future__ import annotations

from lab.advantages.statistics import Array
from lab.composites import method
from lab.registry import register


@register(
    "advantage",
    paper="drpo",
    equation="A = +1 where R = 1, −1 where R = 0, 0 elsewhere and in groups without both",
    properties={"permutation", "silent", "groupwise", "bounded"},
    bound=lambda shape: 1.0,
)
def drpo(rewards: Array, *, correct: float = 1.0, wrong: float = 0.0) -> Array:
    """DRPO's two sets as a sign: +1 for a correct, -1 for a wrong rollout; any other reward is in neither set.

    Args:
        rewards: Total rewards [..., P, G], compared exactly.
        correct: Reward of a correct rollout.
        wrong: Reward of a wrong one.

    Returns:
        Signs [..., P, G]; 0 in a group that has not both, which teaches nothing.

    Source: arXiv 2510.04474, released code; golden file drpo.json.
    """
    right, false = rewards == correct, rewards == wrong
    both = right.any(axis=-1, keepdims=True) & false.any(axis=-1, keepdims=True)
    return (right * rewards.dtype.type(1) - false) * both


method("drpo", advantage="drpo", objective="drpo", paper="drpo",
       note="correct against wrong rollouts, the shorter of the correct weigh more")  # fmt: skip
