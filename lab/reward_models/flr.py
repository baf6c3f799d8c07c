"""FLR: a language model that plays the user; what it would say next is the reward of an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from lab.errors import InputError, UnknownNameError, check_number, check_whole
from lab.reward_models.stacked import descend, draws_of, linear, normals, through
from lab.rewards.flr import SIDES
from simulators.learned_reward.annotators import Comparisons
from simulators.learned_reward.follow_ups import SYMBOLS, Dialogues, reactions, templates

__all__ = ["FORMS", "FollowUps", "flr", "log_likelihood", "logits", "next_token", "raw_logit", "released"]

Array = NDArray[np.float64]
_NODES, _CHUNK = 64, 512


def _read(at: Tensor, ids: Tensor) -> Tensor:
    """Value of each token [..., T] among those of its place [..., T, V]."""
    return at.gather(-1, ids.expand(*at.shape[:-2], -1)[..., None])[..., 0]


def log_likelihood(logits: Tensor, ids: Tensor) -> Tensor:
    """(1/|f|) Σ_t log P(f_t | h, y, f_<t): logits [..., T, V] and a follow-up [..., T] -> [...]."""
    return _read(logits.log_softmax(-1), ids).mean(-1)


def raw_logit(logits: Tensor, ids: Tensor) -> Tensor:
    """The same of logits that are not normalised: each carries an offset of its context."""
    return _read(logits, ids).mean(-1)


def released(logits: Tensor, ids: Tensor) -> Tensor:
    """What the released code reads: all L tokens at the one place T − L, not normalised.

    Source: FLR, run_llama3.py get_outputs_withprobs; golden file flr.json.
    """
    place = logits[..., logits.shape[-2] - ids.shape[-1], :]
    return place.gather(-1, ids.expand(*place.shape[:-1], -1)).mean(-1)


#: How a follow-up is read -> its score from logits [..., T, V] and tokens [..., T].
FORMS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "log-likelihood": log_likelihood, "logit": raw_logit, "released": released,
}  # fmt: skip


def logits(parts: Sequence[Tensor], x: Tensor, before: Tensor, place: Tensor) -> Tensor:
    """head(MLP(W x + emb(token before) + place)) of each token [S, N, M, V].

    Args:
        parts: Stacked parameters.
        x: Answers [S, N, D].
        before: The token before each [S or 1, N or 1, M].
        place: Which of its follow-up each token is [M].
    """
    own, offset, tokens, places, *layers = parts
    index = before + len(tokens[0]) * torch.arange(len(tokens))[:, None, None]
    hidden = through((own, offset), x)[:, :, None] + F.embedding(index, tokens.flatten(0, 1)) + places[:, None, place]
    for k in range(0, len(layers) - 2, 2):
        hidden = F.silu(through((layers[k], layers[k + 1]), hidden))
    return through((layers[-2], layers[-1]), hidden)


def _before(ids: Tensor) -> Tensor:
    """The token before each, that of the start first [..., T]."""
    return F.pad(ids[..., :-1], (1, 0), value=SYMBOLS)


def next_token(parts: Sequence[Tensor], x: Tensor, ids: Tensor) -> Tensor:
    """Cross-entropy of what users said, mean over dialogues and tokens [S]: x [S, B, D], ids [S, B, T]."""
    return -log_likelihood(logits(parts, x, _before(ids), torch.arange(ids.shape[-1])), ids).mean(-1)


@dataclass(frozen=True, eq=False)
class FollowUps:
    """S scorers side by side, each with what pleased and displeased users may say.

    Attributes:
        parts: Stacked parameters.
        positive: Follow-ups [F, T].
        negative: [F', T].
        form: One of `FORMS`.
        side: One of `lab.rewards.flr.SIDES`.
        shift: What is taken from each score [S].
        scale: What it is divided by then [S].
    """

    parts: Sequence[Tensor]
    positive: Tensor
    negative: Tensor
    form: str
    side: str
    shift: Array
    scale: Array

    def __len__(self) -> int:
        return len(self.shift)

    def __getitem__(self, chosen: slice | list[int]) -> FollowUps:
        """Those of the S scorers."""
        parts = [part[chosen] for part in self.parts]
        return replace(self, parts=parts, shift=self.shift[chosen], scale=self.scale[chosen])

    def scaled(self, shift: Array, scale: Array) -> FollowUps:
        """(score − shift) / scale, both [S]."""
        return replace(self, shift=self.shift + self.scale * shift, scale=self.scale * scale)

    def said(self, responses: ArrayLike, form: str = "") -> Array:
        """Score of every follow-up, the positive ones first [S, N, F + F'], of responses [S or 1, N, D]."""
        x = torch.as_tensor(np.asarray(responses), dtype=torch.float32).expand(len(self), -1, -1)
        with torch.no_grad():
            return torch.cat([self._said(part, form) for part in x.split(_CHUNK, 1)], 1).double().numpy()

    def _said(self, x: Tensor, form: str = "") -> Tensor:
        ids = torch.cat([self.positive, self.negative])
        context = torch.stack([_before(ids), torch.arange(ids.shape[-1]).expand_as(ids)]).flatten(1)
        (before, place), which = context.unique(dim=1, return_inverse=True)  # many follow-ups share their beginnings
        found = logits(self.parts, x, before[None, None], place)[:, :, which].unflatten(2, ids.shape)
        return FORMS[form or self.form](found, ids)

    def _score(self, found: Any) -> Any:
        """Signed means of the two lists [..., F + F'] -> [...]."""
        count, (plus, minus) = len(self.positive), SIDES[self.side]
        return plus * found[..., :count].mean(-1) + minus * found[..., count:].mean(-1)

    def __call__(self, responses: Array) -> Array:
        """Scores [S, ...] of responses [S or 1, ..., D]."""
        x = np.asarray(responses)
        found = self._score(self.said(x.reshape(len(x), -1, x.shape[-1]))).reshape(len(self), *x.shape[1:-1])
        across = (-1, *[1] * (x.ndim - 2))
        return np.asarray((found - self.shift.reshape(across)) / self.scale.reshape(across))

    def _around(self, at: Array) -> tuple[Tensor, Tensor]:
        """Mean score near each centre [S], and the centres [S, D], differentiable."""
        half = np.random.default_rng(0).standard_normal((_NODES, np.shape(at)[-1]))
        centre = torch.as_tensor(np.broadcast_to(at, (len(self), half.shape[1])).copy(), dtype=torch.float32)
        centre.requires_grad_()
        near = centre[:, None] + torch.as_tensor(np.concatenate([half, -half]), dtype=torch.float32)
        return self._score(self._said(near)).mean(-1), centre

    def mean(self, at: Array) -> Array:
        """E score [S] under N(at, I), by 128 fixed points: within a tenth of a deviation of the scores."""
        return np.asarray((self._around(at)[0].detach().double().numpy() - self.shift) / self.scale)

    def slope(self, at: Array) -> Array:
        """Gradient of `mean` [S, D]."""
        value, centre = self._around(at)
        (found,) = torch.autograd.grad(value.sum(), centre)
        return np.asarray(found.double().numpy() / self.scale[:, None])


def flr(
    comparisons: Dialogues | Comparisons, seeds: Sequence[int], *, form: str = "log-likelihood",
    side: str = "difference", number: int = 10, said: int = 0, hidden: int = 64, lr: float = 3e-3, batch: int = 64,
    epochs: int = 10,
) -> FollowUps:  # fmt: skip
    """Scorers that learn from dialogues what users say next, and have seen no comparison.

    Args:
        comparisons: Dialogues (S sets, or one for all); of comparisons each pair makes two, see
            `simulators.learned_reward.follow_ups.reactions`.
        seeds: [S].
        form: How a follow-up is read, one of `FORMS`.
        side: Which follow-ups count, one of `lab.rewards.flr.SIDES`.
        number: How many follow-ups of each side are read, from 1 to 10.
        said: Seed of what users may say.
        hidden: Width.
        lr: Learning rate of AdamW.
        batch: Dialogues per step.
        epochs: Passes; 0 leaves the scorers untrained.

    Raises:
        UnknownNameError: No such form or side. InputError: A number out of range; as many sets as seeds are needed.

    Source: arXiv 2409.13948; the sizes are the lab's.
    """
    for given, known, what in ((form, FORMS, "form of flr"), (side, SIDES, "side of flr")):
        if given not in known:
            raise UnknownNameError(what, given, known)
    check_number("number", number, lambda x: x in range(1, 11), "a whole number from 1 to 10 follow-ups of each side")
    check_whole("batch", batch, 1)
    data = comparisons if isinstance(comparisons, Dialogues) else reactions(comparisons, seeds)
    if len(data.responses) not in (1, len(seeds)) or not len(seeds):
        raise InputError(f"{len(data.responses)} sets of dialogues for {len(seeds)} seeds; one each is needed, or one")
    parts = _fitted(data, seeds, hidden, lr, batch, check_whole("epochs", epochs, 0))
    positive, negative = (torch.as_tensor(ids[:number]) for ids in templates(said))
    return FollowUps(parts, positive, negative, form, side, np.zeros(len(seeds)), np.ones(len(seeds)))


def _fitted(data: Dialogues, seeds: Sequence[int], hidden: int, lr: float, batch: int, epochs: int) -> list[Tensor]:
    draws, count = draws_of(seeds), len(seeds)
    x = torch.as_tensor(np.asarray(data.responses), dtype=torch.float32).expand(count, -1, -1)
    ids = torch.as_tensor(data.follow_ups).expand(count, -1, -1)
    parts = [*linear(draws, x.shape[-1], hidden), normals(draws, SYMBOLS + 1, hidden),
             normals(draws, ids.shape[-1], hidden), *linear(draws, hidden, hidden), *linear(draws, hidden, hidden),
             *linear(draws, hidden, SYMBOLS)]  # fmt: skip
    which = torch.arange(count)[:, None]
    order: list[Tensor] = []

    def loss(step: int) -> Tensor:
        if not order:
            shuffled = torch.stack([torch.randperm(x.shape[1], generator=d) for d in draws])
            order.extend(shuffled.split(batch, dim=1))
        rows = order.pop(0)
        return next_token(parts, x[which, rows], ids[which, rows])

    descend(parts, loss, epochs * -(-x.shape[1] // batch), lr)
    return parts
