"""Tournaments in a group of rollouts: who is compared with whom, and what reward each place gets.

A judge's scores of one group are a matrix [G, G]: `scores[i, j]` is what rollout i got when it was compared with
rollout j, both orders of presentation added. A comparison of i and j reads scores[i, j] and scores[j, i].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from lab.advantages.statistics import Array
from lab.errors import UnknownNameError

__all__ = ["TOPOLOGIES", "Outcome", "comparisons", "play"]


class Outcome(NamedTuple):
    """What a tournament gives: rewards [G] in [0, 1], and its comparisons (first, second) in order."""

    reward: Array
    comparisons: list[tuple[int, int]]


def play(topology: str, scores: Array, seed: int = 0) -> Outcome:
    """A tournament among the G rollouts of one group.

    Args:
        topology: A key of `TOPOLOGIES`.
        scores: The judge's scores [G, G].
        seed: Draws the pairings of those that pair at random.

    Raises:
        UnknownNameError: No such topology.

    Source: arXiv 2601.06487; golden file arenarl.json for the three without random pairings.
    """
    if topology not in TOPOLOGIES:
        raise UnknownNameError("topology", topology, TOPOLOGIES)
    return TOPOLOGIES[topology](scores, np.random.default_rng(seed))


def comparisons(topology: str, group_size: int) -> int:
    """Number of comparisons that a tournament of G rollouts asks the judge for."""
    return len(play(topology, np.zeros((group_size, group_size))).comparisons)


def round_robin(scores: Array, rng: np.random.Generator) -> Outcome:
    """Everyone against everyone, G(G − 1)/2: a win counts 1, a tie 1/2; equal counts share the better place."""
    size = len(scores)
    won = np.where(scores > scores.T, 1.0, np.where(scores == scores.T, 0.5, 0.0))
    np.fill_diagonal(won, 0.0)
    return Outcome(_by_rank(won.sum(-1)), [(i, j) for i in range(size) for j in range(i + 1, size)])


def anchor(scores: Array, rng: np.random.Generator) -> Outcome:
    """Everyone against rollout 0, G − 1: places by the score against it, its own being the mean of what it got."""
    return Outcome(_by_rank(_against_first(scores)), _seeding(len(scores)))


def single_elimination(scores: Array, rng: np.random.Generator) -> Outcome:
    """Seeded by the comparisons with rollout 0, then knocked out, 2G − 2 in all."""
    first = _against_first(scores)
    points = [[float(p)] for p in first]
    order = sorted(range(len(scores)), key=lambda i: -first[i])
    return _knock_out(scores, [order[b] for b in _bracket(len(scores))], points, _seeding(len(scores)))


def unseeded(scores: Array, rng: np.random.Generator) -> Outcome:
    """Knocked out from random pairings, G − 1."""
    return _knock_out(scores, rng.permutation(len(scores)).tolist(), [[] for _ in scores], [])


def double_elimination(scores: Array, rng: np.random.Generator) -> Outcome:
    """Out after two losses, pairings at random within each bracket; the later one is out the better."""
    size = len(scores)
    points: list[list[float]] = [[] for _ in range(size)]
    played: list[tuple[int, int]] = []
    brackets: tuple[list[int], list[int]] = (list(range(size)), [])  # without a loss, with one
    ranking: list[int] = []
    while len(brackets[0]) + len(brackets[1]) > 1:
        final = len(brackets[0]) == len(brackets[1]) == 1
        drawn = [rng.permutation(bracket).tolist() for bracket in brackets]
        pairs = [[(brackets[0][0], brackets[1][0])], []] if final else [_pairs(bracket) for bracket in drawn]
        upper, lower = ([_match(scores, a, b, points, played) for a, b in some] for some in pairs)
        fallen = [] if final else [loser for _, loser in upper]
        out = [loser for _, loser in (upper if final else lower)]
        ranking = sorted(out, key=lambda i: -_mean(points[i])) + ranking
        left = [[i for i in bracket if i not in out and i not in fallen] for bracket in brackets]
        brackets = (left[0], left[1] + fallen)
    return Outcome(_by_place(brackets[0] + brackets[1] + ranking), played)


def _pairs(players: list[int]) -> list[tuple[int, int]]:
    """Neighbours; an odd last one has a bye."""
    return list(zip(players[::2], players[1::2], strict=False))


def swiss(scores: Array, rng: np.random.Generator) -> Outcome:
    """⌈log₂ G⌉ rounds between neighbours in the standings, win 1, tie 1/2, bye 1; ties by the opponents' points."""
    size = len(scores)
    won, met = np.zeros(size), [set() for _ in range(size)]  # type: ignore[var-annotated]
    played: list[tuple[int, int]] = []
    for _ in range(max(int(np.ceil(np.log2(size))), 1) if size > 1 else 0):
        left = sorted(rng.permutation(size).tolist(), key=lambda i: -won[i])
        while len(left) > 1:
            a = left.pop(0)
            b = left.pop(next((n for n, i in enumerate(left) if i not in met[a]), 0))
            result = 0.5 if scores[a, b] == scores[b, a] else float(scores[a, b] > scores[b, a])
            won[a], won[b] = won[a] + result, won[b] + 1 - result
            met[a].add(b)
            met[b].add(a)
            played.append((a, b))
        won[left] += 1.0
    buchholz = np.array([sum(won[j] for j in others) for others in met])
    better = (won[:, None] < won) | ((won[:, None] == won) & (buchholz[:, None] < buchholz))
    equal = (won[:, None] == won) & (buchholz[:, None] == buchholz)
    rank = better.sum(-1) + (equal.sum(-1) - 1) / 2
    return Outcome(1 - rank / max(size - 1, 1), played)


