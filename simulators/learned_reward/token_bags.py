"""Bags of tokens: good words, words that only go along with good ones, and a writer that a reward can steer.

Of 40 tokens 0 to 7 are good and 8 to 15 bad, the later half of each rare. Tokens 16 to 19 have stood mostly in
preferred responses and 20 to 23 mostly in rejected ones, though they are worth nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulators.errors import check_count
from simulators.learned_reward.annotators import Comparisons, compared, stacked
from simulators.records import Floats

__all__ = ["GOOD", "LENGTH", "SPURIOUS", "WORTH", "Bags", "Writer", "bags", "compare_bags", "swapped", "writer"]

TOKENS, LENGTH = 40, 12
#: Tokens of a good and of a bad class, of which the last four of each are rare.
GOOD, _BAD, _RARE = slice(0, 8), slice(8, 16), (slice(4, 8), slice(12, 16))
#: Tokens that went with preferred and with rejected responses by chance.
SPURIOUS = (slice(16, 20), slice(20, 24))
#: What each token is worth; the class of a response is the sign of the sum.
WORTH: Floats = np.concatenate([np.ones(8), -np.ones(8), np.zeros(TOKENS - 16)])
_TRIES, _SEED = 20, 77_000


@dataclass(frozen=True, eq=False)
class Writer:
    """Writes responses of the preferred or the rejected class, token by token.

    Attributes:
        shares: How likely each token is in a preferred and in a rejected response [2, V].
        length: Tokens of a response.
        worth: A response is of the preferred class where the worth of its tokens adds up to more than 0, of the other
            one where to less [V].
    """

    shares: Floats
    length: int
    worth: Floats

    def write(
        self, rng: np.random.Generator, preferred: bool, number: int, *, reward: Floats | None = None, tokens: int = 6,
        alpha: float = 2.0,
    ) -> Floats:  # fmt: skip
        """Responses of a class [at most number, V], counts of tokens.

        With a reward the writer is steered to where that is wrong: of `tokens` candidates, drawn by their likelihood,
        the next one is argmax log π(v) − s · alpha · reward_v, s = 1 in preferred and −1 in rejected responses.

        Args:
            rng: Where the draws come from.
            preferred: The class.
            number: Of responses; what leaves its class is written again, 20 times at most.
            reward: Of each token [V], so that the reward of a response is the sum; None: not steered.
            tokens: Candidates for each place.
            alpha: How hard the writer is steered; 0: not at all.
        """
        found = np.zeros((0, len(self.worth)))
        for _ in range(_TRIES):
            drawn = self._drawn(rng, preferred, number, np.zeros(0) if reward is None else alpha * reward, tokens)
            found = np.concatenate([found, drawn[(drawn @ self.worth > 0) if preferred else (drawn @ self.worth < 0)]])
            if len(found) >= number:
                break
        return found[:number]

    def _drawn(self, rng: np.random.Generator, preferred: bool, number: int, push: Floats, tokens: int) -> Floats:
        with np.errstate(divide="ignore"):
            likely = np.log(self.shares[0 if preferred else 1])
        steered = push.any()
        pick = likely - (1 if preferred else -1) * push if steered else likely
        keys = likely + rng.gumbel(size=(number, self.length, len(likely)))
        best = np.argpartition(-keys, tokens - 1, axis=-1)[..., :tokens] if steered else keys.argmax(-1)[..., None]
        chosen = np.take_along_axis(best, pick[best].argmax(-1)[..., None], -1)[..., 0]
        return np.asarray((chosen[..., None] == np.arange(len(likely))).sum(1), np.float64)


@dataclass(frozen=True, eq=False)
class Bags(Comparisons):
    """Comparisons of counts of tokens [S, N, V].

    Attributes:
        by: A writer of either class.
    """

    by: Writer | None = None


def bags(chosen: Floats, rejected: Floats, by: Writer) -> Bags:
    """Comparisons of one's own, checked.

    Args:
        chosen: Counts of tokens in the preferred response of each pair [N, V], or of S sets [S, N, V].
        rejected: In the other one.
        by: A writer of either class.

    Raises:
        ValueError: As `annotators.compared`; counts are no whole numbers from 0, or the writer has other tokens.
    """
    told = compared(chosen, rejected)
    width, both = told.chosen.shape[-1], np.concatenate([told.chosen, told.rejected])
    if (both < 0).any() or (both % 1).any():
        raise ValueError("counts of tokens must be whole numbers of at least 0")
    if by.shares.shape != (2, width) or by.worth.shape != (width,):
        raise ValueError(f"the writer has shares {by.shares.shape} of {width} tokens; they must be [2, {width}]")
    if not (np.isfinite(by.shares).all() and (by.shares >= 0).all() and np.allclose(by.shares.sum(1), 1)):
        raise ValueError("the writer's shares of each class must be numbers of at least 0 that add up to 1")
    return Bags(told.chosen, told.rejected, by=by)


def _shares(own: float, other: float, spurious: tuple[float, float], rare: float) -> Floats:
    found = np.ones((2, TOKENS))
    for row, (mine, others, along, against) in zip(
        found, ((GOOD, _BAD, *SPURIOUS), (_BAD, GOOD, *SPURIOUS[::-1])), strict=True
    ):
        row[mine], row[others], row[along], row[against] = own, other, *spurious
        for each in _RARE:
            row[each] *= rare
    return np.asarray(found / found.sum(1, keepdims=True))


def writer(*, biased: bool = False) -> Writer:
    """Writes good and bad responses, and knows of no spurious token; a biased one writes as in the comparisons."""
    shares = _shares(2.0, 0.5, (3.0, 0.2), 0.05) if biased else _shares(2.0, 0.05, (1.0, 1.0), 1.0)
    return Writer(shares, LENGTH, WORTH)


def compare_bags(pairs: int = 400, *, seeds: int | Sequence[int] = 0) -> Bags:
    """A good and a bad response in each pair; in the good ones stand tokens 16 to 19, in the bad ones 20 to 23.

    Args:
        pairs: N, of each set.
        seeds: One for each set.

    Raises:
        ValueError: No pair.

    Source: reform card, small-scale reproduction.
    """
    check_count("pairs", pairs, least=1)
    source, found = writer(biased=True), []
    for seed in [seeds] if isinstance(seeds, int) else seeds:
        rng = np.random.default_rng([_SEED, int(seed)])
        chosen, rejected = (source.write(rng, preferred, pairs) for preferred in (True, False))
        found.append(Comparisons(chosen[None], rejected[None]))
    both = stacked(found)
    return Bags(both.chosen, both.rejected, by=writer())


def swapped(responses: Floats) -> Floats:
    """Responses [..., V] with the two kinds of spurious tokens exchanged; their class stays."""
    order = np.arange(responses.shape[-1])
    order[SPURIOUS[0]], order[SPURIOUS[1]] = np.arange(20, 24), np.arange(16, 20)
    return np.asarray(responses[..., order])
