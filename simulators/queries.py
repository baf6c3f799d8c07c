"""A set prediction in the plane: queries near random anchors say where the objects of a scene are.

Each query predicts its anchor plus a linear map of 12 features: noisy offsets to its two nearest objects, and the same
offsets times exp(−n/0.05) and exp(−n/0.3), n their squared length. The map is shared by all queries. Queries stand in
the order of their noisy distance to the nearest object, the nearest first, as a detector's objectness would rank them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulators.records import Floats, Ints

__all__ = ["FEATURES", "Scenes", "costs", "gradient", "match", "predict", "scenes"]

FEATURES = 12
_NOISE, _NARROW, _WIDE = 0.15, 0.05, 0.3


@dataclass(frozen=True, eq=False)
class Scenes:
    """Images with their queries in ranked order.

    Attributes:
        objects: places [B, J, 2] in [−1, 1]².
        anchors: [B, Q, 2].
        features: [B, Q, 12].
    """

    objects: Floats
    anchors: Floats
    features: Floats


def scenes(number: int, rng: np.random.Generator, *, queries: int = 24, objects: int = 4) -> Scenes:
    """Draw scenes.

    Args:
        number: B.
        rng: where the numbers come from.
        queries: Q, at least 1.
        objects: J, at least 2.

    Raises:
        ValueError: too few scenes, queries or objects.
    """
    if number < 1 or queries < 1 or objects < 2:
        raise ValueError(f"number={number}, queries={queries}, objects={objects}; at least 1, 1 and 2 are needed")
    places = rng.uniform(-1, 1, (number, objects, 2))
    anchors = rng.uniform(-1, 1, (number, queries, 2))
    away = places[:, None] - anchors[:, :, None]
    near = np.argsort((away**2).sum(-1), axis=-1)[..., :2]
    offset = np.take_along_axis(away, near[..., None], axis=2)
    offset = offset + _NOISE * rng.normal(size=offset.shape)
    length = (offset**2).sum(-1, keepdims=True)
    seen = np.concatenate([offset, offset * np.exp(-length / _NARROW), offset * np.exp(-length / _WIDE)], axis=-1)
    distance = np.sqrt((away**2).sum(-1)).min(-1) + _NOISE * rng.normal(size=anchors.shape[:2])
    order = np.argsort(distance, axis=-1)[..., None]
    features = seen.reshape(number, queries, FEATURES)
    return Scenes(places, np.take_along_axis(anchors, order, 1), np.take_along_axis(features, order, 1))


def predict(drawn: Scenes, weights: Floats) -> Floats:
    """Predictions [B, Q, 2] with the map [12, 2]."""
    return drawn.anchors + drawn.features @ weights


def costs(drawn: Scenes, predicted: Floats) -> Floats:
    """Squared distance of each query to each object [B, Q, J]."""
    return ((predicted[:, :, None] - drawn.objects[:, None]) ** 2).sum(-1)


def gradient(drawn: Scenes, predicted: Floats, target: Floats, weights: Floats) -> Floats:
    """Σ w ∂(−squared distance to the target)/∂map [12, 2] for weights [B, Q] and targets [B, Q, 2]."""
    slope = -2 * (predicted - target) * weights[..., None]
    return np.einsum("bqf,bqd->fd", drawn.features, slope)


def match(cost: Floats) -> Ints:
    """The query of each object in the cheapest one-to-one assignment of one image [J].

    Shortest augmenting paths (Hungarian method): objects are added one by one, each with dual prices that keep all
    reduced costs at least 0.

    Args:
        cost: [Q, J] with Q ≥ J.
    """
    queries, objects = cost.shape
    if queries < objects:
        raise ValueError(f"{queries} queries for {objects} objects; each object needs a query of its own")
    table = cost.T
    price_object, price_query = np.zeros(objects), np.zeros(queries + 1)
    owner = np.full(queries + 1, -1)  # of each query; the last one is where a new object starts
    for new in range(objects):
        owner[queries], at = new, queries
        slack, came = np.full(queries, np.inf), np.full(queries, queries)
        done = np.zeros(queries + 1, dtype=bool)
        while owner[at] >= 0:
            done[at] = True
            reduced = table[owner[at]] - price_object[owner[at]] - price_query[:queries]
            open_ = ~done[:queries]
            better = open_ & (reduced < slack)
            slack[better], came[better] = reduced[better], at
            at = int(np.where(open_, slack, np.inf).argmin())
            step = slack[at]
            price_object[owner[done]] += step
            price_query[done] -= step
            slack[open_] -= step
        while at != queries:
            before = int(came[at])
            owner[at], at = owner[before], before
    found = np.empty(objects, dtype=np.int64)
    taken = np.flatnonzero(owner[:queries] >= 0)
    found[owner[taken]] = taken
    return found
