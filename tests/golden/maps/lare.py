"""LaRe's losses of a return decomposition with their gradients, float64."""

from __future__ import annotations

import numpy as np

from lab.rewards import lare
from tests.golden.compare import FLOAT64, Tally, UnknownOutputError
from tests.golden.maps.shared import Case


def compare(tally: Tally, where: str, case: Case) -> None:
    """The drawn steps are given in place of the random draw."""
    i, o = case["inputs"], case["options"]
    given = i["step_rewards"], i["episode_return"], i["episode_length"]
    if o.get("method") == "RD":
        loss, gradient = lare.rd(*given)
    else:
        loss, gradient = lare.rrd(*given, np.asarray(i["sampled_steps"]), unbiased=o["unbiased"])
    known = {"loss": loss, "grad_step_rewards": gradient}
    for output, theirs in case["outputs"].items():
        if output not in known:
            raise UnknownOutputError(f"{where}: output {output!r}")
        tally.compare(f"{where} {output}", known[output], theirs, FLOAT64)
