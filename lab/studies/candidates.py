"""Exact policies over fixed candidate answers: what a reward leads to at a given KL, with nothing sampled.

Of M answers to each of P prompts the policy is uniform at first; the best policy for a reward u at price β of a nat of
KL is proportional to exp(u/β).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.errors import InputError, check_number
from lab.registry import find

__all__ = ["Answers", "conflicting", "hackable", "kl_of", "shaped", "tilted"]

Array = NDArray[Any]
_ENDS, _HALVINGS = (-7.0, 9.0), 34


@dataclass(frozen=True)
class Answers:
    """Candidate answers of S independent draws.

    Attributes:
        proxy: What is trained on [S, P, M, K].
        gold: What is meant [S, P, M].
        references: Proxy of ten answers of the first policy [S, P, 10, K].
    """

    proxy: Array
    gold: Array
    references: Array


def hackable(seeds: range, prompts: int = 32, answers: int = 256) -> Answers:
    """A proxy that is right but for its extremes: gold q − 2.4 max(h − 1, 0)², proxy q + h + noise.

    Source: the par card, synthetic preference world.
    """
    rng = np.random.default_rng([11, seeds.start, len(seeds)])
    q, h, noise = rng.standard_normal((3, len(seeds), prompts, answers))
    return _with_references(q + h + 0.3 * noise, q - 2.4 * np.maximum(h - 1, 0) ** 2, rng)


def conflicting(seeds: range, prompts: int = 32, answers: int = 256) -> Answers:
    """Two rewards at odds (correlation −½) whose scales differ from prompt to prompt; gold: both in their upper 15%.

    Source: the lsc-transform card, contextual bandit.
    """
    rng = np.random.default_rng([12, seeds.start, len(seeds)])
    first, other = rng.standard_normal((2, len(seeds), prompts, answers))
    scales = np.exp(0.8 * rng.standard_normal((len(seeds), prompts, 1, 2)))
    proxy = np.stack([first, -0.5 * first + np.sqrt(0.75) * other], axis=-1) * scales
    good = proxy > np.quantile(proxy, 0.85, axis=-2, keepdims=True)
    return _with_references(proxy, good.all(axis=-1).astype(np.float64), rng)


def _with_references(proxy: Array, gold: Array, rng: np.random.Generator) -> Answers:
    full = proxy if proxy.ndim == 4 else proxy[..., None]  # [S, P, M, K]
    chosen = rng.integers(full.shape[2], size=(*full.shape[:2], 10))
    return Answers(full, gold, np.take_along_axis(full, chosen[..., None], axis=2))


def shaped(name: str, answers: Answers, *, every: bool = False, **options: Any) -> Array:
    """The rewards of the answers after a reward rule, components added [S, P, M].

    Args:
        name: Of the rule.
        answers: The answers.
        every: All answers are references, not ten.
        **options: Of the rule.
    """
    from lab import rewards

    rule = find("reward", name)
    beside = answers.proxy if every else answers.references
    fields = {"reference_rewards": beside} if "reference_rewards" in rule.fields else {}
    return rewards.apply(name, answers.proxy, **fields, **options).sum(axis=-1)


def tilted(reward: Array, kl: float) -> Array:
    """The policies proportional to exp(u/β) [S, P, M], with β for each draw such that the mean KL over prompts is `kl`.

    Raises:
        InputError: A KL that no policy over the answers has.
    """
    check_number("kl", kl, lambda x: 0 < x < np.log(reward.shape[-1]), "above 0 and below the log of the answers")
    low, high = (np.full((len(reward), 1, 1), end) for end in _ENDS)  # of log 1/β
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        over = _kl(reward * np.exp(middle)).mean(axis=-1)[:, None, None] > kl
        low, high = np.where(over, low, middle), np.where(over, middle, high)
    found = _softmax(reward * np.exp(low))
    if np.abs(kl_of(found).mean(axis=-1) - kl).max() > 1e-3 * kl:
        raise InputError(f"kl={kl:g} is not reached: the reward sets too few answers apart")
    return found


def _kl(u: Array) -> Array:
    """KL of the policy proportional to exp(u) from the uniform one [..., M] -> [...]: mean of u − log Z + log M."""
    lead = u - u.max(axis=-1, keepdims=True)
    weight = np.exp(lead)
    total = weight.sum(axis=-1)
    return (weight * lead).sum(axis=-1) / total - np.log(total) + np.log(u.shape[-1])


def _softmax(u: Array) -> Array:
    weight = np.exp(u - u.max(axis=-1, keepdims=True))
    return np.asarray(weight / weight.sum(axis=-1, keepdims=True))


def kl_of(policy: Array) -> Array:
    """KL from the uniform policy of each prompt [..., M] -> [...], nats."""
    return (policy * np.log(np.maximum(policy, 1e-300))).sum(axis=-1) + np.log(policy.shape[-1])
