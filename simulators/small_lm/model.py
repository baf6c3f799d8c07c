"""A decoder-only transformer for S independent runs at once: every weight carries a leading S axis.

Pre-norm blocks with rotary positions, RMSNorm without bias, a feed-forward layer of squared ReLUs and the embedding
reused as the unembedding. All parameters of a run are one row of a flat buffer [S, N]; a matrix product of [S, rows, d]
with [S, d, k] then serves all runs in one call, and one backward pass gives every run its own gradient.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Cache", "Shape", "Transformer"]


@dataclass(frozen=True)
class Shape:
    """Sizes of a model.

    Attributes:
        vocabulary: number of tokens V.
        layers: number of blocks.
        width: d, a multiple of `heads`; d / heads is even, because rotary positions turn pairs.
        heads: attention heads.
        inner: width of the feed-forward layer; 0: 4 d.
        base: the slowest rotary wave has a length of about 2π · base tokens.
    """

    vocabulary: int
    layers: int = 2
    width: int = 64
    heads: int = 4
    inner: int = 0
    base: float = 10000.0

    def __post_init__(self) -> None:
        for name in ("vocabulary", "layers", "width", "heads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}; it must be at least 1")
        if self.width % self.heads or self.width // self.heads % 2:
            raise ValueError(f"width={self.width}, heads={self.heads}; width / heads must be whole and even")


class Cache:
    """Keys and values of what was read so far, so that the next token costs one position.

    Args:
        layers: number of blocks.
        length: most positions.
    """

    def __init__(self, layers: int, length: int) -> None:
        self.length, self.filled = length, 0
        self.keys: list[Tensor | None] = [None] * layers
        self.values: list[Tensor | None] = [None] * layers

    def extend(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Append keys and values [..., L, dh] of one block; returns all that are there."""
        if self.keys[layer] is None:
            room = (*key.shape[:-2], self.length, key.shape[-1])
            self.keys[layer], self.values[layer] = key.new_empty(room), key.new_empty(room)
        keys, values = self.keys[layer], self.values[layer]
        assert keys is not None and values is not None
        end = self.filled + key.shape[-2]
        keys[..., self.filled : end, :], values[..., self.filled : end, :] = key, value
        return keys[..., :end, :], values[..., :end, :]

    def repeated(self, times: int) -> Cache:
        """The same past for `times` continuations of each row: [S, P, ...] -> [S, P · times, ...]."""
        new = Cache(len(self.keys), self.length)
        new.filled = self.filled
        new.keys = [k.repeat_interleave(times, dim=1) for k in self.keys if k is not None]
        new.values = [v.repeat_interleave(times, dim=1) for v in self.values if v is not None]
        return new


