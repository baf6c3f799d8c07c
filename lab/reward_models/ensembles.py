"""Ensembles of reward models: several are fitted, and a reward rule makes one score of theirs.

Each rule over an ensemble's scores is a reward model of the same name, so `ensemble-wco` pays in `learned-reward` too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.errors import check_whole
from lab.registry import find
from lab.reward_models.door import reward_model
from lab.rewards import apply
from simulators.learned_reward.annotators import Comparisons, stacked
from simulators.learned_reward.perceptron import Perceptron

__all__ = ["RULES", "Ensemble", "ensemble"]

Array = NDArray[np.float64]

#: Reward rules that make one score of several.
RULES = ("ensemble-mean", "ensemble-wco", "ensemble-uwo", "ensemble-median", "ensemble-mean-std")
_PAIRS, _NUDGE = 256, 1e-4  # of normals and their opposites; of scores, for the rule's slope


@dataclass(frozen=True, eq=False)
class Ensemble:
    """S ensembles: the score of a response is what a reward rule makes of K members' scores.

    Attributes:
        members: K times S networks.
        rule: Name of a reward rule.
        options: Of the rule.
        shift: Taken off the score [S].
        scale: By which it is then divided [S].
    """

    members: tuple[Perceptron, ...]
    rule: str
    options: Mapping[str, Any] = field(default_factory=dict)
    shift: Any = 0.0
    scale: Any = 1.0

    def __len__(self) -> int:
        return len(self.members[0])

    def __getitem__(self, chosen: slice | list[int]) -> Ensemble:
        """Those of the S ensembles."""
        shift, scale = (np.broadcast_to(x, len(self))[chosen] for x in (self.shift, self.scale))
        return replace(self, members=tuple(m[chosen] for m in self.members), shift=shift, scale=scale)

    def scaled(self, shift: Array, scale: Array) -> Ensemble:
        """(score − shift) / scale, both [S]."""
        return replace(self, shift=self.shift + self.scale * shift, scale=self.scale * scale)

    def __call__(self, responses: Array) -> Array:
        """Scores [S, ...] of responses [S, ..., D], or of the same ones for all [1, ..., D]."""
        found = self._reduced(self.seen(responses))
        return ((found.reshape(len(self), -1).T - self.shift) / self.scale).T.reshape(found.shape)

    def seen(self, responses: Array) -> Array:
        """Scores of the members [S, ..., K]."""
        return np.stack([member(responses) for member in self.members], axis=-1)

    def _reduced(self, scores: Array) -> Array:
        flat = scores.reshape(1, -1, scores.shape[-1])
        return apply(self.rule, flat, **self.options).reshape(scores.shape[:-1])

    def mean(self, at: Array) -> Array:
        """E score [S] for x ~ N(at, I), at [S, D]: the members' own are exact, the rest is the mean of fixed draws."""
        scores = self.seen(at[:, None] + _normals(at.shape[-1]))
        apart = (self._reduced(scores) - scores.mean(-1)).mean(-1)
        return np.asarray((np.mean([m.mean(at) for m in self.members], axis=0) + apart - self.shift) / self.scale)

    def slope(self, at: Array) -> Array:
        """Gradient of `mean` in `at` [S, D]."""
        x = at[:, None] + _normals(at.shape[-1])
        scores = self.seen(x)
        each = []
        for k, member in enumerate(self.members):
            nudge = _NUDGE * (np.arange(len(self.members)) == k)
            by = (self._reduced(scores + nudge) - self._reduced(scores - nudge)) / (2 * _NUDGE)
            own = (by - 1 / len(self.members))[..., None] * member.gradient(x)
            each.append(member.slope(at) / len(self.members) + own.mean(1))
        return np.asarray((np.sum(each, axis=0).T / self.scale).T)


def _normals(width: int) -> Array:
    """Normals and their opposites, the same for all [2 · 256, D]."""
    drawn = np.random.default_rng(0).standard_normal((_PAIRS, width))
    return np.concatenate([drawn, -drawn])


def ensemble(
    comparisons: Comparisons, seeds: Sequence[int], *, rule: str = "ensemble-mean", members: int = 5,
    bootstrap: bool = False, same_start: bool = False, **options: Any,
) -> Ensemble:  # fmt: skip
    """S ensembles of Bradley and Terry's reward models.

    Args:
        comparisons: S sets of pairs [S, N, D], or one for all.
        seeds: [S].
        rule: Which reward rule makes one score of the members', see `RULES`.
        members: K; their scores have mean 0 and deviation 1 on the responses that were compared.
        bootstrap: Each member has pairs of its own, drawn from the set with replacement; else all have the same pairs.
        same_start: All members start from the same first weights, as if they shared their pretraining.
        **options: Of the rule.

    Returns:
        S models, responses [S, ..., D] -> scores [S, ...].

    Raises:
        InputError: No member. UnknownNameError: no such rule or option.

    Source: arXiv 2310.02743 (same pairs, different seeds); arXiv 2312.09244 (pretrain and finetune ensembles).
    """
    from simulators.learned_reward.fitting import fit

    find("reward", rule).check_options(options)
    count = check_whole("members", members, 1)
    sets = [comparisons.one(i % comparisons.sets) for i in range(len(seeds)) for _ in range(count)]
    starts = [1_000_003 * int(s) + 2 * (k + 1) for s in seeds for k in range(count)]
    if bootstrap:
        sets = [_drawn_again(each, start) for each, start in zip(sets, starts, strict=True)]
    if same_start:
        starts = [start for start in starts[::count] for _ in range(count)]
    data = stacked(sets)
    networks = fit(data, starts)
    seen = networks(np.concatenate([data.chosen, data.rejected], axis=1))
    networks = networks.scaled(seen.mean(-1), seen.std(-1))
    return Ensemble(tuple(networks[slice(k, None, count)] for k in range(count)), rule, options)


def _drawn_again(comparisons: Comparisons, seed: int) -> Comparisons:
    """As many pairs of one set, drawn from it with replacement."""
    index = np.random.default_rng(seed).integers(len(comparisons), size=len(comparisons))
    return Comparisons(comparisons.chosen[:, index], comparisons.rejected[:, index])


def _known(rule: str) -> Callable[..., Any]:
    """The reward model of that rule."""

    def fitted(
        comparisons: Comparisons, seeds: Sequence[int], *, members: int = 5, bootstrap: bool = False,
        same_start: bool = False,
    ) -> Ensemble:  # fmt: skip
        return ensemble(comparisons, seeds, rule=rule, members=members, bootstrap=bootstrap, same_start=same_start)

    known = find("reward", rule)
    return reward_model(rule, paper=known.paper, equation=known.equation, note="of five networks")(fitted)


for _rule in RULES:
    _known(_rule)
