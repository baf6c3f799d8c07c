"""Flow-GRPO: GRPO for a flow, whose denoising steps are the actions."""

from __future__ import annotations

import numpy as np

from lab.advantages.statistics import Array, batch_mean_std, difference, mean_std, over
from lab.composites import method
from lab.registry import preset, register


@register(
    "advantage",
    "flow-grpo",
    paper="flow-substrate",
    equation="A = clamp((R − mean) / (std of the batch + ε), ±5)",
    properties={"shift", "scale", "permutation", "silent", "bounded"},
    bound=lambda shape: 5.0,
)
def flow_grpo(rewards: Array, *, global_std: bool = True, eps: float = 1e-4, limit: float = 5.0) -> Array:
    """Flow-GRPO: A = (R - mean of the group)/(std + eps), clamped to ±limit; the same on every denoising step.

    Args:
        rewards: Total rewards [..., P, G].
        global_std: The population deviation of all P G rewards; False: of each group.
        eps: Floor of the deviation, in units of reward.
        limit: Largest magnitude of an advantage.

    Returns:
        Advantages [..., P, G].

    Source: Flow-GRPO, arXiv 2505.05470, flow_grpo/stat_tracking.py; golden file flow-substrate-adv.json.
    """
    mean, own = mean_std(rewards, 0, "zero")
    spread = batch_mean_std(rewards, 0)[1] if global_std else own
    return np.clip(over(difference(rewards, mean), spread + eps), -limit, limit)


preset("advantage", "flow-grpo@group-std", "flow-grpo", "the deviation of each group",
       {"shift", "scale", "permutation", "silent", "groupwise", "bounded"},
       equation="A = clamp((R − mean) / (std + ε), ±5)", global_std=False)  # fmt: skip
method("flow-grpo", advantage="flow-grpo", objective="ppo_clip", max_grad_norm=1.0, paper="flow-substrate",
       note="denoising steps are the actions, and the last one is left out")  # fmt: skip
