"""Canonical forms, norms, distances and optimal policies of the STARC authors' code."""

from __future__ import annotations

from typing import Any

import numpy as np

import lab.distances
from lab.distances.norms import NORMS, lengths
from simulators.mdp.mdp import MDP
from tests.golden.compare import FLOAT64, Tally, Tolerance, UnknownOutputError
from tests.golden.maps.shared import Case

#: Forms that the source finds by iteration, with the error that this leaves.
_LEFT = {"val": 3e-6, "valpotential": 3e-6, "minimalpotential_l2": 1e-3}


def compare(tally: Tally, where: str, case: Case) -> None:
    """Every form and its norms, every distance; the rewards of one side have forms in the file."""
    world = _world(case["inputs"]["transition"], case["options"]["discount"])
    first, second = (np.asarray(case["inputs"][k]) for k in ("reward1", "reward2"))
    for output, theirs in case["outputs"].items():
        if output == "canon1":
            for name, form in theirs.items():
                _number(tally, f"{where} {name}", lab.distances.canonical_form(_ours(name), world, first), form, name)
        elif output == "norms1":
            for name, norms in theirs.items():
                flat = lab.distances.canonical_form(_ours(name), world, first).ravel()
                ours = lengths(world, "full", flat, list(NORMS))
                _number(tally, f"{where} {name} norms", ours, [norms[n] for n in NORMS], name)
        elif output == "distance":
            _distances(tally, where, world, first, second, theirs)
        elif output in ("optimal_policy1", "worst_policy1"):
            tally.same(f"{where} {output}", world.optimal(first if output == "optimal_policy1" else -first), theirs)
        else:
            raise UnknownOutputError(f"{where}: output {output!r}")


def _distances(tally: Tally, where: str, world: MDP, first: Any, second: Any, theirs: Case) -> None:
    ours = lab.distances.compare(world, first, second, [_ours(name) for name in theirs])
    for name, value in theirs.items():
        if value is None:  # the source divides a zero reward by its norm
            tally.finite(f"{where} {name}", ours[_ours(name)])
        else:
            _number(tally, f"{where} {name}", ours[_ours(name)], value, name.partition("-")[0])


def _number(tally: Tally, where: str, ours: Any, theirs: Any, canon: str) -> None:
    tally.compare(where, ours, theirs, _tolerance(canon))


def _tolerance(canon: str) -> Tolerance:
    left = _LEFT.get(canon, 0.0)
    if left:
        return Tolerance(left, left, "the source stops iterating at a fixed error")
    return FLOAT64


def _ours(name: str) -> str:
    return name.replace("minimalpotential_l2", "minimalpotential")


def _world(transition: Any, discount: float) -> MDP:
    """The rows of the file are rounded; they must sum to 1."""
    rows = np.asarray(transition)
    return MDP(rows / rows.sum(axis=-1, keepdims=True), discount)
