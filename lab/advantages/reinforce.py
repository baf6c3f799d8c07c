"""REINFORCE++, its group baseline form, and ReMax: advantages from returns-to-go, whitened over the batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lab.advantages.statistics import (
    Array,
    largest_of_tokens,
    mean_std,
    token_counts,
    token_moments,
    weighted_total,
    whiten_tokens,
)
from lab.registry import register


def returns_to_go(rewards: Array, mask: Array | None, gamma: float) -> Array:
    """Discounted return at each token when the reward sits on the last valid token.

    G_t = gamma^(n - 1 - t) R for the t-th of n valid tokens; masked tokens are skipped and hold 0.

    Args:
        rewards: Total rewards [..., P, G].
        mask: Valid tokens [..., P, G, T]; None means one token each.
        gamma: Discount per token.

    Returns:
        Returns [..., P, G, T].
    """
    if mask is None:
        return rewards[..., None].copy()
    valid = np.asarray(mask, dtype=rewards.dtype)
    remaining = np.cumsum(valid[..., ::-1], axis=-1)[..., ::-1] - valid
    return rewards[..., None] * rewards.dtype.type(gamma) ** remaining * valid


@register(
    "advantage",
    paper="baselines",
    equation="A_t = whiten over the batch's tokens (Σ_{s ≥ t} γ^{s−t} r_s)",
    properties={"permutation", "bounded"},
    bound=largest_of_tokens,
)
def reinforce_pp(rewards: Array, *, mask: Array | None = None, gamma: float = 1.0) -> Array:
    """REINFORCE++: returns-to-go, whitened over all valid tokens of the batch.

    Args:
        rewards: Total rewards [..., P, G], on the last valid token.
        mask: Valid tokens [..., P, G, T]; None means one token each.
        gamma: Discount per token.

    Returns:
        Advantages per token [..., P, G, T], 0 at masked tokens. With equal returns everywhere: 0.

    Source: arXiv 2501.03262, verl 0.9.1; golden file baselines.json.
    """
    returns = returns_to_go(rewards, mask, gamma)
    valid = np.where(np.isnan(returns), rewards.dtype.type(0), 1 if mask is None else mask)
    tokens = returns.reshape(*rewards.shape[:-2], -1, returns.shape[-1])
    white = whiten_tokens(tokens, valid.reshape(tokens.shape))
    return white.reshape(returns.shape) * valid


def _worked(rewards: Array, prompt: int, rollout: int, options: Mapping[str, Any]) -> str:
    """One rollout's numbers: its centred reward against the moments over the batch's tokens."""
    total = weighted_total(rewards, options["weights"])
    mean = mean_std(total, single="raw")[0]
    centre, variance = token_moments(total - mean, token_counts(total, options.get("mask")))
    centred = f"{total[prompt, rollout]:.4g} − {mean[prompt, 0]:.4g} − {centre.item():.4g}"
    return f"({centred}) / √({variance.item():.4g} + 1e-8)"


@register(
    "advantage",
    paper="baselines",
    equation="A = whiten over the batch's tokens (R − mean)",
    properties={"shift", "permutation", "bounded"},
    bound=largest_of_tokens,
    worked=_worked,
)
def reinforce_pp_baseline(rewards: Array, *, mask: Array | None = None) -> Array:
    """REINFORCE++ with a group baseline: (R - mean) whitened over all valid tokens of the batch.

    Long rollouts count more in the batch statistics, so a group whose rewards all agree gets a common non-zero
    advantage whenever lengths differ across the batch.

    Args:
        rewards: Total rewards [..., P, G]; a group of one is not centred.
        mask: Valid tokens [..., P, G, T]; None means one token each.

    Returns:
        Advantages [..., P, G], constant over the tokens of a rollout.

    Source: verl 0.9.1; golden file baselines.json, case `one_hot`.
    """
    return whiten_tokens(rewards - mean_std(rewards, single="raw")[0], token_counts(rewards, mask))


@register(
    "advantage",
    paper="baselines",
    equation="A_t = Σ_{s ≥ t} r_s − R(greedy rollout)",
    properties={"permutation", "groupwise"},
)
def remax(rewards: Array, *, greedy_rewards: Array, mask: Array | None = None) -> Array:
    """ReMax: undiscounted return-to-go minus the reward of the greedy rollout of the same prompt.

    Args:
        rewards: Total rewards [..., P, G].
        greedy_rewards: Reward of the prompt's greedy rollout [..., P] (or one per rollout [..., P, G]).
        mask: Valid tokens [..., P, G, T]; None means one token each.

    Returns:
        Advantages per token [..., P, G, T], 0 at masked tokens.

    Source: arXiv 2310.10505, verl 0.9.1; golden file baselines.json.
    """
    greedy = np.asarray(greedy_rewards, dtype=rewards.dtype)
    if greedy.ndim == rewards.ndim - 1:
        greedy = greedy[..., None]
    advantage = returns_to_go(rewards, mask, 1.0) - greedy[..., None]
    return advantage if mask is None else advantage * mask


__all__ = ["reinforce_pp", "reinforce_pp_baseline", "remax", "returns_to_go"]
