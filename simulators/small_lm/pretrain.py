"""Supervised learning of a task's own solutions, stopped at a chosen accuracy: something is left to reinforce."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["imitate"]

_CHECK = 25  # optimizer steps between two looks at the accuracy


def imitate(
    weights: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
    accuracy: Callable[[Tensor], float],
    *,
    examples: int,
    wanted: float,
    seed: int = 0,
    batch: int = 64,
    lr: float = 3e-3,
    most: int = 4000,
) -> Tensor:
    """Adam on batches of solutions until the sampled accuracy is reached.

    Args:
        weights: where to begin [1, N].
        loss: weights [1, N] and indices of examples [batch] -> mean cross-entropy of the solutions' tokens.
        accuracy: weights [1, N] -> share of right answers when sampled.
        examples: number of examples.
        wanted: accuracy at which to stop.
        seed: draws the batches.
        batch: examples per step.
        lr: learning rate; it falls to a tenth over `most` steps.
        most: steps after which it stops whatever the accuracy.

    Returns:
        The weights [1, N].
    """
    draw = torch.Generator().manual_seed(seed)
    weights = weights.clone().requires_grad_()
    optimizer = torch.optim.Adam([weights], lr=lr, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, most)
    for step in range(most):
        if step % _CHECK == 0 and accuracy(weights.detach()) >= wanted:
            break
        optimizer.zero_grad()
        loss(weights, torch.randint(examples, (batch,), generator=draw)).backward()
        torch.nn.utils.clip_grad_norm_([weights], 1.0)
        optimizer.step()
        schedule.step()
    return weights.detach()
