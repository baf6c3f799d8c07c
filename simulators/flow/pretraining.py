"""Flow matching: the network learns the velocity ε − x_0 at x_t = (1 − t) x_0 + t ε."""

from __future__ import annotations

import torch
from torch import Tensor

from simulators.flow.mixture import Mixture
from simulators.flow.network import Velocity

__all__ = ["match", "matching_loss", "noised"]

_BATCH, _LR = 512, 2e-3


def noised(data: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """x_t = (1 − t) x_0 + t ε [..., D] of data and noise [..., D] at times [...]."""
    return (1 - t[..., None]) * data + t[..., None] * noise


def matching_loss(model: Velocity, weights: Tensor, data: Tensor, noise: Tensor, t: Tensor, prompt: Tensor) -> Tensor:
    """Mean squared distance of the velocity at noised data from ε − x_0, of each run [S].

    Args:
        model: The network.
        weights: [S, N].
        data: x_0 [S, B, 2].
        noise: ε [S, B, 2].
        t: Times [S, B].
        prompt: Of each sample [S, B].
    """
    return (model(weights, noised(data, noise, t), t, prompt) - (noise - data)).square().mean((1, 2))


def match(model: Velocity, mixture: Mixture, steps: int, seed: int) -> Tensor:
    """Weights [N] after `steps` of Adam at 2e-3, falling to 0 as a cosine, on batches of 512; float32.

    Args:
        model: The network; each sample gets one of its prompts at random, and all have the same data.
        mixture: The data.
        steps: Of the optimizer; 0 leaves the weights as they begin.
        seed: Of the weights and the batches.

    Source: flow-substrate card, world and pretraining.
    """
    draw = torch.Generator().manual_seed(seed)
    centres = torch.from_numpy(mixture.centres).float()
    shares = torch.from_numpy(mixture.shares).float()
    weights = model.initial(seed)[None].requires_grad_()
    optimizer = torch.optim.Adam([weights], lr=_LR)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(steps, 1))
    for _ in range(steps):
        mode = torch.multinomial(shares, _BATCH, replacement=True, generator=draw)
        data = centres[mode] + mixture.deviation * torch.randn(_BATCH, 2, generator=draw)
        noise, t = torch.randn(_BATCH, 2, generator=draw), torch.rand(_BATCH, generator=draw)
        prompt = torch.randint(model.prompts, (1, _BATCH), generator=draw)
        optimizer.zero_grad()
        matching_loss(model, weights, data[None], noise[None], t[None], prompt).sum().backward()
        optimizer.step()
        schedule.step()
    return weights.detach()[0]
