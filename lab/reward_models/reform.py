"""REFORM: a reward model steers a writer to where it is wrong, and learns from what it finds there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.errors import InputError, UnknownNameError, check_number, check_whole
from lab.reward_models.bradley_terry import bradley_terry
from lab.reward_models.door import reward_model
from simulators.learned_reward.token_bags import Bags, Writer

__all__ = ["AUGMENTED", "Linear", "failure_rate", "reform", "variants"]

Array = NDArray[np.float64]
Variants = tuple[Array, Array]

#: What is added to the comparisons: variants that the reward scores wrongly, or such as the writer happens to make.
AUGMENTED = ("guided", "plain")
_ROUNDS = 5  # in which wrongly scored variants are looked for


@dataclass(frozen=True, eq=False)
class Linear:
    """S rewards that are sums over tokens.

    Attributes:
        weights: Of each token [S, V].
        found: Of each, the responses that were added: preferred ones and rejected ones, [m, V] each.
    """

    weights: Array
    found: tuple[Variants, ...]

    def __call__(self, responses: Array) -> Array:
        """Scores [S, ...] of counts [S, ..., V], or of the same ones for all [1, ..., V]."""
        x = np.asarray(responses, np.float64)
        return np.einsum("s...v,sv->s...", np.broadcast_to(x, (len(self.weights), *x.shape[1:])), self.weights)


def variants(
    by: Writer, weights: Array, number: int, rng: np.random.Generator, *, tokens: int = 6, alpha: float = 2.0
) -> Variants:
    """Responses of either class that the reward steers its writer to: preferred ones pushed down, others up.

    Args:
        by: The writer.
        weights: Of each token [V].
        number: Of each class; fewer where the writer cannot keep to its class.
        rng: Where the draws come from.
        tokens: Candidates for each place.
        alpha: How hard the writer is steered; 0: not at all.

    Returns:
        Preferred and rejected responses [m, V].

    Source: arXiv 2507.06419; the rule of the decoder is inferred.
    """
    first, second = (by.write(rng, kind, number, reward=weights, tokens=tokens, alpha=alpha) for kind in (True, False))
    return first, second


def _wrong(found: Variants, weights: Array, chosen: Array, rejected: Array) -> tuple[NDArray[Any], NDArray[Any]]:
    """Which preferred variants score below the median of the rejected, and which rejected ones above the chosen's."""
    low, high = np.median(rejected @ weights), np.median(chosen @ weights)
    return found[0] @ weights < low, found[1] @ weights > high


def failure_rate(found: Variants, weights: Array, chosen: Array, rejected: Array) -> float:
    """Share of variants that are scored wrongly, mean over both classes; 0 for a class without any.

    A preferred one is if it scores below the median of the rejected [N, V], a rejected one above that of the chosen.
    """
    shares = [float(each.mean()) if len(each) else 0.0 for each in _wrong(found, weights, chosen, rejected)]
    return float(np.mean(shares))


@reward_model("reform", paper="reform", equation="refitted with (low-scored ỹ⁺, y⁻) and (y⁺, high-scored ỹ⁻)",
              data=Bags, note="learns from counts of tokens and a writer of either class")  # fmt: skip
def reform(
    comparisons: Bags, seeds: Sequence[int], *, share: float = 0.05, augmented: str = "guided", alpha: float = 2.0,
    tokens: int = 6, ridge: float = 1e-2,
) -> Linear:  # fmt: skip
    """Bradley and Terry's reward of counts, which looks for its own failures and is then fitted once more.

    Args:
        comparisons: S sets of pairs of counts [S, N, V], or one for all, with a writer of either class.
        seeds: Of the search [S].
        share: Variants of each class per comparison; fewer where fewer are found. 0: the reward is left as it is.
        augmented: One of `AUGMENTED`.
        alpha: How hard the writer is steered.
        tokens: Candidates for each place.
        ridge: Penalty per comparison.

    Returns:
        S rewards, counts [S, ..., V] -> scores [S, ...].

    Raises:
        UnknownNameError: No such augmentation. InputError: A number out of range; there is no writer; or as many sets
            as seeds are needed, or one.

    Source: arXiv 2507.06419; pairing, share and the reward of the toy are the card's.
    """
    _check(comparisons, seeds, tokens)
    if augmented not in AUGMENTED:
        raise UnknownNameError("augmentation of reform", augmented, AUGMENTED)
    for name, value in (("share", share), ("alpha", alpha)):
        check_number(name, value, lambda x: 0 <= x < np.inf, "a number of at least 0")
    number = round(share * len(comparisons))
    steered = (tokens, alpha if augmented == "guided" else 0.0)
    weights, found = [], []
    for k, seed in enumerate(seeds):
        chosen, rejected = (x[k % comparisons.sets] for x in (comparisons.chosen, comparisons.rejected))
        rng = np.random.default_rng(int(seed))
        first = _fitted(chosen - rejected, ridge)
        found.append(_sought(comparisons.by, first, chosen, rejected, number, rng, steered))
        weights.append(_fitted(np.concatenate([chosen - rejected, *_paired(found[-1], chosen, rejected, rng)]), ridge))
    return Linear(np.array(weights), tuple(found))


def _check(comparisons: Bags, seeds: Sequence[int], tokens: int) -> None:
    if comparisons.by is None:
        raise InputError("these comparisons have no writer; see simulators.learned_reward.token_bags.bags")
    if comparisons.sets not in (1, len(seeds)) or not len(seeds):
        raise InputError(f"{comparisons.sets} sets of comparisons for {len(seeds)} seeds; one each is needed, or one")
    check_whole("tokens", tokens, 1)
    if tokens > (most := comparisons.chosen.shape[-1]):
        raise InputError(f"tokens={tokens}, but there are {most}")


def _fitted(difference: Array, ridge: float) -> Array:
    """Weights [V] of differences of counts [M, V]."""
    return bradley_terry(difference, np.ones(len(difference)), ridge=ridge * len(difference))


def _sought(
    by: Any, weights: Array, chosen: Array, rejected: Array, number: int, rng: np.random.Generator,
    steered: tuple[int, float],
) -> Variants:  # fmt: skip
    """As many variants of each class, those that are scored wrongly where the writer is steered."""
    tokens, alpha = steered
    kept: list[list[Array]] = [[], []]
    for _ in range(_ROUNDS if number else 0):
        found = variants(by, weights, number, rng, tokens=tokens, alpha=alpha)
        wrong = _wrong(found, weights, chosen, rejected)
        for own, each, mistaken in zip(kept, found, wrong, strict=True):
            own.append(each[mistaken] if alpha else each)
        if min(sum(map(len, own)) for own in kept) >= number:
            break
    first, second = (np.concatenate([np.zeros((0, len(weights))), *own]) for own in kept)
    least = min(len(first), len(second), number)  # as many of each class, or the balance would move
    return first[:least], second[:least]


def _paired(found: Variants, chosen: Array, rejected: Array, rng: np.random.Generator) -> Variants:
    """Differences of (variant, a rejected one) and of (a chosen one, variant)."""
    low, high = found
    i, j = rng.integers(len(chosen), size=(2, len(low)))
    return low - rejected[i], chosen[j] - high
