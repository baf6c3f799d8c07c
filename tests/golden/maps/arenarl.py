"""ArenaRL's three tournaments without random pairings, float32 in the source."""

from __future__ import annotations

import numpy as np

import lab
from lab.advantages.tournaments import play
from tests.golden.compare import Tally, Tolerance, UnknownOutputError
from tests.golden.maps.shared import Case

FLOAT32 = Tolerance(1e-5, 1e-5, "float32 in the source")
OUTPUTS = ("advantage", "comparisons", "num_comparisons")


def compare(tally: Tally, where: str, case: Case) -> None:
    """Advantages, and the comparisons in their order."""
    scores = np.array(case["inputs"]["pair_scores"], dtype=np.float64)
    for name, theirs in case["outputs"].items():
        topology = name.replace("_", "-")
        advantage = lab.advantages.compute(
            "arenarl", np.zeros((1, len(scores))), pair_scores=scores[None], topology=topology
        )
        played = play(topology, scores).comparisons
        if set(theirs) - set(OUTPUTS):
            raise UnknownOutputError(f"{where} {name}: outputs {sorted(theirs)}")
        tally.compare(f"{where} {name} advantage", advantage[0], theirs["advantage"], FLOAT32)
        tally.compare(f"{where} {name} comparisons", np.array(played), np.array(theirs["comparisons"]), FLOAT32)
        tally.compare(f"{where} {name} number", float(len(played)), float(theirs["num_comparisons"]), FLOAT32)
