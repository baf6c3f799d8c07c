"""Four implementations of GDPO side by side."""

from __future__ import annotations

from typing import Any

import numpy as np

import lab
from lab.advantages.statistics import leave_one_out, mean_std
from tests.golden.compare import FLOAT32, FLOAT64, Tally, Tolerance, UnknownOutputError
from tests.golden.maps.shared import TRL, Case, mask, one

_GDPO: dict[str, tuple[str, Tolerance]] = {
    "nvlabs_trl_pre_batch_norm": ("gdpo@no-batch-norm", FLOAT64), "nvlabs_trl": ("gdpo@trl", FLOAT64),
    "trl": ("gdpo@trl", TRL), "verl": ("gdpo@verl", FLOAT32), "nemo_rl": ("gdpo@nemo-rl", FLOAT32),
    "nemo_rl_leave_one_out": ("gdpo@nemo-rl-leave-one-out", FLOAT32), "grpo_sum_then_normalize_trl": ("grpo@trl", TRL),
}  # fmt: skip


#: The file's rewards are written with eight decimals, and a normalised reward carries that over its deviation.
WRITTEN = Tolerance(1e-9, 5e-9, "the inputs themselves are rounded to eight decimals")


def _nemo(rewards: Any, leave_out: bool) -> Tolerance:
    """NeMo-RL takes the variance as E[x^2] - E[x]^2 in float32: it loses 2^-24 E[x^2]/var."""
    parts = np.moveaxis(rewards, -1, 0)
    std = (leave_one_out(parts) if leave_out else mean_std(parts))[1]
    ratio = (parts**2).max(axis=-1, keepdims=True) / np.where(std > 1e-3, std, np.inf) ** 2
    noise = min(4 * 2.0**-24 * float(ratio.max()), 1e-3)
    return Tolerance(max(2e-6, noise), max(2e-6, noise), "float32, variance as a difference of squares")


def compare(tally: Tally, where: str, case: Case) -> None:
    """Four implementations side by side; verl and NeMo-RL cast the rewards to float32."""
    i, o = case["inputs"], case["options"]
    for output, theirs in case["outputs"].items():
        if output not in _GDPO:
            raise UnknownOutputError(f"{where}: output {output!r}")
        rule, tolerance = _GDPO[output]
        rewards, given = np.asarray(i["rewards"], dtype=np.float64), {}
        if output == "verl":
            given = {"mask": mask(i["lengths"]), "eps": o["eps_verl"]}
        elif "nemo" not in output:
            given = {"eps": o["eps_trl"]}
        if tolerance is FLOAT32:
            rewards = rewards.astype(np.float32).astype(np.float64)
            tolerance = _nemo(rewards, "leave" in output) if "nemo" in output else tolerance
        elif tolerance is FLOAT64:
            tolerance = WRITTEN
        one(
            tally, f"{where} {output}",
            lambda r=rule, x=rewards, g=given: lab.advantages.compute(r, x, weights=i["weights"], **g),
            theirs, tolerance,
        )  # fmt: skip
