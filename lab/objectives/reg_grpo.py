"""Reg-GRPO: the log-ratios of a group, standardised, are regressed onto its advantages; nothing is clipped."""

from __future__ import annotations

import numpy as np

from lab.composites import method
from lab.objectives.formula import Formula, Terms, formula
from lab.objectives.tokens import Array


@formula(
    "reg-grpo",
    paper="reg-grpo",
    equation="w = 2/(P·G·s) · (e − mean(e) − Z·mean(e·Z)),  e = A − Z,  Z = (ρ − mean)/s,  s = √(var ρ + ε²)",
    coupled=True,
)
def reg_grpo(t: Terms, *, eps: float = 1e-4) -> Formula:
    """Regressive GRPO: loss (1/G) sum (A - Z)^2 per prompt, Z the group's standardised sequence log-ratios.

    The loss sees only the correlation of A and rho (it is 2(1 - c) for eps = 0), so nothing limits the size of a step:
    weights grow as 1/s, and gradient-norm clipping belongs to the method. On policy w is 2/(G eps) times GRPO's.
    Advantages are standardised rewards (population deviation).

    Args:
        t: Terms of the batch.
        eps: Floor of the log-ratios' deviation, nats.

    Returns:
        Weights [..., P, G, T], the same for every valid token of a rollout; they sum to 0 over a group. A group of two
        has none off policy (Z is then ±1 whatever the ratios), a group of one never.

    Source: arXiv 2506.07464, sections 3.1-3.2; deviation and eps are the lab's choice.
    """
    centred = t.log_ratios - t.log_ratios.mean(axis=-1, keepdims=True)
    s = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + eps**2)
    a, z = t.per_rollout, centred / np.where(s > 0, s, 1.0)
    e = a - z

    def weights() -> Array:
        inner = e - e.mean(axis=-1, keepdims=True) - z * (e * z).mean(axis=-1, keepdims=True)
        return t.at_tokens(np.where(s > 0, 2 * inner / np.where(s > 0, s, 1.0), 0.0) / (a.shape[-1] * a.shape[-2]))

    return Formula(weights, lambda: np.asarray((e**2).mean(axis=(-2, -1))))


method("reg-grpo", advantage=("grpo", {"ddof": 0, "eps": 0.0}), objective="reg-grpo", kl="k3", kl_beta=0.1,
       max_grad_norm=1.0, paper="reg-grpo", note="log-ratios regressed onto advantages, no clip")  # fmt: skip
