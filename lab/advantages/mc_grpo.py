"""MC-GRPO: the median in place of the mean, one rollout more, and the median rollout left out of the update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lab.advantages.credit import Credit
from lab.advantages.grpo import CENTRED, largest
from lab.advantages.statistics import Array, mean_std, median, scored, weighted_total
from lab.composites import method
from lab.registry import preset, register

_NOT_ZERO = 1e-6


def _all_but_smallest(values: Array) -> Array:
    """False at the first smallest value of each group, missing ones left aside; True elsewhere [..., n]."""
    keep = np.ones(values.shape, dtype=bool)
    index = np.argmin(np.where(np.isnan(values), np.inf, values), axis=-1, keepdims=True)
    np.put_along_axis(keep, index, False, axis=-1)
    return keep


def _normalised(rewards: Array, eps: float) -> tuple[Array, Array, Array, Array]:
    """Advantages before any rescaling [..., n]; how many are not zero, median and MAD [..., 1]."""
    middle = median(rewards)
    spread = median(np.abs(rewards - middle))
    advantage = (rewards - middle) / (spread + eps)
    return advantage, (np.abs(advantage) > _NOT_ZERO).sum(axis=-1, keepdims=True), middle, spread


def _worked(rewards: Array, prompt: int, rollout: int, options: Mapping[str, Any]) -> str:
    """One rollout's numbers, times n over the number of non-zero advantages in the `gsm` form."""
    group = weighted_total(rewards, options["weights"])[prompt]
    _, alive, middle, spread = _normalised(group, options["eps"])
    text = f"({group[rollout]:.4g} − {middle.item():.4g}) / ({spread.item():.4g} + {options['eps']:.4g})"
    return f"{text} · {scored(group).item():.0f} / {max(alive.item(), 1)}" if options["rescale"] else text


@register(
    "advantage",
    "mc-grpo",
    paper="mc-grpo",
    equation="A = (R − median) / (MAD + 10⁻³),  the median rollout is dropped",
    properties={"shift", "scale", "permutation", "silent", "groupwise"},
    worked=_worked,
)
def mc_grpo(rewards: Array, *, eps: float = 1e-3, rescale: bool = False) -> Credit:
    """MC-GRPO: A = (R - median)/(MAD + eps); the rollout at the median is removed from the update.

    MAD is the median of |R - median|, without the factor 1.4826. It is 0 whenever more than half of the rewards
    coincide, which is always so for binary rewards: the minority then gets ±1/eps, so clip gradient norms.

    Args:
        rewards: Total rewards [..., P, n] of all n = G + 1 rollouts; for even n the lower middle value is the median.
        eps: Floor of the MAD, in units of reward.
        rescale: The released `gsm` form: times n over the number of advantages with |A| > 1e-6.

    Returns:
        Credit with advantages [..., P, n] and `keep`, False at the pivot (the first rollout at the median).

    Source: MC-GRPO, arXiv 2601.22582, steps 1-4; golden file mc-grpo.json.
    """
    advantage, alive, middle, _ = _normalised(rewards, eps)
    if rescale:
        advantage = advantage * (scored(rewards) / np.maximum(alive, 1)).astype(rewards.dtype)
    return Credit(advantage, keep=_all_but_smallest(np.abs(rewards - middle)))


@register(
    "advantage",
    "mc-grpo-control",
    paper="mc-grpo",
    equation="A = (R − mean) / (std + ε) over n rollouts, the smallest |R| is dropped",
    properties=CENTRED | {"scale", "bounded"},
    bound=largest,
    worked="({r} − {mean}) / ({std} + {eps})",
)
def mc_grpo_control(rewards: Array, *, eps: float = 1e-4) -> Credit:
    """The control of MC-GRPO's authors: mean and std over all n rollouts, the smallest |reward| dropped.

    Args:
        rewards: Total rewards [..., P, n] of all n = G + 1 rollouts.
        eps: Floor of the sample deviation.

    Returns:
        Credit with advantages [..., P, n] and `keep`, False at the first rollout of smallest |reward|.

    Source: MC-GRPO, arXiv 2601.22582, control (mc=False); golden file mc-grpo.json (`mean_baseline_gsm`).
    """
    mean, std = mean_std(rewards)
    return Credit((rewards - mean) / (std + eps), keep=_all_but_smallest(np.abs(rewards)))


preset("advantage", "mc-grpo@gsm", "mc-grpo", "the released `gsm` trainer: rescaled by n over the non-zero ones",
       equation="A = (R − median) / (MAD + 10⁻³) · n / n≠₀,  the median rollout is dropped",
       rescale=True)  # fmt: skip

method("mc-grpo", advantage="mc-grpo", extra_rollouts=1, max_grad_norm=1.0, paper="mc-grpo",
       note="median of G+1 rollouts, gradient norm clipped at 1")  # fmt: skip
method("mc-grpo@gsm", advantage="mc-grpo@gsm", extra_rollouts=1, max_grad_norm=1.0, paper="mc-grpo",
       note="the released gsm form")  # fmt: skip
method("mc-grpo-control", advantage="mc-grpo-control", extra_rollouts=1, paper="mc-grpo",
       note="mean and std of G+1 rollouts, the smallest |R| dropped")  # fmt: skip
