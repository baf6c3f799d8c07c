"""Groups of rewards without a policy, drawn from a law or listed in full, and what a variant makes of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.advantages import added, check, credit
from lab.advantages.statistics import NO_SIGNAL
from lab.errors import InputError, check_whole
from lab.measures.advantage import per_rollout
from lab.methods import Variant
from lab.registry import FIELDS
from lab.rewards import apply
from simulators.random import fold
from simulators.reward_laws import Law, bernoulli, sample

__all__ = [
    "BATCH", "Share", "all_groups", "drawn", "enumerable", "every_group", "makes_nothing", "multisets", "needs",
    "outcome", "scored", "whole",
]  # fmt: skip

Array = NDArray[Any]

#: Prompts per batch in a simulation, which is what rules over the whole batch see.
BATCH = 32
_CHUNK = 128 * BATCH
_MOST_GROUPS = 20_000
_Z = 1.959963984540054


@dataclass
class Share:
    """A share of dependent trials: hits over trials, counted by clusters that are independent of one another.

    Attributes:
        moments: Sums over clusters of hits h, trials t, h², h·t, t², and the number of clusters with a trial.
    """

    moments: Array = field(default_factory=lambda: np.zeros(6))

    def add(self, hits: Array, trials: Array, by_group: bool) -> None:
        """Count hits and trials [S, P], a cluster being a group, or a batch of P groups if not `by_group`."""
        h, t = (np.ravel(x if by_group else x.sum(axis=-1)).astype(np.float64) for x in (hits, trials))
        self.moments = self.moments + np.array([h.sum(), t.sum(), h @ h, h @ t, t @ t, (t > 0).sum()])

    def interval(self) -> tuple[float | None, float | None, float | None]:
        """The share with its 95% interval; three times None without a trial.

        Wilson's interval for as many independent trials as would have the variance that is seen between clusters,
        (Σh² − 2rΣht + r²Σt²)/(Σt)², at most all; for as many as there are clusters where all of them agree.
        """
        h, t, hh, ht, tt, clusters = (float(x) for x in self.moments)
        if t == 0:
            return None, None, None
        rate = h / t
        variance = (hh - 2 * rate * ht + rate**2 * tt) / t**2
        n = min(t, rate * (1 - rate) / variance) if variance > 0 else clusters
        shrink = 1 + _Z**2 / n
        middle = (rate + _Z**2 / (2 * n)) / shrink
        half = _Z / shrink * math.sqrt(rate * (1 - rate) / n + (_Z / (2 * n)) ** 2)
        return rate, middle - half if h else 0.0, middle + half if h < t else 1.0


def drawn(law: Law, size: int, prompts: int, seed: int) -> Iterator[Array]:
    """Rewards [S, P, size] of one law in chunks, P = `BATCH`, until at least `prompts` groups are drawn.

    Rewards are in the law's own units (not centred). Each law has draws of its own.
    """
    whole("seed", [seed], 0)
    left = -(-prompts // BATCH) * BATCH
    for chunk in range(-(-left // _CHUNK)):
        number = min(_CHUNK, left - chunk * _CHUNK)
        rewards = sample(law, (number, size), seed=_stream(seed, law, chunk), centred=False)
        yield rewards.reshape(-1, BATCH, size)


def _stream(seed: int, law: Law, chunk: int) -> int:
    key = np.uint64(seed)
    for number in (law.code, *law.parameters, chunk):
        key = np.uint64(fold(key, np.float64(number).view(np.uint64)))
    return int(key)


def multisets(kinds: int, size: int) -> Array:
    """All multisets of `size` elements of `kinds` kinds as rows of sorted indices [C(size + kinds - 1, size), size]."""
    number = math.comb(size + kinds - 1, size)
    flat = chain.from_iterable(combinations_with_replacement(range(kinds), size))
    return np.fromiter(flat, dtype=np.int64, count=number * size).reshape(number, size)


def every_group(law: Law, size: int) -> tuple[Array, Array] | None:
    """All groups of a law with finite support, as multisets, with their probabilities.

    Returns:
        Rewards [M, 1, size] and probabilities [M], or None where the law is continuous or M would pass 20000.
    """
    return None if law.support is None else all_groups(*law.support, size)


def all_groups(values: Any, shares: Any, size: int) -> tuple[Array, Array] | None:
    """All groups of independent rewards with these values [V] and probabilities [V]; see `every_group`."""
    values, shares = np.asarray(values, np.float64), np.asarray(shares, np.float64)
    if math.comb(size + len(values) - 1, size) > _MOST_GROUPS:
        return None
    index = multisets(len(values), size)
    counts = (index[..., None] == np.arange(len(values))).sum(axis=1)
    log_factorial = np.array([math.lgamma(n + 1) for n in range(size + 1)])
    orders = np.exp(log_factorial[size] - log_factorial[counts].sum(axis=1))
    return values[index][:, None, :], orders * shares[index].prod(axis=1)


def enumerable(v: Variant) -> bool:
    """Whether a group, in any order, is all that the variant's advantage rule looks at.

    A rule with options of its own is asked by the battery of checks, for an option can change what it looks at. Of a
    variant with a reward rule it is not known.
    """
    rule, options = v.rule("advantage"), v.options.get("advantage")
    assert rule is not None
    if v.reward is not None:
        return False
    found = rule.properties
    if options:
        own = replace(rule, options={**rule.options, **options})
        found = frozenset(report.name for report in check(own) if report.holds)
    return {"groupwise", "permutation"} <= found


def outcome(v: Variant, rewards: Array) -> tuple[Array, Array] | None:
    """Advantages [S, P, n] of a variant and which rollouts it uses [S, P, n]; None if it refuses such rewards.

    One that combines a gradient for each reward component refuses them: they are one reward.

    Args:
        v: The variant; its reward rule, its advantage rule and its filter act.
        rewards: [S, P, n], n = group size + the variant's extra rollouts.

    Raises:
        MissingFieldError: A rule reads a field that rewards alone do not have.
    """
    options = dict(v.options.get("advantage", {}))
    if v.combine is not None:
        return None
    try:
        after = scored(v, rewards[..., None])
        made = credit(v.advantage, after, **options)
    except InputError:
        return None
    advantage = per_rollout(made.advantage)
    keep = np.abs(advantage) > NO_SIGNAL
    if made.keep is not None:
        keep &= made.keep
    rule = v.rule("filter")
    if rule is not None:
        keep &= rule.function(added(after), **{**rule.options, **v.options.get("filter", {})})[..., None]
    return advantage, keep


def makes_nothing(v: Variant) -> bool:
    """Whether no rollout of 32 groups of 8 with a right-or-wrong reward gets an advantage, or all are refused."""
    found = outcome(v, next(drawn(bernoulli(0.2), 8 + v.extra_rollouts, BATCH, 0)))
    return found is None or not bool(found[1].any())


def scored(v: Variant, rewards: Array) -> Array:
    """Rewards [..., P, n, K] after the variant's reward rule; every rollout is one valid token."""
    rule = v.rule("reward")
    if rule is None:
        return rewards
    mask = {"mask": np.ones((*rewards.shape[:-1], 1), dtype=bool)} if "mask" in rule.fields else {}
    return apply(rule.name, rewards, **mask, **v.options.get("reward", {}))


def needs(v: Variant) -> tuple[str, ...]:
    """Fields that the variant's rules read and that rewards alone do not have."""
    rules = filter(None, map(v.rule, ("advantage", "objective", "reward")))
    here = {name for name, f in FIELDS.items() if f.everywhere} - {"actions"}
    return tuple(dict.fromkeys(f for rule in rules for f in rule.required if f not in here))


def whole(name: str, values: Iterable[int], least: int = 1) -> list[int]:
    """`values` as whole numbers of at least `least`; InputError naming the first that is none."""
    return [check_whole(name, value, least) for value in values]
