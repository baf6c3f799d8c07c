"""Which responses are compared with one another: independent pairs (a chain), or leaves of one prefix tree.

Responses are sequences of T tokens out of V. Two leaves of a tree share a prefix, which is read once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simulators.errors import check_count
from simulators.learned_reward.annotators import Comparisons
from simulators.learned_reward.gold import STANDARD, Gold
from simulators.records import Floats, Ints

__all__ = ["chain", "compare", "one_hot", "sequences", "shared", "tree"]

_GOLD, _BASE, _ANSWERS, _PAIRED = 70_000, 71_000, 72_000, 0.7


def one_hot(tokens: Ints, vocabulary: int = 8) -> Floats:
    """Features [..., T V] of sequences [..., T]."""
    return np.eye(vocabulary)[tokens].reshape(*tokens.shape[:-1], -1)


def sequences(seed: int = 0, *, vocabulary: int = 8, length: int = 8) -> Gold:
    """A reward of sequences: of each token at its place and, 0.7 times, of each two neighbours; mean 0, deviation 1.

    Args:
        seed: Of its tables, N(0, 1) each.
        vocabulary: Tokens V.
        length: Of a sequence T.
    """
    size, places = check_count("vocabulary", vocabulary, least=2), check_count("length", length, least=2)
    rng = np.random.default_rng([_GOLD, check_count("seed", seed, least=0)])
    own, pairs = rng.standard_normal((places, size)), rng.standard_normal((places - 1, size, size))

    def draw(rng: np.random.Generator, number: int) -> Floats:
        return one_hot(rng.integers(size, size=(number, places)), size)

    def raw(x: Floats) -> Floats:
        tokens, at = x.reshape(*x.shape[:-1], places, size).argmax(-1), np.arange(places)
        return np.asarray(
            own[at, tokens].sum(-1) + _PAIRED * pairs[at[1:] - 1, tokens[..., :-1], tokens[..., 1:]].sum(-1)
        )

    seen = raw(draw(np.random.default_rng(_BASE), STANDARD))
    return Gold("sequences", raw, draw, None, float(seen.mean()), float(seen.std()))


def chain(number: int, rng: np.random.Generator, *, vocabulary: int = 8, length: int = 8) -> Ints:
    """Independent uniform pairs [N, 2, T]."""
    return rng.integers(vocabulary, size=(check_count("number", number, least=1), 2, length))


def tree(
    number: int, rng: np.random.Generator, *, vocabulary: int = 8, length: int = 8, splits: int = 3, each: int = 4
) -> Ints:
    """Pairs of different leaves of prefix trees [N, 2, T].

    A tree starts as one sequence. At each of some places, in order, every sequence is kept and copied, and the copy is
    drawn anew from there on, its first new token another one: 2^splits leaves.

    Args:
        number: N.
        rng: Where the numbers come from.
        vocabulary: Tokens V.
        length: Of a sequence T.
        splits: Places at which all sequences split, different ones.
        each: Pairs of one tree.

    Raises:
        ValueError: No pair, no split, more splits than places, or one token alone.
    """
    check_count("vocabulary", vocabulary, least=2)
    check_count("splits", splits, least=1, most=length)
    trees = -(-check_count("number", number, least=1) // check_count("each", each, least=1))
    leaves = rng.integers(vocabulary, size=(trees, 1, length))
    places = np.sort(rng.permuted(np.tile(np.arange(length), (trees, 1)), axis=1)[:, :splits], axis=1)
    for at in places.T[..., None, None]:
        leaves = np.concatenate([leaves, _again(leaves, at, vocabulary, rng)], axis=1)
    pairs = _two(trees * each, leaves.shape[1], rng).reshape(trees, each, 2)
    found = leaves[np.arange(trees)[:, None, None], pairs]
    return np.asarray(found.reshape(-1, 2, length)[:number])


def _again(sequences: Ints, at: Ints, vocabulary: int, rng: np.random.Generator) -> Ints:
    """The sequences [M, L, T] drawn anew from a place on [M, 1, 1]."""
    place = np.arange(sequences.shape[-1])
    fresh = rng.integers(vocabulary, size=sequences.shape)
    other = (sequences + rng.integers(1, vocabulary, size=sequences.shape)) % vocabulary
    return np.where(place < at, sequences, np.where(place == at, other, fresh))


def _two(number: int, of: int, rng: np.random.Generator) -> Ints:
    """Two different ones of so many [N, 2]."""
    first = rng.integers(of, size=number)
    return np.stack([first, (first + rng.integers(1, of, size=number)) % of], axis=1)


def shared(pairs: Ints) -> Ints:
    """Tokens of the prefix that both have in common [N], of pairs [N, 2, T]."""
    return np.asarray(np.logical_and.accumulate(pairs[:, 0] == pairs[:, 1], axis=-1).sum(-1))


def compare(
    gold: Gold, topology: str, number: int, *, beta: float = 2.0, seeds: int | Sequence[int] = 0
) -> Comparisons:
    """Sets of comparisons of sequences of one topology; labels as of `annotators.annotate`, σ(beta · gold distance).

    Args:
        gold: What annotators mean, of 8 tokens out of 8.
        topology: "chain" or "tree".
        number: N, of each set.
        beta: Sharpness of the annotators.
        seeds: One for each set.

    Raises:
        ValueError: No such topology, no pair, or a sharpness that is negative or no number.
    """
    if topology not in ("chain", "tree") or not 0 <= beta < np.inf:
        raise ValueError(f"topology={topology!r}, beta={beta}; a chain or a tree, and a number of at least 0")
    drawn = {"chain": chain, "tree": tree}[topology]
    found = []
    for seed in np.atleast_1d(seeds):
        rng = np.random.default_rng([_ANSWERS, int(seed)])
        both = one_hot(drawn(number, rng))
        ahead = gold(both[:, 0]) - gold(both[:, 1])
        first = rng.random(number) < 0.5 * (1 + np.tanh(0.5 * beta * ahead))
        found.append((both, ahead, first))
    both, ahead, first = (np.stack(part) for part in zip(*found, strict=True))
    return Comparisons(both[:, :, 0], both[:, :, 1], margin=ahead).swapped(~first)
