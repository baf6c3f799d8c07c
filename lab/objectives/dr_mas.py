"""Dr. MAS: every agent has a clipped surrogate of its own, averaged over its own calls."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from lab.objectives.ppo import _clipped, _loss, ppo_clip
from lab.objectives.tokens import Array
from lab.registry import register


def _calls(agent: Array, mask: Array | None) -> dict[int, Array]:
    """Which calls took place, by agent."""
    real = np.ones(np.shape(agent), dtype=bool) if mask is None else np.asarray(mask, dtype=bool)
    return {int(n): real & (agent == n) for n in np.unique(agent)}


def _own_losses(new: Array, advantage: Array, o: SimpleNamespace) -> Array:
    parts = [
        _loss(new, advantage, SimpleNamespace(**{**vars(o), "mask": own})) for own in _calls(o.agent, o.mask).values()
    ]
    return np.asarray(sum(parts))


@register(
    "objective",
    "dr-mas",
    paper="dr-mas",
    equation="w = cₙ·A·ρ unless clipped,  cₙ = 1 / (calls of agent n in the batch)",
    loss=_own_losses,
    clipped=_clipped,
)
def dr_mas(
    logp_new: Array,
    advantage: Array,
    *,
    logp: Array,
    agent: Array,
    mask: Array | None = None,
    clip_scale: Array | None = None,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    dual_clip: float | None = None,
    delta: float | None = None,
    aggregation: str = "token-mean",
) -> Array:
    """PPO's clipped surrogate once per agent, over its own calls: a rarely called agent is not averaged away.

    Args:
        logp_new: Log-probabilities under the updated policy [..., P, G, T].
        advantage: [..., P, G] or [..., P, G, T].
        logp: Log-probabilities under the sampling policy [..., P, G, T].
        agent: Which agent acted [..., P, G, T].
        mask: Which calls took place [..., P, G, T]; None for all.
        clip_scale: This and what follows as in `lab.objectives.ppo.ppo_clip`, for each agent alone.
        clip_low: Width of the clip below 1.
        clip_high: Width of the clip above 1.
        dual_clip: Bound of the loss where A < 0, in units of -A.
        delta: Cap of the unclipped ratio.
        aggregation: How the calls of an agent are averaged.

    Returns:
        Weights on grad log pi [..., P, G, T].

    Source: arXiv 2602.08847; each agent (or shared model) has its own loss and learning rate.
    """
    given: dict[str, Any] = {
        "logp": logp, "clip_scale": clip_scale, "clip_low": clip_low, "clip_high": clip_high,
        "dual_clip": dual_clip, "delta": delta, "aggregation": aggregation,
    }  # fmt: skip
    return np.asarray(sum(ppo_clip(logp_new, advantage, mask=own, **given) for own in _calls(agent, mask).values()))
