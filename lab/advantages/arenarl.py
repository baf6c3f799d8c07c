"""ArenaRL: a group is ranked by a tournament of pairwise judgements, and only the place counts."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from lab.advantages.grpo import largest
from lab.advantages.statistics import RESOLUTION, Array, mean_std, over
from lab.advantages.tournaments import play
from lab.errors import InputError
from lab.registry import preset, register

_KNOCK_OUT = {"shift", "scale", "zero_sum", "groupwise", "bounded"}


@register(
    "advantage",
    paper="arenarl",
    equation="A = (r − mean)/(std + ε),  r = 1 − place/(G − 1) in a tournament of pairwise judgements",
    properties=_KNOCK_OUT,
    bound=largest,
)
def arenarl(
    rewards: Array,
    *,
    pair_scores: Array | None = None,
    topology: str = "single-elimination",
    seed: int = 0,
    eps: float = 1e-6,
) -> Array:
    """ArenaRL: A = (r - mean)/(std + eps) of tournament rewards r, std with ddof 1.

    By single elimination the advantages of every group of one size are the same set, even if the judge sees no
    difference at all: only their order carries information, and no group is without signal. The properties are those
    of a judge without noise; with a noisy one the order of a group's rollouts matters wherever rollout 0 or the bracket
    has a part.

    Args:
        rewards: [..., P, G]; read where no judge is there, as what a judge without noise says.
        pair_scores: The judge's scores [..., P, G, G], see `simulators.records.Rollouts`; rollout 0 is the pivot.
        topology: A key of `lab.advantages.tournaments.TOPOLOGIES`.
        seed: Draws the pairings of the topologies that pair at random, the same for every group.
        eps: Floor of the deviation.

    Returns:
        Advantages [..., P, G]; 0 for a group of one, where the authors' code stops.

    Raises:
        InputError: pair_scores of another shape. UnknownNameError: no such topology.

    Source: arXiv 2601.06487; golden file arenarl.json (float32).
    """
    size, groups = rewards.shape[-1], rewards.reshape(-1, rewards.shape[-1])
    if pair_scores is not None and np.shape(pair_scores) != (*rewards.shape, size):
        raise InputError(
            f"arenarl: pair_scores have shape {np.shape(pair_scores)}; they must be {(*rewards.shape, size)}"
        )
    told = _levels(groups)[..., None] if pair_scores is None else np.asarray(pair_scores, dtype=np.float64)
    rows = np.concatenate([told.reshape(len(groups), -1), ~np.isnan(groups)], axis=-1)
    place: Array = np.array([_played(topology, row.tobytes(), size, seed) for row in rows], dtype=rewards.dtype)
    place = place.reshape(rewards.shape)
    mean, std = mean_std(place)
    return over(place - mean, std + place.dtype.type(eps))


@lru_cache(maxsize=4096)
def _played(topology: str, told: bytes, size: int, seed: int) -> Array:
    """Tournament rewards [G] of one group, NaN for those that are not there.

    `told` holds a score for each rollout or each pair, then who is there. Groups that look alike, as those of binary
    rewards, are played once.
    """
    row, place = np.frombuffer(told), np.full(size, np.nan)
    if some := np.flatnonzero(row[-size:]).tolist():
        scores = np.broadcast_to(row[:-size].reshape(size, -1), (size, size))
        place[some] = play(topology, scores[np.ix_(some, some)], seed).reward
    return place


def _levels(rewards: Array) -> Array:
    """Place of each reward among the group's distinct ones [..., G], those that differ by rounding being equal."""
    order = np.argsort(rewards, axis=-1)
    rising = np.take_along_axis(rewards, order, axis=-1)
    largest_of_group = np.abs(np.nan_to_num(rising)).max(axis=-1, keepdims=True)
    jump = np.diff(rising, axis=-1, prepend=rising[..., :1]) > RESOLUTION * largest_of_group
    level = jump.cumsum(axis=-1)
    out = np.empty(rewards.shape)
    np.put_along_axis(out, order, level.astype(np.float64), axis=-1)
    return out


preset("advantage", "arenarl@round-robin", "arenarl", "everyone against everyone, G(G − 1)/2 comparisons",
       _KNOCK_OUT | {"permutation", "silent"}, topology="round-robin")  # fmt: skip
preset("advantage", "arenarl@anchor", "arenarl", "everyone against rollout 0, G − 1 comparisons",
       _KNOCK_OUT | {"permutation", "silent"}, topology="anchor")  # fmt: skip
preset("advantage", "arenarl@unseeded", "arenarl", "random bracket, G − 1 comparisons", topology="unseeded")
preset("advantage", "arenarl@double-elimination", "arenarl", "out after two losses, pairings at random",
       topology="double-elimination")  # fmt: skip
preset("advantage", "arenarl@swiss", "arenarl", "⌈log₂ G⌉ rounds between neighbours in the standings",
       topology="swiss")  # fmt: skip
