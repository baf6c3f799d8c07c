"""Robo-Dopamine's hop labels, bins and progress reconstructions, plain Python numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from lab.rewards import robo_dopamine as robo
from tests.golden.compare import FLOAT64, Tally, UnknownOutputError
from tests.golden.maps.shared import Case


def _labels(i: dict[str, Any]) -> dict[str, Any]:
    before, after = np.array(i["pairs_1based"]).T - 1
    hops = robo.hop(before / (i["M_points"] - 1), after / (i["M_points"] - 1))
    return {
        "hop_percent": 100 * hops,
        "hop_bin": robo.hop_bin(hops),
        "gap_bin": robo.gap_bin(np.abs(after - before), i["M_points"]),
    }


def _with_steps(progress: Any) -> Any:
    """The script prints, beside the progress of an anchored view, how much it rose."""
    return np.stack([np.diff(progress, prepend=0.0), progress], axis=-1)


def _views(i: dict[str, Any]) -> dict[str, Any]:
    hops = np.array(i["incremental_scores"])
    ahead, behind = (np.array(i.get(f"{name}_scores", hops)) for name in ("forward", "backward"))
    return {
        "incremental": np.stack([np.clip(hops, -1, 1), robo.incremental(hops, keep_first=True)], axis=-1),
        "forward": _with_steps(robo.anchored(ahead)),
        "backward": _with_steps(robo.anchored(behind, backward=True)),
    }


def compare(tally: Tally, where: str, case: Case) -> None:
    """Every output; a case has labels, views or both."""
    i = case["inputs"]
    known = (_labels(i) if "pairs_1based" in i else {}) | (_views(i) if "incremental_scores" in i else {})
    for output, theirs in case["outputs"].items():
        if output not in known:
            raise UnknownOutputError(f"{where}: output {output!r}")
        tally.compare(f"{where} {output}", known[output], theirs, FLOAT64)