class Transformer:
    """The model as functions of a flat parameter buffer.

    Args:
        shape: its sizes.
        length: most positions of a sequence L.
        device: where its constants live.

    Attributes:
        size: number of parameters of one run N.
    """

    def __init__(self, shape: Shape, length: int, device: str | torch.device = "cpu") -> None:
        d, inner = shape.width, shape.inner or 4 * shape.width
        self.shape, self.length = shape, length
        block = {"norm1": (d,), "qkv": (d, 3 * d), "out": (d, d), "norm2": (d,), "up": (d, inner),
                 "down": (inner, d)}  # fmt: skip
        self.parts: dict[str, tuple[int, ...]] = {"embedding": (shape.vocabulary, d), "norm": (d,)}
        for layer in range(shape.layers):
            self.parts |= {f"{layer}.{name}": size for name, size in block.items()}
        self._sizes = [math.prod(size) for size in self.parts.values()]
        self.size = sum(self._sizes)
        half = d // shape.heads // 2
        angle = torch.arange(length)[:, None] * shape.base ** (-torch.arange(half) / half)
        self._cos, self._sin = angle.cos().to(device), angle.sin().to(device)
        self._causal = torch.ones(length, length, dtype=torch.bool, device=device).tril()

    def initial(self, seed: int) -> Tensor:
        """Fresh parameters of one run [N]: normal weights of deviation 1/√fan-in, gains of 1."""
        draw = torch.Generator().manual_seed(seed)
        depth = 1 / math.sqrt(2 * self.shape.layers)
        parts = []
        for name, size in self.parts.items():
            if "norm" in name:
                parts.append(torch.ones(size))
                continue
            fan = self.shape.width if name == "embedding" else size[0]
            scale = (depth if name.endswith(("out", "down")) else 1.0) / math.sqrt(fan)
            parts.append(torch.randn(size, generator=draw) * scale)
        return torch.cat([part.reshape(-1) for part in parts])

    def split(self, parameters: Tensor) -> dict[str, Tensor]:
        """Named views [S, ...] of a buffer [S, N]."""
        pieces = parameters.split(self._sizes, dim=1)
        named = zip(self.parts.items(), pieces, strict=True)
        return {name: piece.unflatten(1, size) for (name, size), piece in named}

    def logits(
        self, weights: dict[str, Tensor], tokens: Tensor, real: Tensor | None, cache: Cache | None = None
    ) -> Tensor:
        """Logits of the next token at every position [S, B, L, V].

        Args:
            weights: `split` of the parameters.
            tokens: [S, B, L]; with a cache these are the L tokens behind what was read.
            real: which positions may be attended to, cached ones included [S, B, past + L]; padding stands in front,
                and rotary positions are relative, so it moves nothing. None: all.
            cache: what was read so far; it is extended.
        """
        runs, rows, length = tokens.shape
        past = 0 if cache is None else cache.filled
        embedding = weights["embedding"]
        # one lookup for all runs: rows of run s stand V · s further down
        offset = torch.arange(runs, device=tokens.device)[:, None] * self.shape.vocabulary
        x = F.embedding(tokens.reshape(runs, -1) + offset, embedding.reshape(-1, self.shape.width))
        turn = self._cos[past : past + length, None], self._sin[past : past + length, None]
        seen = self._seen(real, past, length)
        for layer in range(self.shape.layers):
            own = {name: weights[f"{layer}.{name}"] for name in ("norm1", "qkv", "out", "norm2", "up", "down")}
            x = x + self._attention(own, _normed(x, own["norm1"]), (runs, rows, length), turn, seen, cache, layer)
            x = x + F.relu(_normed(x, own["norm2"]) @ own["up"]).square() @ own["down"]
        if cache is not None:
            cache.filled = past + length
        return (_normed(x, weights["norm"]) @ embedding.mT).unflatten(1, (rows, length))

    def _seen(self, real: Tensor | None, past: int, length: int) -> Tensor | None:
        """Which positions each position sees [S, B, 1, L, past + L], None for all so far; a padded one sees itself."""
        if real is None and (length == 1 or not past):
            return None
        causal = self._causal[past : past + length, : past + length]
        if real is None:
            return causal
        own = torch.eye(past + length, dtype=torch.bool, device=real.device)[past:]
        return (causal & real[:, :, None, None, :]) | own

    def _attention(
        self, own: dict[str, Tensor], x: Tensor, size: tuple[int, int, int], turn: tuple[Tensor, Tensor],
        seen: Tensor | None, cache: Cache | None, layer: int,
    ) -> Tensor:  # fmt: skip
        runs, rows, length = size
        heads = self.shape.heads
        qkv = (x @ own["qkv"]).view(runs, rows, length, 3 * heads, -1)
        turned = _turned(qkv[..., : 2 * heads, :], *turn)
        query, key = turned.transpose(2, 3).split(heads, dim=2)
        value = qkv[..., 2 * heads :, :].transpose(2, 3)
        if cache is not None:
            key, value = cache.extend(layer, key, value)
        if seen is None and length == 1:
            mixed = (query @ key.mT / query.shape[-1] ** 0.5).softmax(-1) @ value  # for one position the quicker way
        else:
            mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=seen, is_causal=seen is None)
        return mixed.transpose(2, 3).reshape(runs, rows * length, -1) @ own["out"]


def _normed(x: Tensor, gain: Tensor) -> Tensor:
    """RMSNorm of [S, rows, d] with a gain for each run [S, d]; torch's own takes twice as long for rows this short."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * gain[:, None]


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions: pairs of coordinates of [..., L, heads, dh] turned by their position's angle."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)
