"""A decoder-only transformer for S independent runs at once: every weight carries a leading S axis.

Pre-norm blocks with rotary positions, RMSNorm without bias, a feed-forward layer of squared ReLUs and the embedding
reused as the unembedding. All parameters of a run are one row of a flat buffer [S, N]; a matrix product of [S, rows, d]
with [S, d, k] then serves all runs in one call, and one backward pass gives every run its own gradient.

A model this small spends its time on calls, not on arithmetic. So the gain of a norm is multiplied into the matrix
behind it, and one complex product turns queries and keys and scales the queries.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Block", "Cache", "Shape", "Transformer", "Weights"]

_NEVER = -1e30  # added to the score of what is not to be seen; finite, for rows that see nothing
_SHORT = 64  # positions up to which two plain products are quicker on a CPU than the fused attention


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


class Block(NamedTuple):
    """Matrices of a block [S, d, 3d], [S, d, d], [S, d, inner], [S, inner, d], the gains of its norms in them."""

    qkv: Tensor
    out: Tensor
    up: Tensor
    down: Tensor


class Weights(NamedTuple):
    """Parameters as the model reads them.

    Attributes:
        embedding: of all runs, one behind the other [S · V, d].
        first: the row at which each run begins [S, 1, 1].
        blocks: one after the other.
        gain: of the last norm, with its √d [S, 1, 1, d].
        head: the unembedding, multiplied with that gain [S, d, V].
    """

    embedding: Tensor
    first: Tensor
    blocks: list[Block]
    gain: Tensor
    head: Tensor


class Cache:
    """Keys and values of what was read so far, so that the next token costs one position.

    Args:
        layers: number of blocks.
        length: most positions, for which room is made at once; 0: it grows, in a way that autograd can follow.
    """

    def __init__(self, layers: int, length: int = 0) -> None:
        self.length, self.filled = length, 0
        self._past: list[Tensor | None] = [None] * layers

    def extend(self, layer: int, new: Tensor) -> Tensor:
        """Append keys and values [rows, heads, L, 2, dh] of one block; returns all that are there."""
        past = self._past[layer]
        if not self.length:
            past = self._past[layer] = new if past is None else torch.cat((past, new), dim=2)
            return past
        if past is None:
            past = self._past[layer] = new.new_empty((*new.shape[:2], self.length, *new.shape[3:]))
        end = self.filled + new.shape[2]
        past[:, :, self.filled : end] = new
        return past[:, :, :end]

    def repeated(self, times: int) -> Cache:
        """The same past for `times` continuations of each row."""
        new = Cache(len(self._past), self.length)
        for layer, past in enumerate(self._past):
            if past is not None:
                new.extend(layer, past[:, :, : self.filled].repeat_interleave(times, dim=0))
        new.filled = self.filled
        return new


class Transformer:
    """The model as functions of a flat parameter buffer.

    Args:
        shape: its sizes.
        length: most positions of a sequence L.
        device: where its constants live.
        kind: of what is multiplied; None: that of the parameters. With bfloat16 the parameters, the sum that the blocks
            add to, norms and the gradient are as exact as without.

    Attributes:
        size: number of parameters of one run N.
    """

    def __init__(
        self, shape: Shape, length: int, device: str | torch.device = "cpu", kind: torch.dtype | None = None
    ) -> None:
        d, inner = shape.width, shape.inner or 4 * shape.width
        self.shape, self.length, self.kind = shape, length, kind
        block = {"norm1": (d,), "qkv": (d, 3 * d), "out": (d, d), "norm2": (d,), "up": (d, inner),
                 "down": (inner, d)}  # fmt: skip
        self.parts: dict[str, tuple[int, ...]] = {"embedding": (shape.vocabulary, d), "norm": (d,)}
        for layer in range(shape.layers):
            self.parts |= {f"{layer}.{name}": size for name, size in block.items()}
        self._sizes = [math.prod(size) for size in self.parts.values()]
        self.size = sum(self._sizes)
        self._phase = _phases(length, d // shape.heads // 2, shape.base).to(device)
        self._future = torch.full((length, length), _NEVER).triu(1).to(device)

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

    def split(self, parameters: Tensor) -> Weights:
        """The matrices in a buffer [S, N], differentiable."""
        pieces = parameters.split(self._sizes, dim=1)
        named = zip(self.parts.items(), pieces, strict=True)
        of = {name: piece.unflatten(1, size) for (name, size), piece in named}

        kind = self.kind or parameters.dtype

        def normed(gain: str, matrix: Tensor) -> Tensor:
            return ((of[gain] * self.shape.width**0.5)[..., None] * matrix).to(kind)

        blocks = [
            Block(normed(f"{i}.norm1", of[f"{i}.qkv"]), of[f"{i}.out"].to(kind), normed(f"{i}.norm2", of[f"{i}.up"]),
                  of[f"{i}.down"].to(kind))
            for i in range(self.shape.layers)
        ]  # fmt: skip
        table = of["embedding"]
        first = torch.arange(len(table), device=table.device)[:, None, None] * self.shape.vocabulary
        gain = of["norm"][:, None, None] * self.shape.width**0.5
        return Weights(table.flatten(0, 1), first, blocks, gain, normed("norm", table.mT))

    def unseen(self, real: Tensor) -> Tensor:
        """What `states` needs to know of padding: [S, B, L] where tokens are real -> [S · B · heads, 1, L]."""
        bias = torch.where(real, 0.0, _NEVER).flatten(0, 1)
        return bias.repeat_interleave(self.shape.heads, dim=0)[:, None]

    def logits(self, weights: Weights, states: Tensor) -> Tensor:
        """Logits of the next token [..., V] in the states [S, B, L, d]."""
        given = states.flatten(1, 2).to(weights.head.dtype)
        return torch.bmm(given, weights.head).to(states.dtype).unflatten(1, states.shape[1:3])

    def states(
        self, weights: Weights, tokens: Tensor, unseen: Tensor | None = None, cache: Cache | None = None, last: int = 0
    ) -> Tensor:
        """State behind every position [S, B, L, d], of length 1; times `gain` it is what the unembedding multiplies.

        Args:
            weights: `split` of the parameters.
            tokens: [S, B, L]; with a cache these are the L tokens behind what was read.
            unseen: positions, cached ones included, that may not be attended to; see the method of that name. Padding
                stands in front, and rotary positions are relative, so it moves nothing. None: all are real.
            cache: what was read so far; it is extended.
            last: only of so many positions at the end; 0: of all.
        """
        runs, rows, length = tokens.shape
        past = 0 if cache is None else cache.filled
        x = F.embedding(tokens + weights.first, weights.embedding).flatten(1, 2)
        kind = weights.head.dtype
        phase, bias = self._phase[past : past + length], self._bias(unseen, past, length, kind)
        for layer, own in enumerate(weights.blocks):
            qkv = torch.bmm(_normed(x).to(kind), own.qkv).to(x.dtype)
            pairs = torch.view_as_complex(qkv.view(runs * rows, length, self.shape.heads, 3, -1, 2))
            turned = torch.view_as_real(pairs * phase).flatten(-2).transpose(1, 2).to(kind)
            query, new = turned.split((1, 2), dim=3)
            key, value = (new if cache is None else cache.extend(layer, new)).flatten(0, 1).unbind(2)
            mixed = _attention(query.flatten(0, 1).squeeze(2), key, value, bias)
            mixed = mixed.unflatten(0, (runs * rows, -1)).transpose(1, 2).reshape(x.shape)
            x = x + torch.bmm(mixed, own.out)
            x = x + torch.bmm(_squared(torch.bmm(_normed(x).to(kind), own.up)), own.down)
        if cache is not None:
            cache.filled = past + length
        return _normed(x.unflatten(1, (rows, length))[:, :, -last:])

    def _bias(self, unseen: Tensor | None, past: int, length: int, kind: torch.dtype) -> Tensor | None:
        """What is added to the scores of L queries and past + L keys, None for nothing."""
        unseen = None if unseen is None else unseen[..., : past + length].to(kind)
        if length == 1:
            return unseen
        future = self._future[past : past + length, : past + length].to(kind)
        return future if unseen is None else future + unseen


def _phases(length: int, pairs: int, base: float) -> Tensor:
    """Factors of the pairs of coordinates of query, key and value at each position [L, 1, 3, pairs], complex."""
    angle = torch.arange(length)[:, None] * base ** (-torch.arange(pairs) / pairs)
    turn = torch.polar(torch.ones_like(angle), angle)
    return torch.stack((turn / math.sqrt(2 * pairs), turn, torch.ones_like(turn)), dim=1)[:, None]


def _attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
    """softmax(query · key + bias) · value of [n, L, dh]."""
    if query.is_cuda or query.shape[1] > _SHORT:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=1.0)
    scores = torch.bmm(query, key.mT) if bias is None else torch.baddbmm(bias, query, key.mT)
    return torch.bmm(scores.softmax(-1), value)


def _unit(x: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of [..., d] at length 1, and their lengths: RMSNorm, whose √d and gain are in the matrix behind it."""
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min_(1e-6)
    return x / length, length


class _Unit(torch.autograd.Function):
    """`_unit`, with a gradient in four calls instead of a dozen."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y, length = _unit(x)
        ctx.save_for_backward(y, length)
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        y, length = ctx.saved_tensors
        return torch.addcmul(g, y, (g * y).sum(-1, keepdim=True), value=-1).div_(length)


def _normed(x: Tensor) -> Tensor:
    return _Unit.apply(x) if x.requires_grad else _unit(x)[0]


class _SquaredRelu(torch.autograd.Function):
    """max(x, 0)² with its gradient 2 max(x, 0)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        positive = x.relu()
        ctx.save_for_backward(positive)
        return positive * positive

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        (positive,) = ctx.saved_tensors
        return torch.addcmul(g.new_zeros(()), g, positive, value=2)


def _squared(x: Tensor) -> Tensor:
    if x.requires_grad:
        return _SquaredRelu.apply(x)
    positive = x.relu_()
    return positive * positive
