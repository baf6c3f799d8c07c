"""Reward models fitted to comparisons: S small networks at once, their parameters stacked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from simulators.errors import check_count
from simulators.learned_reward.annotators import Comparisons
from simulators.learned_reward.gold import STANDARD, Draw
from simulators.learned_reward.perceptron import Perceptron
from simulators.records import Floats

__all__ = ["Batch", "Loss", "fit", "hidden_of", "margins", "scores", "standardised"]

_STANDARD_SEED, _LANES = 777, 64


class Batch(NamedTuple):
    """The comparisons of one step of the optimizer.

    Attributes:
        pairs: Chosen and rejected responses [S, B, 2, D].
        real: 1 for comparisons, 0 for what fills up the last batch [S, B].
        given: Numbers of these comparisons by name [S, B], such as the strength of each.
        draws: A generator for each run.
    """

    pairs: Tensor
    real: Tensor
    given: Mapping[str, Tensor]
    draws: Sequence[torch.Generator]

    def mean(self, each: Tensor) -> Tensor:
        """Mean over the comparisons of the batch [S, B] -> [S]."""
        return (each * self.real).sum(1) / self.real.sum(1)


#: Stacked parameters and a batch -> loss of each run [S].
Loss = Callable[[Sequence[Tensor], Batch], Tensor]


def hidden_of(parts: Sequence[Tensor], x: Tensor) -> Tensor:
    """Hidden layer [S, N, H] of responses [S, N, D], differentiable."""
    return F.silu(torch.baddbmm(parts[1][:, None], x, parts[0].mT))


def scores(parts: Sequence[Tensor], x: Tensor) -> Tensor:
    """Scores [S, N] of responses [S, N, D], differentiable; no comparison tells of a constant, so there is none."""
    return torch.bmm(hidden_of(parts, x), parts[2][:, :, None])[..., 0]


def margins(parts: Sequence[Tensor], batch: Batch) -> Tensor:
    """r(chosen) − r(rejected) [S, B], differentiable."""
    both = scores(parts, batch.pairs.flatten(1, 2)).unflatten(1, (-1, 2))
    return both[..., 0] - both[..., 1]


def bradley_terry(parts: Sequence[Tensor], batch: Batch) -> Tensor:
    """Mean of −log σ(margin) [S]."""
    return batch.mean(F.softplus(-margins(parts, batch)))


def fit(
    comparisons: Comparisons, seeds: Sequence[int], *, loss: Loss = bradley_terry,
    given: Mapping[str, Floats] | None = None, hidden: int = 64, lr: float = 3e-3, weight_decay: float = 0.0,
    batch: int = 64, epochs: int = 5,
) -> Perceptron:  # fmt: skip
    """S reward models of one hidden layer of SiLUs, each on its own comparisons (or all on the same), by AdamW.

    Args:
        comparisons: S sets, or one for all.
        seeds: Of the first weights and of the order of the comparisons [S].
        loss: What falls.
        given: Numbers of the comparisons that the loss reads, by name [S, N].
        hidden: Width H.
        lr: Learning rate.
        weight_decay: Of AdamW.
        batch: Comparisons per step.
        epochs: Passes over the comparisons.

    Returns:
        The S networks, in float64. A network does not depend on which others stand beside it.

    Raises:
        ValueError: As many sets as seeds are needed; or the parameters do not stay finite.

    Source: preference-substrate card, reward model and training.
    """
    count, pairs = len(seeds), len(comparisons)
    for name, value in (("hidden", hidden), ("batch", batch), ("epochs", epochs), ("pairs", pairs)):
        check_count(name, value, least=1)
    if comparisons.sets not in (1, count) or not count:
        raise ValueError(f"{comparisons.sets} sets of comparisons for {count} seeds; one each is needed, or one in all")
    torch.set_num_threads(1)  # the networks are small, and numbers do not depend on the cores
    numbers = [int(s) % 2**63 for s in seeds] * (2 if count == 1 else 1)  # a batch of one is added up in another order
    data = _stacked(np.stack([comparisons.chosen, comparisons.rejected], axis=2), len(numbers))
    told = {name: _stacked(np.asarray(array), len(numbers)) for name, array in (given or {}).items()}
    starts = [_initial(s, data.shape[-1], hidden) for s in numbers]
    parts = [torch.stack(each).requires_grad_() for each in zip(*starts, strict=True)]
    optimizer = torch.optim.AdamW(parts, lr=lr, weight_decay=weight_decay, fused=True)
    draws, which = [torch.Generator().manual_seed(s + 1) for s in numbers], torch.arange(len(numbers))[:, None]
    for _ in range(epochs):
        for index, real in _batches(pairs, batch, draws):
            optimizer.zero_grad()
            here = {name: array[which, index] for name, array in told.items()}
            loss(parts, Batch(data[which, index], real, here, draws)).sum().backward()
            optimizer.step()
    return _finished([part.detach()[:count] for part in parts])


def _batches(pairs: int, batch: int, draws: Sequence[torch.Generator]) -> Iterator[tuple[Tensor, Tensor]]:
    """Comparisons in a fresh order for each run, and which are real [S, B]; B is a multiple of `_LANES`.

    A vector's last elements are computed in another way than the others, so they must be no run's own.
    """
    order = torch.stack([torch.randperm(pairs, generator=draw) for draw in draws])
    for index in order.split(batch, dim=1):
        filled = torch.zeros(len(draws), -(-index.shape[1] // _LANES) * _LANES, dtype=torch.long)
        filled[:, : index.shape[1]] = index
        real = (torch.arange(filled.shape[1]) < index.shape[1]).float().expand(filled.shape)
        yield filled, real


def _stacked(array: Floats, count: int) -> Tensor:
    """One set for all, or a set each, in float32 [S, ...]."""
    return torch.from_numpy(np.broadcast_to(array, (count, *array.shape[1:])).astype(np.float32))


def _initial(seed: int, width: int, hidden: int) -> list[Tensor]:
    """Weights, offsets and out of one network, uniform within ±1/√fan-in, as torch's linear layers."""
    draw = torch.Generator().manual_seed(seed)
    shapes = ((hidden, width), width), ((hidden,), width), ((hidden,), hidden)
    return [(torch.rand(shape, generator=draw) * 2 - 1) / math.sqrt(fan) for shape, fan in shapes]


def _finished(parts: Sequence[Tensor]) -> Perceptron:
    weights, offsets, out = (p.double().numpy() for p in parts)
    if not all(np.isfinite(p).all() for p in (weights, offsets, out)):
        raise ValueError("the reward model's parameters are not finite; a smaller learning rate may help")
    return Perceptron(weights, offsets, out, np.zeros(len(out)))


def standardised(model: Perceptron, draw: Draw) -> Perceptron:
    """The models with mean 0 and deviation 1 on base responses, so that proxy and gold share their unit.

    Raises:
        ValueError: A model gives every response the same score.
    """
    seen: Floats = model(draw(np.random.default_rng(_STANDARD_SEED), STANDARD)[None])
    spread = seen.std(-1)
    if not (spread > 1e-9 * np.abs(seen).max(-1)).all():
        raise ValueError("the reward model gives every response the same score, so that nothing can be learned from it")
    return model.scaled(seen.mean(-1), spread)
