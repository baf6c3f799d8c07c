"""CRM: two reward models are trained side by side, and each learns from the comparisons that the other finds right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lab.errors import InputError, UnknownNameError, check_number, check_whole
from lab.reward_models.door import reward_model
from simulators.learned_reward.annotators import Comparisons
from simulators.learned_reward.perceptron import Perceptron

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["CURRICULA", "REVIEWS", "Reviewed", "crm", "keep", "pair_loss", "selected"]

#: Whose margins choose what a model learns from.
REVIEWS = ("peer", "self", "all")
#: Curriculum -> (whether a pass leaves out the hardest pairs, whether easy pairs come first).
CURRICULA: Mapping[str, tuple[bool, bool]] = {
    "none": (False, False), "easy-pool": (True, False), "easy-first": (True, True), "sorted": (False, True),
}  # fmt: skip
_BLOCK, _LANES = 8, 64  # batches that are shuffled together; a batch is filled up to a multiple of the lanes
_SEEN = 500  # pairs on which scores are standardised


def keep(epoch: int, noise: float, warmup: int) -> float:
    """Share of the pairs that is kept in a pass, counted from 0: 1 − η · min(1, epoch/warmup).

    Source: arXiv 2505.10597 says that it follows the noise rate; the form is that of co-teaching.
    """
    return 1 - noise * (min(1.0, epoch / warmup) if warmup else 1.0)


def selected(margins: Tensor, share: float, review: str = "peer", real: Tensor | None = None) -> Tensor:
    """Which pairs of a batch each model learns from.

    Args:
        margins: r(chosen) − r(rejected), or β times the difference of log-ratios (CRM-DPO) [2S, B]; two models that
            review each other stand one after the other.
        share: Of the batch that is kept, those of the largest margin; at least one pair. Of equal ones the first.
        review: One of `REVIEWS`.
        real: Which places hold a pair [2S, B]; None: all.

    Returns:
        Booleans [2S, B].
    """
    import torch

    there = torch.ones_like(margins, dtype=torch.bool) if real is None else real.bool()
    if review == "all":
        return there
    judged = margins.detach().masked_fill(~there, -torch.inf)
    if review == "peer":
        judged = judged.unflatten(0, (-1, 2)).flip(1).flatten(0, 1)
    best = judged.argsort(dim=1, descending=True, stable=True)
    count = max(1, round(share * int(there[0].sum())))
    return torch.zeros_like(there).scatter_(1, best[:, :count], True)


def pair_loss(margins: Tensor, kept: Tensor) -> Tensor:
    """Mean of −log σ(margin) over the pairs that are kept [2S, B] -> [2S]."""
    import torch.nn.functional as F

    return (F.softplus(-margins) * kept).sum(1) / kept.sum(1)


@dataclass(frozen=True, eq=False)
class Reviewed(Perceptron):
    """S pairs of reward models; the score is the sum of both, each standardised on the responses that were compared.

    Attributes:
        kept: Which comparisons each of the two learned from in the last pass [S, 2, N].
    """

    kept: Any = None

    def __getitem__(self, chosen: slice | list[int]) -> Reviewed:
        """Those of the S pairs."""
        own = super().__getitem__(chosen)
        return Reviewed(own.weights, own.offsets, own.out, own.constant, kept=self.kept[chosen])

    @property
    def members(self) -> tuple[Perceptron, Perceptron]:
        """The two models, S of each."""
        half, zero = self.out.shape[1] // 2, np.zeros(len(self))
        first, second = (
            Perceptron(self.weights[:, h], self.offsets[:, h], self.out[:, h], zero)
            for h in (slice(half), slice(half, None))
        )
        return first, second


class _Plan(NamedTuple):
    """What a pass looks like."""

    noise: float
    review: str
    curriculum: str
    warmup: int
    batch: int
    epochs: int

    def number(self, pairs: int, epoch: int) -> int:
        """Pairs that are gone through."""
        left_out = CURRICULA[self.curriculum][0] and epoch > 0
        return max(1, round(keep(epoch, self.noise, self.warmup) * pairs)) if left_out else pairs

    def share(self, epoch: int) -> float:
        """Of a batch that is kept; half as much is left out where the pass has left out pairs already."""
        left_out = CURRICULA[self.curriculum][0] and epoch > 0
        return 1 - self.noise / 2 if left_out else keep(epoch, self.noise, self.warmup)

    def order(self, ease: Tensor, epoch: int, draws: Sequence[torch.Generator]) -> Tensor:
        """Pairs of a pass [S, M], from their ease [S, N]; shuffled in blocks where easy ones come first."""
        import torch

        easiest = ease.argsort(dim=1, descending=True, stable=True)[:, : self.number(ease.shape[1], epoch)]
        block = _BLOCK * self.batch if CURRICULA[self.curriculum][1] and epoch else easiest.shape[1]
        shuffled = torch.stack([torch.rand(easiest.shape[1], generator=draw) for draw in draws])
        place = torch.arange(easiest.shape[1]) // block + shuffled
        return easiest.gather(1, place.argsort(dim=1, stable=True))


@reward_model(
    "crm", paper="crm", equation="loss_k = mean −log σ(m_k(i)) over the i with the largest m of the other model"
)
def crm(
    comparisons: Comparisons, seeds: Sequence[int], *, noise: float = 0.2, review: str = "peer",
    curriculum: str = "easy-first", warmup: int = 2, hidden: int = 64, lr: float = 3e-3, batch: int = 64,
    epochs: int = 10,
) -> Reviewed:  # fmt: skip
    """Two reward models that review each other's batches, from easy to hard.

    Args:
        comparisons: S sets of pairs [S, N, D], or one for all.
        seeds: [S].
        noise: η, the share of wrong labels that is expected; 0: two models are trained on everything.
        review: One of `REVIEWS`: each model learns from what the other one finds right ("peer"), from what it finds
            right itself ("self"), or from all.
        curriculum: One of `CURRICULA`. "easy-first" goes from the pairs of the largest m_1 + m_2 to harder ones and
            leaves out the hardest; "easy-pool" leaves out the same ones, in no order; "sorted" leaves out none, so that
            the last batches hold wrong labels alone; "none": all pairs in no order.
        warmup: Passes until as much is left out as η says.
        hidden: Width of each model.
        lr: Learning rate of AdamW.
        batch: Pairs per step.
        epochs: Passes over the pairs.

    Returns:
        S pairs of models, responses [S, ..., D] -> scores [S, ...].

    Raises:
        UnknownNameError: No such review or curriculum. InputError: A number out of range; or as many sets as seeds are
            needed, or one.

    Source: arXiv 2505.10597; schedule, key of the order and the truncated pass are inferred.
    """
    for given, known, what in ((review, REVIEWS, "review of crm"), (curriculum, CURRICULA, "curriculum of crm")):
        if given not in known:
            raise UnknownNameError(what, given, known)
    check_number("noise", noise, lambda x: 0 <= x < 1, "the share of wrong labels, from 0 to below 1")
    for name, value, least in (
        ("warmup", warmup, 0),
        ("hidden", hidden, 1),
        ("batch", batch, 1),
        ("epochs", epochs, 1),
    ):
        check_whole(name, value, least)
    if comparisons.sets not in (1, len(seeds)) or not len(seeds):
        raise InputError(f"{comparisons.sets} sets of comparisons for {len(seeds)} seeds; one each is needed, or one")
    return _fitted(comparisons, seeds, _Plan(noise, review, curriculum, warmup, batch, epochs), hidden, lr)


def _fitted(comparisons: Comparisons, seeds: Sequence[int], plan: _Plan, hidden: int, lr: float) -> Reviewed:
    import torch

    from lab.reward_models.stacked import descend, draws_of, linear

    pairs, own = len(comparisons), [1_000_003 * int(s) for s in seeds]
    starts = draws_of([s + k for s in own for k in (1, 2)])
    both = np.stack([comparisons.chosen, comparisons.rejected], axis=2)
    data = torch.as_tensor(both, dtype=torch.float32).expand(len(seeds), -1, -1, -1).repeat_interleave(2, 0)
    parts = [*linear(starts, data.shape[-1], hidden), linear(starts, hidden, 1)[0][:, 0]]
    steps, which = _steps(parts, data, draws_of(own), plan), torch.arange(len(starts))[:, None]
    kept = torch.zeros(len(starts), pairs, dtype=torch.long)

    def loss(_: int) -> Tensor:
        index, real, epoch = next(steps)
        apart = _margins(parts, data[which, index])
        chosen = selected(apart, plan.share(epoch), plan.review, real)
        if epoch == plan.epochs - 1:
            kept.scatter_add_(1, index, chosen.long())
        return pair_loss(apart, chosen)

    descend(parts, loss, sum(-(-plan.number(pairs, e) // plan.batch) for e in range(plan.epochs)), lr)
    return _joined([part.detach().double().numpy() for part in parts], both, kept.bool().numpy())


def _margins(parts: Sequence[Tensor], pairs: Tensor) -> Tensor:
    """r(chosen) − r(rejected) [2S, B] of pairs [2S, B, 2, D]."""
    from simulators.learned_reward.fitting import Batch, margins

    return margins(parts, Batch(pairs, pairs[..., 0, 0], {}, ()))


def _steps(
    parts: Sequence[Tensor], data: Tensor, draws: Sequence[torch.Generator], plan: _Plan
) -> Iterator[tuple[Tensor, Tensor, int]]:
    """Pairs of each step and which of them are real [2S, B], the same for two models, and the pass."""
    import torch

    ease = torch.zeros(len(draws), data.shape[1])
    for epoch in range(plan.epochs):
        if epoch and plan.curriculum != "none":
            with torch.no_grad():
                ease = _margins(parts, data).unflatten(0, (-1, 2)).sum(1)
        for index in plan.order(ease, epoch, draws).split(plan.batch, dim=1):
            width = -(-index.shape[1] // _LANES) * _LANES
            filled = torch.nn.functional.pad(index, (0, width - index.shape[1])).repeat_interleave(2, 0)
            yield filled, (torch.arange(width) < index.shape[1]).expand(filled.shape), epoch


def _joined(parts: Sequence[NDArray[np.float64]], pairs: NDArray[np.float64], kept: NDArray[np.bool_]) -> Reviewed:
    """Both networks of each pair as one, whose score is the sum of their standardised scores."""
    weights, offsets, out = parts
    networks = Perceptron(weights, offsets, out, np.zeros(len(out)))
    some = pairs[:, :_SEEN].reshape(len(pairs), -1, pairs.shape[-1])
    seen = networks(np.repeat(some, len(out) // len(pairs), axis=0))
    if not (spread := seen.std(-1)).all():
        raise InputError("a reward model gives every response the same score")
    networks = networks.scaled(seen.mean(-1), spread)
    weights, offsets, out = (
        p.reshape(-1, 2 * p.shape[1], *p.shape[2:]) for p in (networks.weights, networks.offsets, networks.out)
    )
    chosen = kept.reshape(len(out), 2, -1)
    return Reviewed(weights, offsets, out, networks.constant.reshape(-1, 2).sum(1), kept=chosen)
