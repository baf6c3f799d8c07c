"""TMN-Reweight and QwenLong's estimator, float64; groups of unequal size are padded with unscored rollouts."""

from __future__ import annotations

from typing import Any

import numpy as np

import lab
from lab.advantages.golongrl_tmn import pass_rate
from tests.golden.compare import FLOAT64, Tally, Tolerance, UnknownOutputError
from tests.golden.maps.shared import Case

_RULES = {
    "tmn": "golongrl-tmn@no-difficulty", "tmn_reweight": "golongrl-tmn", "mean_only_reweight": "golongrl-tmn@no-scale",
    "qwenlong_task": "qwenlong",
}  # fmt: skip


def _padded(groups: list[list[float]]) -> Any:
    longest = max(len(g) for g in groups)
    return np.array([[*g, *[np.nan] * (longest - len(g))] for g in groups])


def _tolerance(rewards: Any, task: Any, eps: float) -> Tolerance:
    """The source takes a variance as E[R^2] - mean^2, which is off by about 2^-53 R^2."""
    worst = 1e-9
    for label in np.unique(task):
        own = rewards[task == label]
        variance = float(np.nanmean(np.nanvar(own, axis=-1, ddof=0)))
        noise = 8 * 2.0**-53 * float(np.nanmax(own**2)) / variance if variance else 0.0
        worst = max(worst, noise * np.sqrt(variance) / (np.sqrt(variance) + eps))
    return Tolerance(worst, max(worst, 1e-12) if worst > 1e-9 else 1e-12, "variance as a difference of squares")


def compare(tally: Tally, where: str, case: Case) -> None:
    """The four estimators and the batch's mean pass rate."""
    i, o = case["inputs"], case["options"]
    rewards, task = _padded(i["rewards"]), np.unique(i["task"], return_inverse=True)[1]
    weights = {"alpha": o["smooth_alpha"], "gamma": o["difficulty_gamma"]}
    for output, theirs in case["outputs"].items():
        if output == "mean_pass_rate":
            ours = pass_rate(rewards, task, o["smooth_alpha"], "raw").mean()
            tally.compare(f"{where} {output}", ours, theirs, FLOAT64)
            continue
        if output not in _RULES:
            raise UnknownOutputError(f"{where}: output {output!r}")
        given = {} if output == "qwenlong_task" else {"single": "raw"} | (weights if "reweight" in output else {})
        if output == "mean_only_reweight":
            given["gamma"] = 1.0  # recorded with gamma 1 throughout, whatever the case's option says
        advantage = lab.advantages.compute(_RULES[output], rewards, task=task, eps=o["eps"], missing="skip", **given)
        tolerance = _tolerance(rewards, task, o["eps"])
        tally.compare(f"{where} {output}", advantage[~np.isnan(rewards)], np.concatenate(theirs), tolerance)
