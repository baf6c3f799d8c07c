"""The velocity field of S runs at once: a small network, the parameters of each run one row of a buffer [S, N]."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Velocity"]

_SPACE = 2  # coordinates of a sample


class Velocity:
    """v(x, t, c) of x [2], t, cos(πt) and the prompt as one of P, through hidden layers of SiLUs.

    Args:
        prompts: number of prompts P.
        width: of each hidden layer.
        layers: hidden layers.

    Attributes:
        size: number of parameters of one run N.

    Source: flow-substrate card, world and pretraining.
    """

    def __init__(self, prompts: int = 4, width: int = 64, layers: int = 3) -> None:
        self.prompts = prompts
        ends = [_SPACE + 2 + prompts, *[width] * layers, _SPACE]
        self._parts: list[tuple[int, ...]] = []
        for rows, columns in zip(ends[1:], ends[:-1], strict=True):
            self._parts += [(rows, columns), (rows,)]
        self._sizes = [math.prod(part) for part in self._parts]
        self.size = sum(self._sizes)

    def initial(self, seed: int) -> Tensor:
        """Fresh parameters of one run [N]: uniform within ±1/√fan-in, as torch's linear layers."""
        draw, parts = torch.Generator().manual_seed(seed), []
        for matrix, bias in zip(self._parts[::2], self._parts[1::2], strict=True):
            for part in (matrix, bias):
                parts.append((torch.rand(part, generator=draw) * 2 - 1).reshape(-1) / math.sqrt(matrix[1]))
        return torch.cat(parts)

    def __call__(self, parameters: Tensor, x: Tensor, t: Tensor | float, prompt: Tensor) -> Tensor:
        """Velocities [S, B, 2].

        Args:
            parameters: [S, N].
            x: where [S, B, 2].
            t: when, from 0 (data) to 1 (noise), [S, B] or what broadcasts to it.
            prompt: of each sample [S, B].
        """
        when = torch.as_tensor(t, dtype=x.dtype, device=x.device).expand(x.shape[:-1])
        one_of = F.one_hot(prompt.expand(x.shape[:-1]), self.prompts).to(x.dtype)
        h = torch.cat((x, when[..., None], torch.cos(math.pi * when)[..., None], one_of), dim=-1)
        pieces = parameters.split(self._sizes, dim=1)
        parts = [piece.unflatten(1, part) for piece, part in zip(pieces, self._parts, strict=True)]
        for matrix, bias in zip(parts[:-2:2], parts[1:-2:2], strict=True):
            h = F.silu(torch.baddbmm(bias[:, None], h, matrix.mT))
        return torch.baddbmm(parts[-1][:, None], h, parts[-2].mT)
