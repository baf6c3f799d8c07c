"""Lengths of canonical forms: six norms, each of which both scales a reward and measures a difference.

Over all entries (s, a, s') of C: l1, l2, linf. Weighted by how likely each transition is: w1, w2 = (sum P |C|^p)^(1/p),
winf = max P |C|. Source: starc, norms; golden file starc.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.mdp.mdp import MDP

__all__ = ["NORMS", "lengths", "spread"]

Array = NDArray[Any]

#: Name -> (power, 0 for the largest entry; whether entries are weighted by P).
NORMS = {"l1": (1, False), "l2": (2, False), "linf": (0, False), "w1": (1, True), "w2": (2, True), "winf": (0, True)}


def spread(mdp: MDP, kind: str) -> Array:
    """How a value is spread over next states [S, A, S]: C[s, a, s'] = value times this.

    Args:
        mdp: The world.
        kind: "full", one value per (s, a, s'); "level", one per (s, a) for every s' alike; "share", one per (s, a)
            in proportion to P.
    """
    return mdp.transition if kind == "share" else np.ones(mdp.transition.shape)


def lengths(mdp: MDP, kind: str, values: Array, norms: Sequence[str]) -> Array:
    """Norms of canonical forms.

    Args:
        mdp: The world.
        kind: See `spread`.
        values: [..., S*A*S] for kind "full", otherwise [..., S*A].
        norms: Names in `NORMS`.

    Returns:
        [..., len(norms)].
    """
    out = np.empty((*values.shape[:-1], len(norms)))
    size = square = None
    for k, norm in enumerate(norms):
        weight, power = mdp.remember((kind, norm), partial(_weight, mdp, kind, norm)), NORMS[norm][0]
        if power == 2:
            square = values * values if square is None else square
            out[..., k] = np.sqrt(square @ weight)
        else:
            size = np.abs(values) if size is None else size
            out[..., k] = size @ weight if power else (size * weight).max(axis=-1)
    return out


def _weight(mdp: MDP, kind: str, norm: str) -> Array:
    """The weight of each value in a norm [S*A*S] or [S*A]: what it adds to the power sum, or its largest entry."""
    power, likely = NORMS[norm]
    weight = spread(mdp, kind) ** (power or 1) * (mdp.transition if likely else 1.0)
    if kind == "full":
        return weight.ravel()
    return (weight.sum(axis=-1) if power else weight.max(axis=-1)).ravel()
