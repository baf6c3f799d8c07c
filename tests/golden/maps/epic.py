"""EPIC's canonical forms, Pearson and direct distances, least-squares potentials of the EPIC authors' code."""

from __future__ import annotations

from typing import Any

import numpy as np

import lab.distances
from lab.distances.correlation import coverage, mean_power_norm
from lab.distances.without_model import smallest_potential
from simulators.mdp.mdp import MDP
from tests.golden.compare import FLOAT64, Tally, Tolerance, UnknownOutputError
from tests.golden.maps.shared import Case

#: The correlation of equivalent rewards is 1 but for its last place, and the root of that is 1e-8.
ROOT = Tolerance(1e-8, 3e-8, "the source takes the root of 1 - correlation, which has an error of 1e-16")


def compare(tally: Tally, where: str, case: Case) -> None:
    """Distances are of rewards alone, so any world of the size and the discount will do."""
    a, b = (np.asarray(case["inputs"][k]) for k in ("reward_a", "reward_b"))
    world = MDP(np.full(a.shape, 1 / len(a)), case["options"]["discount"])
    given = {k: case["inputs"][k] for k in ("state_dist", "action_dist")}
    for output, theirs in case["outputs"].items():
        _output(tally, f"{where} {output}", output, theirs, world, a, b, given)


def _output(
    tally: Tally, where: str, output: str, theirs: Any, world: MDP, a: Any, b: Any, given: dict[str, Any]
) -> None:
    states, form = {"state_dist": given["state_dist"]}, lab.distances.canonical_form
    if output in ("canonical_a", "canonical_b"):
        tally.compare(where, form("epic", world, a if output[-1] == "a" else b, **given), theirs, FLOAT64)
    elif output in ("singleton_canonical_a", "greedy_canonical_a"):
        name, options = ("singleton", {}) if output[0] == "s" else ("greedy", states)
        if theirs is None:  # a discount of 1
            tally.raises(where, lambda: form(name, world, a, **options))
        else:
            tally.compare(where, form(name, world, a, **options), theirs, FLOAT64)
    elif output == "closest_potential_ab":
        tally.compare(where, -smallest_potential(world, (b - a)[None])[0], theirs, FLOAT64)
    elif output == "lp_norm_a":
        weight = coverage(world, **given)
        ours = [mean_power_norm(a.ravel(), int(power), weight) for power in theirs]
        tally.compare(where, ours, list(theirs.values()), FLOAT64)
    else:
        _distance(tally, where, output, theirs, world, a, b, given)


def _distance(
    tally: Tally, where: str, output: str, theirs: Any, world: MDP, a: Any, b: Any, given: dict[str, Any]
) -> None:
    name, more = {
        "pearson_distance_raw": ("pearson", {}), "epic_distance": ("epic", {}),
        "direct_l1_half": ("epic-direct", {"power": 1}), "direct_l2_half": ("epic-direct", {"power": 2}),
    }.get(output, ("", {}))  # fmt: skip
    if not name:
        raise UnknownOutputError(f"{where}: unknown output")
    ours = lab.distances.compute(name, world, a, b, **given, **more)
    if theirs is None:
        tally.finite(where, ours)
    else:
        tally.compare(where, ours, theirs, ROOT if "distance" in output else FLOAT64)
