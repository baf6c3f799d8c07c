"""MAPO (later MICA): a turn's return against the other rollouts at that turn, mixed with its immediate reward."""

from __future__ import annotations

import math

import numpy as np

from lab.advantages.statistics import Array
from lab.advantages.turns import at_tokens, pooled, returns, scored_turns, within_turn
from lab.errors import InputError
from lab.registry import Shape, preset, register

__all__ = ["mapo"]


def _turn(shape: Shape) -> float:
    """Largest z-score of one turn."""
    return math.sqrt(shape.group_size - 1)


@register(
    "advantage",
    paper="mapo",
    equation="A = α z_turn(Σ_{k≥t} γ^{k−t} r_k) + (1 − α) z_pool(r_t)",
    properties={"shift", "scale", "permutation", "bounded", "groupwise"},
    bound=lambda shape: (_turn(shape) + math.sqrt(shape.group_size * shape.tokens)) / 2,
)
def mapo(
    rewards: Array,
    *,
    turn_rewards: Array,
    turn: Array | None = None,
    mask: Array | None = None,
    pool: str = "group",
    alpha: float = 0.5,
    gamma: float = 1.0,
    distance: str = "incremental",
    eps: float = 1e-8,
) -> Array:
    """MAPO: A = alpha z(return of the turn) + (1 - alpha) z(reward of the turn), population deviations.

    The return is compared with the rollouts of the same prompt that reach the turn, the immediate reward with a larger
    pool. The reward of the whole episode is not used.

    Args:
        rewards: Rewards of the episodes [..., P, G]; only their shape is read.
        turn_rewards: What each turn gained, φ before − φ after for a distance φ, at each of its tokens [..., P, G, T].
        turn: Turn of each token [..., P, G, T]; None: every token is a turn.
        mask: Valid tokens [..., P, G, T]; None: all.
        pool: Immediate rewards are normalised over all turns of the prompt ("group") or of the batch ("batch").
        alpha: Share of the return's part; 1 leaves it alone, 0 leaves the immediate reward alone.
        gamma: Discount of later turns.
        distance: "incremental", or "absolute" for r = −φ after the turn, φ of the start counted as 0.
        eps: Added to the deviations, in units of reward.

    Returns:
        Advantages [..., P, G, T], constant over a turn; 0 at tokens that are not valid. A part is 0 where its pool has
        one member or no spread.

    Source: arXiv 2603.06194, mixed advantages as two notes on v1 and v3 describe them; gamma and the degrees of freedom
    are the lab's choice.
    """
    if pool not in ("group", "batch"):
        raise InputError(f"mapo: pool={pool!r}; it must be 'group' or 'batch'")
    if distance not in ("incremental", "absolute"):
        raise InputError(f"mapo: distance={distance!r}; it must be 'incremental' or 'absolute'")
    reward, present = scored_turns(rewards, turn_rewards, turn, mask)
    if distance == "absolute":
        reward = np.cumsum(reward, axis=-1)
    later = within_turn(returns(reward, present, gamma), present, eps)
    now = pooled(reward, present, eps, batch=pool == "batch")
    share = rewards.dtype.type(alpha)
    return at_tokens(share * later + (1 - share) * now, turn, mask)


preset("advantage", "mapo@batch", "mapo", "v1: immediate rewards over the whole batch",
       {"shift", "scale", "permutation", "bounded"},
       lambda shape: (_turn(shape) + math.sqrt(shape.prompts * shape.group_size * shape.tokens)) / 2,
       pool="batch")  # fmt: skip
preset("advantage", "mapo@turn", "mapo", "the turn's return alone",
       {"shift", "scale", "permutation", "zero_sum", "bounded", "groupwise"}, _turn,
       "A = z_turn(Σ_{k≥t} γ^{k−t} r_k)", alpha=1.0)  # fmt: skip
preset("advantage", "mapo@immediate", "mapo", "the turn's reward alone",
       bound=lambda shape: math.sqrt(shape.group_size * shape.tokens), equation="A = z_pool(r_t)",
       alpha=0.0)  # fmt: skip
