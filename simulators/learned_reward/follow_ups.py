"""Users who react to an answer: what they say next tells whether it pleased them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulators.errors import check_count, check_numbers
from simulators.learned_reward.annotators import Comparisons
from simulators.learned_reward.gold import Gold
from simulators.records import Bools, Floats

__all__ = ["SYMBOLS", "Dialogues", "logged", "react", "reactions", "templates"]

Ids = NDArray[np.int64]

#: Tokens of a follow-up, and how many of them one is long.
SYMBOLS, LENGTH = 20, 5
_EACH, _PLEASED, _DISPLEASED, _SEED = 10, (0, 14), (6, 20), 600


@dataclass(frozen=True, eq=False)
class Dialogues:
    """Answers and what users said next; S sets of N side by side.

    Attributes:
        responses: [S, N, D].
        follow_ups: Tokens [S, N, T].
        satisfied: Whether the user was pleased [S, N]; None: not known.
    """

    responses: Floats
    follow_ups: Ids
    satisfied: Bools | None = None


def templates(seed: int = 0) -> tuple[Ids, Ids]:
    """Ten things that pleased users say and ten that others say [10, 5] each; they share tokens 6 to 13 of 20.

    Source: FLR card, lab form.
    """
    rng = np.random.default_rng([_SEED, check_count("seed", seed, least=0)])
    pleased, displeased = (rng.integers(*tokens, size=(_EACH, LENGTH)) for tokens in (_PLEASED, _DISPLEASED))
    return pleased, displeased


def react(gold: Gold, number: int, *, beta: float = 2.0, seeds: int | Sequence[int] = 0, said: int = 0) -> Dialogues:
    """Base responses and reactions: P(pleased) = σ(beta · gold), then one of ten follow-ups by chance.

    Args:
        gold: What users mean.
        number: N, of each set.
        beta: Sharpness of the users.
        seeds: One for each set.
        said: Seed of the `templates`.

    Raises:
        ValueError: No dialogue, or a sharpness that is negative or no number.

    Source: FLR card, lab form.
    """
    check_count("number", number, least=1)
    if not 0 <= beta < np.inf:
        raise ValueError(f"beta={beta}; it must be a number of at least 0")
    found = [_reacted(gold, number, beta, s, said) for s in ([seeds] if isinstance(seeds, int) else seeds)]
    responses, satisfied, follow_ups = (np.stack(part) for part in zip(*found, strict=True))
    return Dialogues(responses, follow_ups, satisfied)


def _reacted(gold: Gold, number: int, beta: float, seed: int, said: int) -> tuple[Floats, Bools, Ids]:
    rng = np.random.default_rng(seed)
    x = gold.draw(rng, number)
    pleased = rng.random(number) < 0.5 * (1 + np.tanh(0.5 * beta * gold(x)))
    return x, pleased, _said(pleased, rng, said)


def _said(pleased: Bools, rng: np.random.Generator, said: int) -> Ids:
    """A follow-up of each user [..., 5]."""
    ways = np.stack(templates(said)[::-1])  # others first: False is 0
    return np.asarray(ways[pleased.astype(int), rng.integers(_EACH, size=pleased.shape)])


def reactions(comparisons: Comparisons, seeds: Sequence[int]) -> Dialogues:
    """Of each pair two dialogues: whoever preferred one is pleased by it and not by the other."""
    x = np.concatenate([comparisons.chosen, comparisons.rejected], axis=1)
    pleased = np.broadcast_to(np.arange(x.shape[1]) < len(comparisons), x.shape[:2])
    each = [_said(row, np.random.default_rng([int(s), 1]), 0) for row, s in zip(pleased, seeds, strict=False)]
    return Dialogues(x, np.stack(each), pleased)


def logged(responses: ArrayLike, follow_ups: ArrayLike) -> Dialogues:
    """Dialogues of one's own, checked.

    Args:
        responses: Features [N, D], or of S sets [S, N, D].
        follow_ups: Tokens [N, T] or [S, N, T], from 0 to 19.

    Raises:
        ValueError: There is no dialogue, shapes do not fit, a feature is not finite, a token is none, or all users say
            the same: nothing could be learned.
    """
    x, said = check_numbers("responses", responses), np.asarray(follow_ups)
    if x.ndim not in (2, 3) or said.shape[:-1] != x.shape[:-1]:
        raise ValueError(f"responses {x.shape} and follow_ups {said.shape} must be [N, D] and [N, T], with sets or not")
    if not x.size or not said.size:
        raise ValueError(f"there are no dialogues: follow_ups has shape {said.shape}; at least one token is needed")
    if not np.issubdtype(said.dtype, np.integer) or (said < 0).any() or (said >= SYMBOLS).any():
        raise ValueError(f"follow_ups must be whole numbers from 0 to {SYMBOLS - 1}, the tokens")
    x, said = (x, said) if x.ndim == 3 else (x[None], said[None])
    if any((each == each[:1]).all() for each in said):
        raise ValueError("every user says the same, so that nothing tells answers apart")
    return Dialogues(x, said.astype(np.int64))
