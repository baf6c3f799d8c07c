"""Mean, worst case and uncertainty-weighted scores of an ensemble, float64; scores come as [K, n]."""

from __future__ import annotations

import numpy as np

import lab
from tests.golden.compare import FLOAT64, Tally, UnknownOutputError
from tests.golden.maps.shared import Case, one


def compare(tally: Tally, where: str, case: Case) -> None:
    """Every reducer, and both variances at every weight."""
    scores = np.asarray(case["inputs"]["scores_k_by_n"], dtype=np.float64).T[None]
    for output, theirs in case["outputs"].items():
        kind, _, of = output.partition("_")
        if kind in ("mean", "wco"):
            _one(tally, f"{where} {output}", f"ensemble-{kind}", scores, theirs)
        elif kind == "uwo":
            for penalty, each in theirs.items():
                options = {"penalty": float(penalty), "ddof": case["options"][f"uwo_{of}_ddof"]}
                _one(tally, f"{where} {output} {penalty}", "ensemble-uwo", scores, each, **options)
        else:
            raise UnknownOutputError(f"{where}: output {output!r}")


def _one(tally: Tally, where: str, name: str, scores: np.ndarray, theirs: object, **options: object) -> None:
    one(tally, where, lambda: lab.rewards.apply(name, scores, **options)[0, :, 0], theirs, FLOAT64)
