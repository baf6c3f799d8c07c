"""Distances between rewards: how far apart are the reward that one trains on and the one that one means?

A name is canonicalisation-norm-metric, such as "val-l2-l2": take away what no policy notices, scale by one norm,
measure the difference with another. A few have names of their own ("epic", "dard", "npec"); "starc" is "val-l2-l2".

>>> from lab import distances
>>> from simulators.mdp.families import two_states
>>> round(distances.compute("starc", two_states(), [0, 1], [0, -3]), 9)  # rewards of arriving in the second state
2.0
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from lab.distances.canonical import CANONS, Array, canonical_form, check_world, find, given
from lab.distances.correlation import NAMED
from lab.distances.distance import PROPERTIES, Distance, between, family, standard
from lab.distances.sampled import epic_of_samples, sampled_epic
from lab.errors import InputError, UnknownNameError
from lab.registry import STAND_INS, fold
from lab.stand_ins import FURTHER
from lab.walk import import_all
from simulators.mdp.mdp import MDP

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "CANONS", "PROPERTIES", "Distance", "canonical_form", "compare", "compute", "distance", "epic_of_samples", "matrix",
    "names", "sampled_epic", "table",
]  # fmt: skip

import_all(__name__, __path__)

ALIASES = MappingProxyType({"starc": "val-l2-l2", "minimalpotential-l2-l2-l2": "minimalpotential-l2-l2"})


_ZERO, _ONE = np.array([0]), np.array([1])


@cache
def _all() -> dict[str, Distance]:
    return {fold(d.name): d for d in [*NAMED.values(), *family()]}


def names() -> list[str]:
    """Names of all distances: those with a name of their own, then every canonicalisation-norm-metric."""
    return [d.name for d in _all().values()]


def distance(name: str) -> Distance:
    """The distance of that name ('starc' is 'val-l2-l2'; case does not matter, nor '_' for '-'), or what stands in.

    Raises:
        UnknownNameError: There is none; the nearest names are offered.
    """
    known = fold(ALIASES.get(fold(name), name))
    found: Distance | None = STAND_INS.get().get(("distance", known)) or _all().get(known)
    if found is None:
        raise UnknownNameError("distance", name, names(), "see lab.distances.names()")
    return found


def _stand_in(known: Callable[[str], Any], name: str, other: str) -> Any:
    """The other distance or canonicalisation under the name of the first, with the options of the first."""
    own, by = known(name), known(other)

    def function(*inputs: Any, **options: Any) -> Any:
        return by.function(*inputs, **{k: v for k, v in options.items() if k in by.options})

    alone = {"parts": None} if isinstance(by, Distance) else {}
    return replace(by, name=own.name, function=function, options=own.options, paper=own.paper, **alone)


FURTHER.update(distance=partial(_stand_in, distance), canonicalisation=partial(_stand_in, find))


def compute(name: str, mdp: MDP, r1: ArrayLike, r2: ArrayLike, **options: Any) -> Any:
    """Distance between two rewards.

    Args:
        name: Such as "val-l2-l2" or "epic", see `names`.
        mdp: The world.
        r1: R [S, A, S], [S, A] (of the action) or [S] (of the state arrived at); or many, [..., S, A, S].
        r2: The other reward; leading axes broadcast.
        **options: What the distance takes beside: `policy`, `state_dist`, `action_dist`, `power`; see `distance(name)`.

    Returns:
        A number, or an array over the leading axes. Zero rewards, and those that are zero but for rounding in canonical
        form, are at distance 0 from each other.

    Raises:
        UnknownNameError: No such distance or option.
        ValueError: A reward does not fit the world or is not finite; the discount is 1 and the distance plans.

    Source: starc and reward-distances; golden files starc.json, epic.json.
    """
    chosen = distance(name)
    rewards, first, second, leading = _stack(mdp, r1, r2)
    found = chosen.function(mdp, rewards, first, second, **given(chosen.name, chosen.options, options))
    return found.reshape(leading) if leading else float(found[0])


def compare(
    mdp: MDP, r1: ArrayLike, r2: ArrayLike, names: Iterable[str] | None = None, **options: Any
) -> dict[str, Any]:
    """Many distances between the same rewards, each canonical form computed once.

    Args:
        mdp: The world.
        r1: See `compute`.
        r2: See `compute`.
        names: All distances by default.
        **options: Each goes to the distances that take it.

    Returns:
        {name as given: what `compute` returns}.

    Raises:
        UnknownNameError: No such distance, or no distance among them takes an option.
    """
    chosen = {name: distance(name) for name in (_names_of(names))}
    given("compare", {o: None for d in chosen.values() for o in d.options}, options)
    rewards, first, second, leading = _stack(mdp, r1, r2)
    found = _cubes(mdp, rewards, first, second, [d for d in chosen.values() if d.parts], options)
    for d in chosen.values():
        if not d.parts:
            own = {k: v for k, v in options.items() if k in d.options}
            found[d.name] = d.function(mdp, rewards, first, second, **own)
    return {name: found[d.name].reshape(leading) if leading else float(found[d.name][0]) for name, d in chosen.items()}


def _names_of(given: Iterable[str] | None) -> Iterable[str]:
    return names() if given is None else given


def _cubes(
    mdp: MDP, rewards: Array, first: Array, second: Array, chosen: Sequence[Distance], options: dict[str, Any]
) -> dict[str, Array]:
    """Members of the family by name: one block (pairs, norms, metrics) per canonicalisation."""
    found: dict[str, Array] = {}
    for canon in CANONS.values():
        parts = [d.parts for d in chosen if d.parts and d.parts[0] == canon.name]
        if parts:
            norms, metrics = (list(dict.fromkeys(p[k] for p in parts)) for k in (1, 2))
            block = between(mdp, standard(mdp, canon, rewards, options), first, second, norms, metrics)
            found |= {"-".join(p): block[:, norms.index(p[1]), metrics.index(p[2])] for p in parts}
    return found


def matrix(name: str, mdp: MDP, rewards: ArrayLike, **options: Any) -> Array:
    """Distances between all pairs of many rewards, each brought into canonical form once.

    Args:
        name: See `names`.
        mdp: The world.
        rewards: R [N, S, A, S], or a list of rewards as `compute` takes them.
        **options: See `compute`.

    Returns:
        [N, N], from the first reward (row) to the second (column).
    """
    chosen = distance(name)
    listed = [check_world(mdp).rewards(r) for r in rewards]  # type: ignore[union-attr]
    stacked = np.stack(listed) if listed else np.empty(0)
    if stacked.ndim != 4:
        raise InputError(f"matrix takes a list of N rewards of the world, or [N, S, A, S], not shape {stacked.shape}")
    i, j = np.indices((len(stacked), len(stacked))).reshape(2, -1)
    wanted = i < j if "symmetric" in chosen.properties else i != j
    out = np.zeros((len(stacked), len(stacked)))
    arguments = given(chosen.name, chosen.options, options)
    out[i[wanted], j[wanted]] = chosen.function(mdp, stacked, i[wanted], j[wanted], **arguments)
    return out + out.T if "symmetric" in chosen.properties else out


def table() -> pl.DataFrame:
    """All distances with what they declare, one row each.

    Columns: name, canonicalisation, norm, metric (null for those with names of their own), one Boolean per member of
    `PROPERTIES` ("starc" first), maximum (null where there is none that holds in every world), equation, paper.
    """
    import polars as pl

    rows: list[dict[str, Any]] = []
    for d in _all().values():
        canon, norm, metric = d.parts or (None, None, None)
        declared = {p: p in d.properties for p in sorted(PROPERTIES, key=lambda p: p != "starc")}
        named = {"name": d.name, "canonicalisation": canon, "norm": norm, "metric": metric}
        rows.append({**named, **declared, "maximum": d.maximum, "equation": d.equation, "paper": d.paper})
    return pl.DataFrame(rows, infer_schema_length=None)


def _stack(mdp: MDP, r1: ArrayLike, r2: ArrayLike) -> tuple[Array, Array, Array, tuple[int, ...]]:
    """Rewards of both sides in one array [N, S, A, S], the two indices of each pair, and the leading axes."""
    full = check_world(mdp).transition.shape
    a, b = mdp.rewards(r1), mdp.rewards(r2)
    if a.ndim == b.ndim == 3:
        return np.concatenate([a[None], b[None]]), _ZERO, _ONE, ()
    lead_a, lead_b = a.shape[:-3], b.shape[:-3]
    leading = np.broadcast_shapes(lead_a, lead_b)
    rewards = np.concatenate([a.reshape(-1, *full), b.reshape(-1, *full)])
    count = math.prod(lead_a)
    first = np.broadcast_to(np.arange(count).reshape(lead_a), leading).ravel()
    second = np.broadcast_to(np.arange(count, len(rewards)).reshape(lead_b), leading).ravel()
    return rewards, first, second, leading