#: Name of a topology -> tournament of scores [G, G].
TOPOLOGIES: dict[str, Callable[[Array, np.random.Generator], Outcome]] = {
    "single-elimination": single_elimination,
    "unseeded": unseeded,
    "round-robin": round_robin,
    "anchor": anchor,
    "double-elimination": double_elimination,
    "swiss": swiss,
}


def _against_first(scores: Array) -> Array:
    """Score of each rollout against rollout 0, and the mean of what rollout 0 got [G]."""
    first = scores[:, 0].copy()
    first[0] = _mean(scores[0, 1:].tolist())
    return first


def _seeding(size: int) -> list[tuple[int, int]]:
    return [(i, 0) for i in range(1, size)]


def _bracket(size: int) -> list[int]:
    """Seeds in the order of the first round, the best two on opposite sides: 0, 7, 3, 4, 1, 6, 2, 5 for eight."""
    places = [0]
    while len(places) < size:
        places = [p for i in places for p in (i, 2 * len(places) - 1 - i)]
    return [p for p in places if p < size]


def _match(
    scores: Array, a: int, b: int, points: list[list[float]], played: list[tuple[int, int]]
) -> tuple[int, int]:  # fmt: skip
    """Winner and loser of one comparison, the first on a tie; both scores are booked."""
    points[a].append(float(scores[a, b]))
    points[b].append(float(scores[b, a]))
    played.append((a, b))
    return (a, b) if scores[a, b] >= scores[b, a] else (b, a)


def _knock_out(
    scores: Array, players: list[int], points: list[list[float]], played: list[tuple[int, int]]
) -> Outcome:  # fmt: skip
    """Neighbours meet until one is left; losers of a round stand by average points, an odd last one has a bye."""
    ranking: list[int] = []
    while len(players) > 1:
        results = [_match(scores, a, b, points, played) for a, b in _pairs(players)]
        losers = sorted((loser for _, loser in results), key=lambda i: -_mean(points[i]))
        ranking = losers + ranking
        players = players[len(results) * 2 :] + [winner for winner, _ in results]
    return Outcome(_by_place(players + ranking), played)


def _mean(points: list[float]) -> float:
    """Mean of some points, exactly their value where they are equal; 0 for none."""
    return points[0] + sum(p - points[0] for p in points) / len(points) if points else 0.0


def _by_place(ranking: list[int]) -> Array:
    """1 − rank/(G − 1) for rollouts listed from the best [G]."""
    reward = np.empty(len(ranking))
    reward[ranking] = 1 - np.arange(len(ranking)) / max(len(ranking) - 1, 1)
    return reward


def _by_rank(points: Array) -> Array:
    """(worst rank − rank)/(worst rank − 1), equal points sharing the better rank; 0 where all are equal [G]."""
    rank = 1 + (points[:, None] < points).sum(-1)
    worst = int(rank.max())
    return (worst - rank) / (worst - 1) if worst > 1 else np.zeros(len(points))
