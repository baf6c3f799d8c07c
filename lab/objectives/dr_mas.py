"""Dr. MAS: every agent has a clipped surrogate of its own, averaged over its own calls."""

from __future__ import annotations

import numpy as np

from lab.composites import method
from lab.objectives.formula import Formula, Terms, formula
from lab.objectives.ppo import clip_of_tokens
from lab.objectives.tokens import Array, scale


@formula(
    "dr-mas",
    paper="dr-mas",
    equation="w = cₙ·A·ρ unless clipped,  cₙ = 1 / (calls of agent n in the batch)",
    aggregation="token-mean",
    clips=True,
)
def dr_mas(
    t: Terms,
    *,
    agent: Array,
    clip_scale: Array | None = None,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    dual_clip: float | None = None,
    delta: float | None = None,
) -> Formula:
    """PPO's clipped surrogate once per agent, over its own calls: a rarely called agent is not averaged away.

    Args:
        t: Terms of the batch.
        agent: Which agent acted [..., P, G, T].
        clip_scale: This and what follows as in `lab.objectives.ppo.ppo_clip`, for each agent alone.
        clip_low: Width of the clip below 1.
        clip_high: Width of the clip above 1.
        dual_clip: Bound of the loss where A < 0, in units of -A.
        delta: Cap of the unclipped ratio.

    Returns:
        Weights on grad log pi [..., P, G, T].

    Source: arXiv 2602.08847; each agent (or shared model) has its own loss and learning rate.
    """
    real = np.ones(np.shape(agent), dtype=bool) if t.mask is None else np.asarray(t.mask, dtype=bool)
    t.c = sum(scale(real & (agent == n), t.new, *t.share) for n in np.unique(agent))
    return clip_of_tokens(t, clip_scale, clip_low, clip_high, dual_clip, delta)


method("dr-mas", advantage="dr-mas", objective="dr-mas", paper="dr-mas",
       note="each agent normalised and averaged over its own calls")  # fmt: skip
method("dr-mas-global", advantage="dr-mas-global", objective="dr-mas", paper="dr-mas",
       note="one mean and deviation for all agents, the baseline of Dr. MAS")  # fmt: skip
