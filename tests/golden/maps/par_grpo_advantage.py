"""PAR's GRPO baseline, float64: the variant `par` without its shaping; a group of one is NaN in the source, 0 here."""

from __future__ import annotations

import numpy as np

import lab
from tests.golden.compare import Tally, UnknownOutputError
from tests.golden.maps.shared import Case, conditioned, one


def compare(tally: Tally, where: str, case: Case) -> None:
    """Advantages of one batch, with the options that the variant sets."""
    rewards, options = np.array(case["inputs"]["rewards"], dtype=np.float64), lab.variant("par").given("advantage")
    if set(case["outputs"]) != {"advantages"} or options["eps"] != case["options"]["eps"]:
        raise UnknownOutputError(f"{where}: outputs {sorted(case['outputs'])}, eps {case['options']['eps']}")
    one(tally, where, lambda: lab.advantages.compute("grpo", rewards, **options), case["outputs"]["advantages"],
        conditioned(rewards, options["eps"]))  # fmt: skip
