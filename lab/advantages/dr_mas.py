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
    std: bool = True,
    eps: float = 1e-6,
    single: str = "raw",
) -> Array:
    """Dr. MAS: A = (s - mean)/(std + eps) over EVERY call of the same agent on the same prompt.

    A trajectory that calls an agent three times counts three times in that agent's mean and deviation.

    Args:
        rewards: Total rewards of the trajectories [..., P, G].
        agent: Which agent acted [..., P, G, T].
        mask: Which calls took place [..., P, G, T]; None for all.
        turn_rewards: Score of each call, its penalties included [..., P, G, T]; None: the trajectory's reward.
        std: Divide by the sample deviation; False only centres.
        eps: Floor of the deviation, in units of reward.
        single: The only call of an agent keeps its score over 1 + eps ("raw", as released) or gets 0 ("zero").

    Returns:
        Advantages [..., P, G, T]; 0 where no call took place and where all scores of an agent are equal.

    Source: arXiv 2602.08847; golden file dr-mas.json.
    """
    scores = call_scores(rewards, agent, mask, turn_rewards)
    out = np.zeros_like(scores)
    for n in np.unique(agent):
        own = np.where(agent == n, scores, scores.dtype.type(np.nan))
        pooled = _against_pool(own.reshape(*own.shape[:-2], -1), std, eps, single).reshape(own.shape)
        np.copyto(out, pooled, where=~np.isnan(own))
    return out


@register(
    "advantage",
    "dr-mas-global",
    paper="dr-mas",
    equation="A = (mean score of the trajectory − mean) / (std + ε), over the trajectories of the prompt",
    properties={"shift", "scale", "permutation", "zero_sum", "silent", "groupwise", "bounded"},
    bound=lambda shape: (shape.group_size - 1) / math.sqrt(shape.group_size),
)
def dr_mas_global(
    rewards: Array,
    *,
    agent: Array,
    mask: Array | None = None,
    turn_rewards: Array | None = None,
    std: bool = True,
    eps: float = 1e-6,
    single: str = "raw",
) -> Array:
    """GRPO over trajectories, the baseline of Dr. MAS: all agents share one mean and one deviation.

    The scores of a trajectory's calls are averaged first; every call gets its trajectory's advantage. Arguments and
    result [..., P, G, T] as in `dr_mas`; `single` is what the only trajectory of a prompt gets.

    Source: arXiv 2602.08847; golden file dr-mas.json (`global_grpo`).
    """
    scores = call_scores(rewards, agent, mask, turn_rewards)
    calls = scored(scores)[..., 0]
    whole = np.where(calls > 0, np.nansum(scores, axis=-1) / np.maximum(calls, 1), scores.dtype.type(np.nan))
    shared = _against_pool(whole, std, eps, single)[..., None]
    return np.where(np.isnan(scores), scores.dtype.type(0), shared)


preset("advantage", "dr-mas@zero-single", "dr-mas", "an agent's only call on a prompt gets 0",
       {"shift", "scale", "permutation", "silent", "groupwise", "bounded"}, _largest, single="zero")  # fmt: skip
