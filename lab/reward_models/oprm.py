"""OPRM: a reward model that gives every response a distribution over nine ratings, from comparisons alone.

Where some responses have a level (bad, normal, good), region flooding lets only ratings of that region count, so that
ratings mean the same for everyone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lab.errors import InputError, UnknownNameError, check_number, check_whole
from lab.reward_models.door import reward_model
from simulators.learned_reward.annotators import Comparisons
from simulators.learned_reward.levels import LEVELS

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["FLOODINGS", "Ordinal", "allowed", "by_autograd", "oprm", "preference", "preference_loss"]

Array = NDArray[np.float64]

#: Which cells (i, j) of a labelled pair's regions count, beside i > j: those of which the place of i in its region is
#: above that of j, the same or not below it where levels differ, all of them; or labels are not read.
FLOODINGS = ("tri", "tri-equal", "block", "none")
_LEAST, _NODES = 1e-12, 128


def allowed(ratings: int = 9, flooding: str = "tri") -> Array:
    """Cells that count, by levels of chosen and rejected, −1 (the last) for none [4, 4, K, K]; 1 or 0.

    A pair without both levels has all i > j, one whose chosen response has the lower level none: it is left out.

    Args:
        ratings: K, a multiple of 3 where labels are read.
        flooding: One of `FLOODINGS`.

    Raises:
        UnknownNameError: No such flooding. InputError: K cannot be parted into three regions.

    Source: arXiv 2602.12660, region flooding tuning; which cells of a block count is inferred.
    """
    if flooding not in FLOODINGS:
        raise UnknownNameError("flooding of oprm", flooding, FLOODINGS)
    count, parts = check_whole("ratings", ratings, 2), len(LEVELS)
    i, j = np.indices((count, count))
    found = np.tile((i > j).astype(float), (parts + 1, parts + 1, 1, 1))
    if flooding == "none":
        return found
    if count % parts:
        raise InputError(f"ratings={count}; levels own a third of the ratings each, so it must be a multiple of 3")
    size = count // parts
    above = {"tri": i % size > j % size, "tri-equal": i % size >= j % size, "block": np.full_like(i > j, True)}
    for c in range(parts):
        for r in range(parts):
            block = (i // size == c) & (j // size == r) & (i > j)
            found[c, r] = block & above["tri" if c == r else flooding]
    return found


def preference(chosen: Tensor, rejected: Tensor, cells: Tensor | None = None) -> Tensor:
    """P = Σ_ij cells(i, j) p_c(i) p_r(j) of probabilities [..., K]; without cells i > j, so that a tie does not count.

    ∂P/∂p_c(k) = P(s_r < k), ∂P/∂p_r(k) = P(s_c > k).
    """
    count = chosen.shape[-1]
    strict = chosen.new_ones(count, count).tril(-1) if cells is None else cells
    return (chosen[..., None, :] @ strict @ rejected[..., :, None])[..., 0, 0]


def preference_loss(chosen: Tensor, rejected: Tensor, cells: Tensor | None = None) -> Tensor:
    """−log P of logits [..., K] -> [...], P at least 1e-12: the loss is at most 27.63."""
    return -preference(chosen.softmax(-1), rejected.softmax(-1), cells).clamp(min=_LEAST).log()


def by_autograd(
    function: Callable[..., Tensor], chosen: ArrayLike, rejected: ArrayLike, cells: ArrayLike | None = None
) -> tuple[Array, Array, Array]:
    """Values [...] of `preference` or `preference_loss` of arrays [..., K], and their gradients in both, in float64."""
    import torch

    both = [torch.tensor(np.asarray(x), dtype=torch.float64, requires_grad=True) for x in (chosen, rejected)]
    found = function(*both, None if cells is None else torch.as_tensor(np.asarray(cells, np.float64)))
    first, second = torch.autograd.grad(found.sum(), both)
    return found.detach().numpy(), first.numpy(), second.numpy()


@dataclass(frozen=True, eq=False)
class Ordinal:
    """S models side by side: what each makes of a response is a distribution over K ratings.

    Attributes:
        weights: Of the hidden layer [S, H, D].
        offsets: [S, H].
        out: Of the logits [S, K, H].
        bias: [S, K].
        kappa: κ of the score E[s] − κ √Var[s].
        shift: Taken off the score [S].
        scale: By which it is then divided [S].
    """

    weights: Array
    offsets: Array
    out: Array
    bias: Array
    kappa: float = 0.0
    shift: Any = 0.0
    scale: Any = 1.0

    def __len__(self) -> int:
        return len(self.weights)

    def __getitem__(self, chosen: slice | list[int]) -> Ordinal:
        """Those of the S models."""
        shift, scale = (np.broadcast_to(x, len(self))[chosen] for x in (self.shift, self.scale))
        parts = {name: getattr(self, name)[chosen] for name in ("weights", "offsets", "out", "bias")}
        return replace(self, **parts, shift=shift, scale=scale)

    def scaled(self, shift: Array, scale: Array) -> Ordinal:
        """(score − shift) / scale, both [S]."""
        return replace(self, shift=self.shift + self.scale * shift, scale=self.scale * scale)

    @property
    def ratings(self) -> Array:
        """1 ... K."""
        return np.arange(1.0, self.bias.shape[-1] + 1)

    def distribution(self, responses: Array) -> Array:
        """p(s | response) [S, ..., K] of responses [S or 1, ..., D]."""
        x = np.asarray(responses, np.float64)
        flat = x.reshape(len(x), -1, x.shape[-1])
        found = np.stack([self._alone(s, flat[s % len(flat)])[0] for s in range(len(self))])
        return found.reshape(len(self), *x.shape[1:-1], -1)

    def _alone(self, s: int, x: Array) -> tuple[Array, Array]:
        """Distributions [N, K] of one model, and its hidden inputs [N, H]."""
        z = x @ self.weights[s].T + self.offsets[s]
        logits = z / (1 + np.exp(-z)) @ self.out[s].T + self.bias[s]
        p = np.exp(logits - logits.max(-1, keepdims=True))
        return p / p.sum(-1, keepdims=True), z

    def moments(self, responses: Array) -> tuple[Array, Array]:
        """E[s] and Var[s] [S, ...], in ratings."""
        return self._moments(self.distribution(responses))

    def _moments(self, p: Array) -> tuple[Array, Array]:
        mean = p @ self.ratings
        return mean, (p * (self.ratings - mean[..., None]) ** 2).sum(-1)

    def levels(self, responses: Array) -> Array:
        """Probability of bad, normal and good [S, ..., 3]."""
        p = self.distribution(responses)
        return np.asarray(p.reshape(*p.shape[:-1], len(LEVELS), -1).sum(-1))

    def preferred(self, first: Array, second: Array) -> Array:
        """P(s > s') + ½ P(s = s') of two responses each [S, ...]: the chance that the first is preferred."""
        p, q = self.distribution(first), self.distribution(second)
        upto = np.cumsum(q, axis=-1)
        return np.asarray((p * (upto - 0.5 * q)).sum(-1))

    def best(self, responses: Array, kappa: float | None = None) -> NDArray[np.intp]:
        """Which of N responses [S, ..., N, D] has the highest E[s] − κ √Var[s]: best of n with a price of risk."""
        mean, variance = self.moments(responses)
        return np.asarray((mean - (self.kappa if kappa is None else kappa) * np.sqrt(variance)).argmax(-1))

    def __call__(self, responses: Array) -> Array:
        """Scores [S, ...] of responses [S or 1, ..., D]."""
        mean, variance = self.moments(responses)
        return np.asarray(((mean - self.kappa * np.sqrt(variance)).T - self.shift).T / np.reshape(
            np.broadcast_to(self.scale, len(self)), (-1, *[1] * (mean.ndim - 1))))  # fmt: skip

    def mean(self, at: Array) -> Array:
        """E score [S] for x ~ N(at, I), at [S, D], by 256 fixed points."""
        return np.asarray(self(_around(at, len(self))).mean(-1))

    def slope(self, at: Array) -> Array:
        """Gradient of `mean` in `at` [S, D]."""
        near = _around(at, len(self))
        return np.stack([self._slope(s, x) for s, x in enumerate(near)]) / np.reshape(self.scale, (-1, 1))

    def _slope(self, s: int, x: Array) -> Array:
        p, z = self._alone(s, x)
        mean, variance = self._moments(p)
        away = self.ratings - mean[:, None]
        risk = (away**2 - variance[:, None]) / (2 * np.sqrt(variance))[:, None]
        share = 1 / (1 + np.exp(-z))
        by_hidden = (p * (away - self.kappa * risk)) @ self.out[s] * share * (1 + z * (1 - share))
        return np.asarray((by_hidden @ self.weights[s]).mean(0))


def _around(at: Array, count: int) -> Array:
    """Normals and their opposites, the same for all, around each centre [S, 2 · 128, D]."""
    half = np.random.default_rng(0).standard_normal((_NODES, np.shape(at)[-1]))
    return np.broadcast_to(at, (count, half.shape[1]))[:, None] + np.concatenate([half, -half])


@reward_model("oprm", paper="oprm", equation="loss = −log Σ_{i>j} p_c(i) p_r(j);  r = E[s] − κ √Var[s]",
              note="a distribution over nine ratings; reads levels of quality where there are some")  # fmt: skip
def oprm(
    comparisons: Comparisons, seeds: Sequence[int], *, flooding: str = "tri", kappa: float = 0.0, ratings: int = 9,
    hidden: int = 64, lr: float = 3e-3, batch: int = 64, epochs: int = 6,
) -> Ordinal:  # fmt: skip
    """Reward models that give a distribution over ratings, one hidden layer of SiLUs each.

    Args:
        comparisons: S sets of pairs [S, N, D], or one for all; with levels (`simulators.learned_reward.levels`) both
            kinds of pairs share a batch, and pairs whose chosen response has the lower level are left out.
        seeds: [S].
        flooding: Which ratings count where levels are known, one of `FLOODINGS`; "none" does not read them.
        kappa: Price of a standard deviation of the rating in the score.
        ratings: K.
        hidden: Width.
        lr: Learning rate of AdamW.
        batch: Pairs per step.
        epochs: Passes.

    Returns:
        S models, responses [S, ..., D] -> scores [S, ...]; their `distribution`, `moments`, `levels`, `best`.

    Raises:
        UnknownNameError: No such flooding. InputError: A number out of range, or every pair is left out.

    Source: arXiv 2602.12660; the sizes are the lab's.
    """
    for name, value in (("hidden", hidden), ("batch", batch), ("epochs", epochs)):
        check_whole(name, value, 1)
    check_number("kappa", kappa, np.isfinite, "a finite number")
    if comparisons.sets not in (1, len(seeds)) or not len(seeds):
        raise InputError(f"{comparisons.sets} sets of comparisons for {len(seeds)} seeds; one each, or one in all")
    levels = getattr(comparisons, "levels", None)
    if levels is None:
        levels, flooding = np.full((1, len(comparisons), 2), -1), flooding if flooding not in FLOODINGS else "none"
    cells = allowed(ratings, flooding)
    counts = cells[levels[..., 0], levels[..., 1]].any((-1, -2))
    if not counts.any(1).all():
        raise InputError("every labelled pair has its chosen response on a lower level, so that none is left")
    data = {"pairs": np.stack([comparisons.chosen, comparisons.rejected], axis=2), "levels": levels, "counts": counts}
    return replace(_fitted(data, seeds, cells, hidden, lr, batch, epochs), kappa=float(kappa))


def _fitted(
    data: Mapping[str, Any], seeds: Sequence[int], cells: Array, hidden: int, lr: float, batch: int, epochs: int
) -> Ordinal:
    import torch
    import torch.nn.functional as F

    from lab.reward_models.stacked import descend, draws_of, linear, through

    draws, count = draws_of(seeds), len(seeds)
    pairs, levels, real = (torch.as_tensor(np.broadcast_to(x, (count, *x.shape[1:])).copy()) for x in data.values())
    pairs, real, table = pairs.float(), real.float(), torch.as_tensor(cells, dtype=torch.float32)
    parts = [*linear(draws, pairs.shape[-1], hidden), *linear(draws, hidden, len(cells[0, 0]))]
    which, order = torch.arange(count)[:, None], []  # type: ignore[var-annotated]

    def loss(step: int) -> Tensor:
        if not order:
            shuffled = torch.stack([torch.randperm(pairs.shape[1], generator=d) for d in draws])
            order.extend(shuffled.split(batch, dim=1))
        rows = order.pop(0)
        x, level, weight = pairs[which, rows], levels[which, rows], real[which, rows]
        logits = through((parts[2], parts[3]), F.silu(through((parts[0], parts[1]), x)))
        each = preference_loss(logits[:, :, 0], logits[:, :, 1], table[level[..., 0], level[..., 1]])
        return (each * weight).sum(1) / weight.sum(1).clamp(min=1)

    descend(parts, loss, epochs * -(-pairs.shape[1] // batch), lr)
    return Ordinal(*(part.double().numpy() for part in parts))
