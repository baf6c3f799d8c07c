"""MARBLE: the rewards' gradients by their directions alone, balanced by a small quadratic program and smoothed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.combining.min_norm import min_norm
from lab.composites import method
from lab.errors import check_number
from lab.registry import register

__all__ = ["marble"]

Array = NDArray[Any]


def _fresh(runs: int) -> dict[str, Array]:
    """What is remembered before the first step: nothing, not even how many rewards there are."""
    return {"shares": np.zeros((runs, 0))}


@register(
    "combine", "marble", paper="marble", memory=_fresh,
    equation="α ← e α + (1 − e) c,  c_k ∝ a_k/‖g_k‖,  a = argmin_{a ≥ 0, Σ a = 1} ‖Σ_k a_k g_k/‖g_k‖‖²",
)  # fmt: skip
def marble(
    gradients: Array, *, memory: Mapping[str, Array], ema: float = 0.9, every: int = 1
) -> tuple[Array, dict[str, Array]]:
    """MARBLE: shares under which no reward's gradient is opposed, by direction alone, averaged over the steps.

    The quadratic program is `min_norm` among gradients of length 1. Its solver looks at every face of the simplex and
    solves a linear system on each: it is exact, has no tolerance and needs no package for at most eight rewards, where
    the usual iteration (Frank and Wolfe) comes near in some hundred rounds. For two rewards that is the closed form
    a_1 = clip(⟨h_2 − h_1, h_2⟩ / ‖h_1 − h_2‖², 0, 1). A reward that is the same in every group has no gradient and no
    share.

    In its amortised form gradients are taken at every N-th step alone; between them the shares are those that are
    remembered, and a step costs hardly more than with one reward. That is exact for an objective that is affine in the
    advantages, such as `diffusion-nft`: the gradient of the losses' sum is the sum of the gradients. `marble@amortised`
    has N = 10: five rewards then take at most 1.3 times the time of one, with N = 5 1.35 (a gradient of its own for
    each reward is a walk back through the network, five of them at every fifth step are one more at each). Its e is
    0.9^10 = 0.35, so that it looks back on as many steps as with the program at every one; with e = 0.9 it would look
    back on ten times as many, and lose the reward that few samples earn.

    Args:
        gradients: One for each reward [K, S, N]; on a step without gradients [K, S, 0].
        memory: "shares" [S, K] of the last step; empty before the first, when each is taken for 1/K.
        ema: e, the part of the remembered shares that stays, from 0 to 1 (1 not included).
        every: N, steps from one program to the next.

    Returns:
        Shares [K, S], at least 0, that sum to 1; and what is remembered.

    Raises:
        InputError: There are more than eight rewards, or `ema` or `every` is no such number.

    Source: arXiv 2605.06507; e, N and the constraints of the program are the lab's choice where they could not be read.
    """
    check_number("ema", ema, lambda e: 0 <= e < 1, "a number from 0 to below 1")
    number, runs, size = gradients.shape
    before = memory["shares"] if memory["shares"].size else np.full((runs, number), 1.0 / number)
    shares = before if size == 0 else ema * before + (1 - ema) * min_norm(gradients, unit=True).T
    return np.ascontiguousarray(shares.T), {"shares": shares}


_NOTE = "one gradient per reward, balanced so that none is opposed, and one step along their mix"
_MADE: dict[str, Any] = {"advantage": "flow-grpo", "objective": ("diffusion-nft", {"velocity_kl": 0.0}),
                         "max_grad_norm": 1.0, "paper": "marble"}  # fmt: skip
method("marble", combine="marble", note=_NOTE, **_MADE)
method("marble@amortised", combine=("marble", {"every": 10, "ema": 0.35}), **_MADE,
       note=f"{_NOTE}; balanced anew at every tenth step")  # fmt: skip
