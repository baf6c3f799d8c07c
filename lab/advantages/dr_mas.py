"""Dr. MAS: every agent's calls normalised by that agent's own scores; beside it GRPO over whole trajectories."""

from __future__ import annotations

import math

import numpy as np

from lab.advantages.statistics import Array, mean_std, normalise, scored
from lab.errors import InputError
from lab.registry import Shape, preset, register


def _largest(shape: Shape) -> float:
    """Samuelson's inequality over all calls of a prompt."""
    calls = shape.group_size * shape.tokens
    return (calls - 1) / math.sqrt(calls)


def call_scores(rewards: Array, agent: Array, mask: Array | None = None, turn_rewards: Array | None = None) -> Array:
    """Score of every call [..., P, G, T]: its own where the world gives one, otherwise its trajectory's reward.

    Args:
        rewards: Total rewards of the trajectories [..., P, G].
        agent: Which agent acted [..., P, G, T].
        mask: Which calls took place [..., P, G, T]; None for all.
        turn_rewards: The calls' own scores, penalties included [..., P, G, T].

    Returns:
        Scores, NaN where no call took place and where the trajectory is unscored.
    """
    given = rewards[..., None] if turn_rewards is None else turn_rewards.astype(rewards.dtype)
    real = ~np.isnan(rewards)[..., None] & (True if mask is None else mask.astype(bool))
    return np.where(np.broadcast_to(real, agent.shape), given, rewards.dtype.type(np.nan))


def _against_pool(scores: Array, std: bool, eps: float, single: str) -> Array:
    """(s − mean)/(std + ε) over the last axis, NaN left out; a score that is alone keeps its value or gets 0."""
    if single not in ("zero", "raw"):
        raise InputError(f"single={single!r}; it must be 'zero' or 'raw'")
    pooled = normalise(scores, 1, eps) if std else scores - mean_std(scores)[0]
    alone = (scored(scores) == 1) & (single == "raw")
    return np.where(alone, scores / (1 + eps) if std else scores, pooled)


@register(
    "advantage",
    "dr-mas",
    paper="dr-mas",
    equation="A = (s − meanₙ) / (stdₙ + ε), over all calls of agent n on the prompt",
    properties={"permutation", "groupwise"},
)
def dr_mas(
    rewards: Array,
    *,
    agent: Array,
    mask: Array | None = None,
    turn_rewards: Array | None = None,
    pool: str = "agent",
    std: bool = True,
    eps: float = 1e-6,
    single: str = "raw",
) -> Array:
    """Dr. MAS: A = (s - mean)/(std + eps) over EVERY call of the same agent on the same prompt.

    A trajectory that calls an agent three times counts three times in that agent's mean and deviation. With one pool
    for all agents, the baseline of the paper, the scores of a trajectory's calls are averaged first and every call gets
    its trajectory's advantage: GRPO over trajectories.

    Args:
        rewards: Total rewards of the trajectories [..., P, G].
        agent: Which agent acted [..., P, G, T].
        mask: Which calls took place [..., P, G, T]; None for all.
        turn_rewards: Score of each call, its penalties included [..., P, G, T]; None: the trajectory's reward.
        pool: What is compared: the calls of each agent ("agent"), or trajectories, whoever acted ("all").
        std: Divide by the sample deviation; False only centres.
        eps: Floor of the deviation, in units of reward.
        single: The only call of a pool (or its only trajectory) keeps its score over 1 + eps ("raw", as released) or
            gets 0 ("zero").

    Returns:
        Advantages [..., P, G, T]; 0 where no call took place and where all scores of a pool are equal.

    Source: arXiv 2602.08847; golden file dr-mas.json (`dr_mas`, `global_grpo`).
    """
    if pool not in ("agent", "all"):
        raise InputError(f"dr-mas: pool={pool!r}; it must be 'agent' or 'all'")
    scores = call_scores(rewards, agent, mask, turn_rewards)
    if pool == "all":
        calls = scored(scores)[..., 0]
        whole = np.where(calls > 0, np.nansum(scores, axis=-1) / np.maximum(calls, 1), scores.dtype.type(np.nan))
        shared = _against_pool(whole, std, eps, single)[..., None]
        return np.where(np.isnan(scores), scores.dtype.type(0), shared)
    out = np.zeros_like(scores)
    for n in np.unique(agent):
        own = np.where(agent == n, scores, scores.dtype.type(np.nan))
        pooled = _against_pool(own.reshape(*own.shape[:-2], -1), std, eps, single).reshape(own.shape)
        np.copyto(out, pooled, where=~np.isnan(own))
    return out


preset("advantage", "dr-mas-global", "dr-mas", "one mean and deviation for all agents, the baseline of Dr. MAS",
       {"shift", "scale", "permutation", "zero_sum", "silent", "groupwise", "bounded"},
       lambda shape: (shape.group_size - 1) / math.sqrt(shape.group_size), pool="all",
       equation="A = (mean score of the trajectory − mean) / (std + ε), over the trajectories of the prompt",
       )  # fmt: skip
preset("advantage", "dr-mas@zero-single", "dr-mas", "an agent's only call on a prompt gets 0",
       {"shift", "scale", "permutation", "silent", "groupwise", "bounded"}, _largest, single="zero")  # fmt: skip
