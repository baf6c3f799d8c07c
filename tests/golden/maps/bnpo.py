"""BNPO, float32."""

from __future__ import annotations

from typing import Any

import numpy as np

import lab
from tests.golden.compare import FLOAT32, Tally, Tolerance, UnknownOutputError
from tests.golden.maps.shared import Case, raises


def compare(tally: Tally, where: str, case: Case) -> None:
    """float32 in the source; where it gives NaN or raises for equal success rates the lab gives R - p."""
    i, o = case["inputs"], case["options"]
    given = {"low": o["min_value"], "high": o["max_value"]}
    for output, theirs in case["outputs"].items():
        if output == "batch_stats":
            _batch_stats(tally, where, i["rewards"], given, theirs)
        elif output == "bnpo":
            _bnpo_one(tally, f"{where} bnpo", i["rewards"], given, theirs)
        elif output in ("per_component", "bnpo_decomposed"):
            parts = np.moveaxis(np.asarray(i["rewards_components"], dtype=np.float64), -1, 0)
            ours = [lab.advantages.compute("bnpo", part, **given) for part in parts]
            if output == "bnpo_decomposed":
                ours = lab.advantages.compute("bnpo", i["rewards_components"], **given)
            tally.compare(f"{where} {output}", ours, theirs, BNPO)
        else:
            raise UnknownOutputError(f"{where}: output {output!r}")


#: lgamma and powers in float32 lose a few units in the last place.
BNPO = Tolerance(2e-6, 2e-6, "float32, through lgamma and powers of p")


def _bnpo_one(tally: Tally, where: str, rewards: Any, given: Case, theirs: Any) -> None:
    ours = lab.advantages.compute("bnpo", rewards, **given)
    if raises(theirs) or np.isnan(np.asarray(theirs, dtype=np.float64)).any():
        tally.finite(where, ours)
    else:
        tally.compare(where, ours, theirs, BNPO)


def _batch_stats(tally: Tally, where: str, rewards: Any, given: Case, theirs: Case | None) -> None:
    if theirs is None:
        return
    unit = (np.asarray(rewards, dtype=np.float64) - given["low"]) / (given["high"] - given["low"])
    success = unit.mean(axis=-1)
    ours = {"p": success, "mean": success.mean(), "var_ddof1": success.var(ddof=1)}
    for name, value in theirs.items():
        if name not in ours:
            raise UnknownOutputError(f"{where}: batch_stats {name!r}")
        tally.compare(f"{where} batch_stats {name}", ours[name], value, FLOAT32)
