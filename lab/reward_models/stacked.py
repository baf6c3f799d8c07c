"""Small networks side by side: the parameters of S of them in one tensor, so that many seeds are fitted at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lab.errors import InputError

__all__ = ["Layer", "descend", "draws_of", "linear", "normals", "through"]

#: Weights [S, out, in] and offsets [S, out].
Layer = tuple[Tensor, Tensor]
_FURTHEST = 2**63


def draws_of(seeds: Sequence[int]) -> list[torch.Generator]:
    """A generator for each network."""
    torch.set_num_threads(1)  # the networks are small, and numbers do not depend on the cores
    return [torch.Generator().manual_seed(int(s) % _FURTHEST) for s in seeds]


def linear(draws: Sequence[torch.Generator], inputs: int, outputs: int) -> Layer:
    """A layer, uniform within ±1/√inputs, as torch's own."""
    shapes = (outputs, inputs), (outputs,)
    weight, offset = (torch.stack([torch.rand(shape, generator=d) * 2 - 1 for d in draws]) for shape in shapes)
    return weight / math.sqrt(inputs), offset / math.sqrt(inputs)


def normals(draws: Sequence[torch.Generator], *shape: int) -> Tensor:
    """Standard normals [S, ...]."""
    return torch.stack([torch.randn(shape, generator=d) for d in draws])


def through(layer: Layer, x: Tensor) -> Tensor:
    """The layer of each network on its own rows [S, ..., in] -> [S, ..., out]."""
    weight, offset = layer
    flat = torch.baddbmm(offset[:, None], x.flatten(1, -2), weight.mT)
    return flat.unflatten(1, x.shape[1:-1])


def descend(parts: Sequence[Tensor], loss: Callable[[int], Tensor], steps: int, lr: float) -> None:
    """AdamW without weight decay, in place: `loss` of each step [S] falls.

    Raises:
        InputError: The parameters do not stay finite.
    """
    for part in parts:
        part.requires_grad_()
    optimizer = torch.optim.AdamW(list(parts), lr=lr, weight_decay=0.0, fused=True)
    for step in range(steps):
        optimizer.zero_grad()
        loss(step).sum().backward()
        optimizer.step()
    for part in parts:
        part.requires_grad_(False)
    if not all(bool(part.isfinite().all()) for part in parts):
        raise InputError("the reward model's parameters are not finite; a smaller learning rate may help")
