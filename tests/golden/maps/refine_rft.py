"""MRN and the three length rewards, float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import lab
from lab.rewards.thinking import soft_overlong, think_length, think_punishment
from tests.golden.compare import FLOAT64, Tally, Tolerance, UnknownOutputError
from tests.golden.maps.shared import Case, one


def _lengths(values: Any) -> Any:
    return np.asarray(values, dtype=np.float64)


def _rewards(case: Case) -> dict[str, Callable[[], Any]]:
    """What each length reward of the file is here."""
    i, o = case["inputs"], case["options"]
    if "completion_length" in i:
        return {"soft_overlong": lambda: soft_overlong(_lengths(i["completion_length"]), o["L_max"], o["L_cache"])}
    thinking = _lengths(i["think_chars"])
    return {
        "think_length": lambda: think_length(thinking, o["think_length_min"], o["think_length_max"]),
        "think_punishment": lambda: think_punishment(thinking, o["think_punishment_max"]),
    }


def _written(rewards: Any, weights: Any) -> Tolerance:
    """The file's rewards are rounded to eight decimals, and a normalised reward carries that over its deviation."""
    std = np.asarray(rewards, dtype=np.float64).std(axis=-2)
    noise = float((5e-9 / np.where(std > 1e-6, std, np.inf)).max() * np.sum(weights))
    return Tolerance(1e-9, max(noise, 1e-12), "the inputs themselves are rounded to eight decimals")


def compare(tally: Tally, where: str, case: Case) -> None:
    """A group of one is NaN in the source and 0 here."""
    i, o = case["inputs"], case["options"]
    tolerance = FLOAT64
    if o["kind"] == "advantage":
        tolerance = _written(i["rewards"], i["weights"])
        known = {"mrn": lambda: lab.advantages.compute("mrn", i["rewards"], weights=i["weights"], eps=o["eps"])}
    else:
        known = _rewards(case)
    for output, theirs in case["outputs"].items():
        if output not in known:
            raise UnknownOutputError(f"{where}: output {output!r}")
        one(tally, f"{where} {output}", known[output], theirs, tolerance)
