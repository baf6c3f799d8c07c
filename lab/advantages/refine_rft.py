"""MRN: each reward normalised in its group, weighted and added; GDPO without its batch step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lab.advantages.gdpo import _worked as _worked_gdpo
from lab.advantages.gdpo import decoupled
from lab.advantages.grpo import CENTRED, largest
from lab.advantages.statistics import Array
from lab.composites import method
from lab.registry import register

_FIXED = {"ddof": 1, "single": "zero", "leave_out": False}


def _worked(rewards: Array, prompt: int, rollout: int, options: Mapping[str, Any]) -> str:
    return _worked_gdpo(rewards, prompt, rollout, {**options, **_FIXED, "batch_norm": "none"})


@register(
    "advantage",
    paper="refine-rft",
    equation="A = Σₖ wₖ (rₖ − meanₖ)/(stdₖ + ε)",
    properties=CENTRED | {"scale", "bounded"},
    bound=lambda shape: shape.components * largest(shape),
    worked=_worked,
    components=True,
)
def mrn(rewards: Array, *, weights: Array | None = None, eps: float = 1e-4) -> Array:
    """MRN, multi-reward normalisation: A = sum_k w_k (r_k - mean_k)/(std_k + eps), no step over the batch.

    Its mean square grows as the number of rewards, so the learning rate depends on how many there are.

    Args:
        rewards: Reward components [..., P, G, K].
        weights: Weight of each component [K]; ones by default. They are not divided by their sum.
        eps: Floor of each sample deviation, in units of that reward.

    Returns:
        Advantages [..., P, G]. A component that is constant in the group contributes 0; a group of one gets 0 (the
        source gives NaN).

    Source: arXiv 2601.06993, multi-reward normalisation; golden file refine-rft.json.
    """
    weight = np.ones(rewards.shape[-1]) if weights is None else np.asarray(weights)
    return decoupled(rewards, weight.astype(rewards.dtype), eps=eps, **_FIXED)  # type: ignore[arg-type]


method("refine-rft", advantage="mrn", objective=("gpg", {"aggregation": "seq-mean-token-mean"}), paper="refine-rft",
       note="each reward normalised on its own, one step without a ratio")  # fmt: skip
