"""Flow-GRPO's advantages before the clamp, float64 in the source."""

from __future__ import annotations

import numpy as np

import lab
from tests.golden.compare import Tally, UnknownOutputError
from tests.golden.maps.shared import Case, conditioned, one


def compare(tally: Tally, where: str, case: Case) -> None:
    """One tracker without history for each case."""
    rewards, options = np.array(case["inputs"]["rewards"], dtype=np.float64), case["options"]
    if set(case["outputs"]) != {"advantages"}:
        raise UnknownOutputError(f"{where}: outputs {sorted(case['outputs'])}")

    def ours() -> np.ndarray:
        given = {"global_std": options["global_std"], "eps": options["eps"], "limit": np.inf}
        return lab.advantages.compute("flow-grpo", rewards, **given)

    one(tally, where, ours, case["outputs"]["advantages"], conditioned(rewards, options["eps"]))
