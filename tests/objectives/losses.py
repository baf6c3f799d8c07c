"""The losses as their papers write them, in torch, and the gradient that autograd takes of them.

Written from the papers' formulas and without a line of the lab's; `torch` comes with the tests.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]


def aggregate(values: Tensor, mask: Tensor, how: str, max_length: int | None = None, floor: float = 0.0) -> Tensor:
    """One number from a loss per token [P, G, T], rollout by rollout."""
    lengths = mask.sum(-1)
    if how == "token-mean":
        return (values * mask).sum() / lengths.sum()
    if how == "token-sum":
        return (values * mask).sum()
    sums = []
    for p, g in np.ndindex(*mask.shape[:2]):
        if lengths[p, g] > 0:
            sums.append((values[p, g] * mask[p, g]).sum() / {
                "seq-mean-token-mean": lengths[p, g] + floor,
                "seq-mean-token-sum": 1.0,
                "seq-mean-token-sum-norm": max_length or mask.shape[-1],
            }[how])  # fmt: skip
    return torch.stack(sums).mean()


def clipped(rho: Tensor, a: Tensor, low: float, high: float) -> Tensor:
    return torch.maximum(-a * rho, -a * rho.clamp(1 - low, 1 + high))


def ratio(new: Tensor, old: Tensor) -> Tensor:
    return (new - old).clamp(-20, 20).exp()


def choose(condition: Tensor, yes: float, no: float) -> Tensor:
    """`torch.where` of two numbers would be float32."""
    return no + (yes - no) * condition.to(torch.float64)


def mean_over_tokens(values: Tensor, mask: Tensor, floor: float = 0.0) -> Tensor:
    return (values * mask).sum(-1, keepdim=True) / (mask.sum(-1, keepdim=True) + floor).clamp(min=1e-8)


def ppo_clip(
    new: Tensor, old: Tensor, a: Tensor, mask: Tensor, *, clip_low: float = 0.2, clip_high: float = 0.2,
    dual_clip: float | None = None, delta: float | None = None,
) -> Tensor:  # fmt: skip
    """verl's dual clip; TRL's delta caps the ratio of the unclipped term."""
    rho = ratio(new, old)
    capped = rho if delta is None else rho.clamp(max=delta)
    loss = torch.maximum(-a * capped, -a * rho.clamp(1 - clip_low, 1 + clip_high))
    return loss if dual_clip is None else torch.where(a < 0, torch.minimum(loss, -a * dual_clip), loss)


def gspo(
    new: Tensor, old: Tensor, a: Tensor, mask: Tensor, *, clip_low: float = 3e-4, clip_high: float = 4e-4
) -> Tensor:
    """verl's form: each token carries the sequence ratio, with its own token's gradient."""
    log_s = mean_over_tokens(new - old, mask).detach() + new - new.detach()
    return clipped(log_s.clamp(max=10).exp(), a, clip_low, clip_high)


def cispo(
    new: Tensor, old: Tensor, a: Tensor, mask: Tensor, *, clip_low: float = 0.2, clip_high: float = 0.28
) -> Tensor:
    return -ratio(new, old).clamp(1 - clip_low, 1 + clip_high).detach() * a * new


def gpg(new: Tensor, old: Tensor, a: Tensor, mask: Tensor) -> Tensor:
    return -a * new


def sapo(new: Tensor, old: Tensor, a: Tensor, mask: Tensor, *, tau_pos: float = 1.0, tau_neg: float = 1.05) -> Tensor:
    tau = choose(a > 0, tau_pos, tau_neg)
    return -a * torch.sigmoid(tau * (ratio(new, old) - 1)) * 4 / tau


def vespo(
    new: Tensor, old: Tensor, a: Tensor, mask: Tensor, *, k_pos: float = 2.0, lambda_pos: float = 3.0,
    k_neg: float = 3.0, lambda_neg: float = 2.0, through_phi: bool = False,
) -> Tensor:  # fmt: skip
    log_w = ((new - old).clamp(-20, 20) * mask).sum(-1, keepdim=True).clamp(float(np.log(1e-8)), 20)
    k, lam = choose(a >= 0, k_pos, k_neg), choose(a >= 0, lambda_pos, lambda_neg)
    phi = lam.exp() * log_w.exp() ** k * (-lam * log_w.exp()).exp()
    return -(phi if through_phi else phi.detach()) * a * new


PER_TOKEN = {"ppo_clip": ppo_clip, "gspo": gspo, "cispo": cispo, "gpg": gpg, "sapo": sapo, "vespo": vespo}


def gmpo(new: Tensor, old: Tensor, a: Tensor, mask: Tensor, *, clip_low: float = 0.4, clip_high: float = 0.4) -> Tensor:
    """Mean over rollouts of −A exp(mean over tokens of the one-sidedly clipped log-ratio)."""
    log_rho = (new - old).clamp(-20, 20)
    limited = torch.where(
        a > 0, log_rho.clamp(max=clip_high), torch.where(a < 0, log_rho.clamp(min=-clip_low), log_rho)
    )
    loss = -mean_over_tokens(a * torch.ones_like(new), mask, 1e-8) * mean_over_tokens(limited, mask, 1e-8).exp()
    return loss[mask.sum(-1) > 0].mean()


def luspo(
    new: Tensor, old: Tensor, a: Tensor, mask: Tensor, *, clip_low: float = 3e-4, clip_high: float = 4e-4
) -> Tensor:
    """Mean over rollouts of the sum over tokens, with the whole gradient of the sequence ratio."""
    s = mean_over_tokens(new - old, mask).clamp(max=10).exp()
    loss = (clipped(s, a, clip_low, clip_high) * mask).sum(-1)
    return loss[mask.sum(-1) > 0].mean()


WHOLE = {"gmpo": gmpo, "luspo": luspo}


def kl(kind: str, new: Tensor, ref: Tensor) -> Tensor:
    """Schulman's estimators of KL(π ‖ reference) per token; k3+ has the value of k3 and the gradient of k2."""
    d = ref - new
    clamped = d.clamp(-20, 20)
    k3 = (clamped.exp() - clamped - 1).clamp(-10, 10)
    table = {"k1": -d, "abs": d.abs(), "k2": d**2 / 2, "k3": k3, "k3+": k3.detach() + d**2 / 2 - (d**2 / 2).detach()}
    return table[kind]


def evaluate(
    name: str, new: Array, a: Array, old: Array, mask: Array | None, *, ref: Array | None = None,
    estimator: str | None = None, beta: float = 0.0, aggregation: str = "token-mean", max_length: int | None = None,
    floor: float = 0.0, **options: Any,
) -> tuple[float, Array]:  # fmt: skip
    """The loss and −d loss / d logp_new [P, G, T] of one run."""
    leaf = torch.tensor(new, dtype=torch.float64, requires_grad=True)
    before, advantage = torch.tensor(old), torch.tensor(a)
    if advantage.ndim == leaf.ndim - 1:
        advantage = advantage[..., None]
    valid = torch.ones_like(leaf) if mask is None else torch.tensor(mask, dtype=torch.float64)
    shape = {"how": aggregation, "max_length": max_length, "floor": floor}
    if name in WHOLE:
        loss = WHOLE[name](leaf, before, advantage, valid, **options)
    else:
        loss = aggregate(PER_TOKEN[name](leaf, before, advantage, valid, **options), valid, **shape)
    if estimator is not None:
        loss = loss + beta * aggregate(kl(estimator, leaf, torch.tensor(ref)), valid, **shape)
    (gradient,) = torch.autograd.grad(loss, leaf, materialize_grads=True)
    return loss.item(), -gradient.numpy()
