"""Small networks in torch: a perceptron of several layers, and the bottleneck of LaRe's baseline VIB."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lab.errors import InputError, check_number, check_whole

if TYPE_CHECKING:
    import torch

__all__ = ["apply", "bottleneck", "perceptron"]

Array = NDArray[np.float64]


def perceptron(widths: Sequence[int], rng: np.random.Generator) -> list[torch.Tensor]:
    """First weights and offsets of each layer, uniform within 1/√width, in float32.

    Raises:
        InputError: torch is missing.
    """
    try:
        import torch
    except ModuleNotFoundError:
        raise InputError("torch is not installed; pip install 'advantage-lab[torch]', or use `ridge`") from None
    torch.set_num_threads(1)  # the layers are small, and numbers do not depend on the cores
    return [
        torch.tensor(rng.uniform(-1, 1, shape) / np.sqrt(a), dtype=torch.float32, requires_grad=True)
        for a, b in pairwise(widths)
        for shape in ((a, b), (b,))
    ]


def apply(layers: Sequence[torch.Tensor], value: torch.Tensor) -> torch.Tensor:
    """The layers one after the other, with ReLU between them [..., first width] -> [..., last width]."""
    for i in range(0, len(layers), 2):
        value = value @ layers[i] + layers[i + 1]
        value = value.relu() if i + 2 < len(layers) else value
    return value


def bottleneck(
    inputs: ArrayLike, *, latent: int = 8, price: float = 5e-3, hidden: Sequence[int] = (64,), lr: float = 1e-3,
    steps: int = 400, batch: int = 512, seed: int = 0,
) -> Callable[[ArrayLike], Array]:  # fmt: skip
    """VIB: a variational autoencoder of the steps, whose latent means are what a decoder sees; needs torch.

    Loss: mean squared error of the reconstruction + price · KL(q(z|x) ‖ N(0, 1)), the KL summed over z, both a mean
    over the steps.

    Args:
        inputs: Steps [..., D].
        latent: Size of z.
        price: Of a nat of KL.
        hidden: Widths of the hidden layers, of encoder and decoder alike.
        lr: Learning rate of Adam.
        steps: Of the optimizer.
        batch: Steps per step of the optimizer.
        seed: Draws the first weights, the batches and the noise.

    Returns:
        Encoder [..., D] -> [..., latent].

    Raises:
        InputError: A number that is none, or torch is missing.

    Source: arXiv 2412.11120, the baseline VIB (latent of 8, price 5e-3); the other sizes are the lab's.
    """
    x, rng = np.asarray(inputs, dtype=np.float64), np.random.default_rng(seed)
    flat, size = x.reshape(-1, x.shape[-1]), check_whole("latent", latent, 1)
    check_number("price", price, lambda v: v >= 0, "a number of at least 0")
    widths = [x.shape[-1], *(check_whole("hidden", h, 1) for h in hidden)]
    encoder, decoder = perceptron([*widths, 2 * size], rng), perceptron([size, *widths[::-1]], rng)
    import torch

    optimizer = torch.optim.Adam([*encoder, *decoder], lr=lr, fused=True)
    for _ in range(check_whole("steps", steps, 0)):
        drawn = torch.tensor(flat[rng.integers(len(flat), size=check_whole("batch", batch, 1))], dtype=torch.float32)
        mean, log_variance = apply(encoder, drawn).split(size, dim=-1)
        noise = torch.tensor(rng.standard_normal(tuple(mean.shape)), dtype=torch.float32)
        again = apply(decoder, mean + noise * (log_variance / 2).exp())
        kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=-1).mean()
        loss: Any = ((again - drawn) ** 2).mean() + price * kl
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def encode(given: ArrayLike) -> Array:
        with torch.no_grad():
            found = apply(encoder, torch.tensor(np.asarray(given), dtype=torch.float32))
        return found[..., :size].numpy().astype(np.float64)

    return encode
