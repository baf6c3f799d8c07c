"""Reference loop: the same problem with torch and autograd, as one would write it first."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["train"]


def train(success: NDArray[Any], *, seeds: int, steps: int, group_size: int, lr: float, seed: int = 0) -> NDArray[Any]:
    """As `lab.bench.numpy_bandit.train`, the gradient by autograd of the surrogate, in float32.

    Args:
        success: Success probability of each arm [P, K].
        seeds: Number of runs S.
        steps: Number of updates.
        group_size: Rollouts per prompt G.
        lr: Learning rate.
        seed: Seed of torch's generator.

    Returns:
        Final logits [S, P, K].
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    prompts, arms = success.shape
    table = torch.as_tensor(success, dtype=torch.float32).expand(seeds, prompts, arms)
    logits = torch.zeros(seeds, prompts, arms, requires_grad=True)
    for _ in range(steps):
        logp = torch.log_softmax(logits, dim=-1)
        cumulative = logp.detach().exp().cumsum(-1)
        u = torch.rand(seeds, prompts, group_size, generator=generator) * cumulative[..., -1:]
        action = torch.searchsorted(cumulative, u).clamp_(max=arms - 1)
        reward = (torch.rand(u.shape, generator=generator) < table.gather(-1, action)).float()
        advantage = (reward - reward.mean(-1, keepdim=True)) / (reward.std(-1, keepdim=True) + 1e-4)
        surrogate = (advantage * logp.gather(-1, action)).sum() / (prompts * group_size)
        (gradient,) = torch.autograd.grad(surrogate, logits)
        with torch.no_grad():
            logits += lr * gradient
    return np.asarray(logits.detach().numpy(), dtype=np.float64)
