"""A²TGPO: information gains normalised turn by turn, summed without drift, and clip ranges that follow them; IGPO."""

from __future__ import annotations

import math

import numpy as np

from lab.advantages.credit import Credit
from lab.advantages.statistics import Array
from lab.advantages.turns import at_tokens, closes, pooled, returns, scored_turns, within_turn
from lab.errors import InputError
from lab.registry import preset, register

__all__ = ["a2tgpo", "igpo"]

_FLOOR = 1e-8  # added to every variance


def _turns(rewards: Array, turn_rewards: Array, turn: Array | None, mask: Array | None) -> tuple[Array, Array, Array]:
    """Information gain of each turn [..., P, G, N], which turns used a tool, and which is the answer."""
    gain, present = scored_turns(rewards, turn_rewards, turn, mask)
    answer = closes(present)
    return gain, present & ~answer, answer


def _outcome(rewards: Array, answer: Array, eps: float) -> Array:
    """z-score of each outcome over its group [..., P, G, 1]; a rollout without any turn is none."""
    return within_turn(rewards[..., None], np.asarray(answer.any(axis=-1, keepdims=True)), eps, _FLOOR)


@register(
    "advantage",
    paper="a2tgpo",
    equation="A = α Σ_{k≥t} γ^{k−t} z_k / √n + R̂ at tool turns, R̂ at the answer;  z = turn-group z-score of the gain",
    properties={"shift", "permutation", "bounded", "groupwise"},
    bound=lambda shape: (1 + math.sqrt(shape.tokens)) * math.sqrt(shape.group_size - 1),
)
def a2tgpo(
    rewards: Array,
    *,
    turn_rewards: Array,
    turn: Array | None = None,
    mask: Array | None = None,
    alpha: float = 1.0,
    gamma: float = 1.0,
    beta: float = 0.3,
    eps: float = 1e-6,
) -> Credit:
    """A²TGPO: normalised gains from each tool turn on, over the root of their number, plus the normalised outcome.

    z is the gain's z-score over the rollouts of the prompt that have that tool turn, with deviation
    √(population variance + 1e-8) + eps, and n the number of gains in the sum. The last turn of a rollout is its answer.

    Args:
        rewards: Outcomes [..., P, G].
        turn_rewards: Information gain of each turn, at each of its tokens [..., P, G, T]; the answer's is ignored.
        turn: Turn of each token [..., P, G, T]; None: every token is a turn.
        mask: Valid tokens [..., P, G, T]; None: all.
        alpha: Weight of the gains beside the outcome: 1 in the paper's equation 9, 0.3 in the released scripts.
        gamma: Discount of later turns.
        beta: Clip ranges are scaled by 1 + beta (2 sigmoid(z) − 1), 1 at the answer.
        eps: Added to the deviations.

    Returns:
        Advantages and clip scales [..., P, G, T]; at tokens that are not valid 0 and 1.

    Source: arXiv 2605.06200, eq. 6-9 and 11; golden file a2tgpo.json. The released code takes a gain of exactly 0 for
    no turn; here the turns are given.
    """
    gain, tool, answer = _turns(rewards, turn_rewards, turn, mask)
    z = within_turn(gain, tool, eps, _FLOOR)
    left = np.maximum(returns(tool.astype(rewards.dtype), tool), 1)
    drift_free = np.where(tool, returns(z, tool, gamma) / np.sqrt(left), rewards.dtype.type(0))
    advantage = np.where(tool | answer, rewards.dtype.type(alpha) * drift_free + _outcome(rewards, answer, eps), 0)
    scale = 1 + np.where(tool, beta * np.tanh(z / 2), 0)  # 2 sigmoid(z) - 1 = tanh(z/2)
    return Credit(at_tokens(advantage, turn, mask), clip_scale=1 + at_tokens(scale - 1, turn, mask))


@register(
    "advantage",
    paper="a2tgpo",
    equation="A = Σ_{k≥t} γ^{k−t} z_k,  z = z-score over all gains and outcomes of the prompt",
    properties={"permutation", "zero_sum", "bounded", "groupwise"},
    bound=lambda shape: shape.tokens * math.sqrt(shape.group_size * shape.tokens),
)
def igpo(
    rewards: Array,
    *,
    turn_rewards: Array,
    turn: Array | None = None,
    mask: Array | None = None,
    pool: str = "joint",
    gamma: float = 1.0,
    eps: float = 1e-6,
) -> Array:
    """IGPO: gains and outcomes of the prompt pooled, normalised and summed from each turn to the end.

    Args:
        rewards: Outcomes [..., P, G].
        turn_rewards: See `a2tgpo` [..., P, G, T].
        turn: See `a2tgpo` [..., P, G, T].
        mask: See `a2tgpo` [..., P, G, T].
        pool: One pool of gains and outcomes ("joint"), or one of each ("separate").
        gamma: Discount of later turns.
        eps: Added to the deviations.

    Returns:
        Advantages [..., P, G, T], 0 at tokens that are not valid.

    Source: arXiv 2605.06200, the baseline IGPO; golden file a2tgpo.json (`igpo_joint`, `igpo_separate`).
    """
    if pool not in ("joint", "separate"):
        raise InputError(f"igpo: pool={pool!r}; it must be 'joint' or 'separate'")
    gain, tool, answer = _turns(rewards, turn_rewards, turn, mask)
    known = tool | answer
    if pool == "joint":
        z = pooled(np.where(answer, rewards[..., None], gain), known, eps, _FLOOR)
    else:
        z = np.where(answer, _outcome(rewards, answer, eps), pooled(gain, tool, eps, _FLOOR))
    return at_tokens(returns(z, known, gamma), turn, mask)


preset("advantage", "igpo@separate", "igpo", "gains and outcomes in pools of their own",
       {"shift", "permutation", "zero_sum", "bounded", "groupwise"},
       equation="A = Σ_{k≥t} γ^{k−t} z_k,  z = z-score over all gains, or over all outcomes, of the prompt",
       pool="separate")  # fmt: skip
