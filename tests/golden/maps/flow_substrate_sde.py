"""Flow-GRPO's stochastic step and its log-density, float32 in the source, where the density is a mean."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from simulators.flow.sampling import Step, log_density, step_of
from tests.golden.compare import Tally, Tolerance, UnknownOutputError
from tests.golden.maps.shared import Case, one

FLOAT32 = Tolerance(2e-5, 2e-5, "float32 in the source")
OF: dict[str, Callable[..., object]] = {
    "prev_sample_mean": lambda step, x, v, after: step.mean(x, v),
    "std_dev_t": lambda step, x, v, after: step.deviation / math.sqrt(-step.d),
    "log_prob": lambda step, x, v, after: log_density(after, step.mean(x, v), np.float64(step.deviation)) / len(x),
}


def compare(tally: Tally, where: str, case: Case) -> None:
    """Each sample is at a step of its own."""
    given, noise = case["inputs"], case["options"]["noise_level"]
    grid = given["sigmas"]
    if set(case["outputs"]) - set(OF):
        raise UnknownOutputError(f"{where}: outputs {sorted(case['outputs'])}")
    for row, index in enumerate(given["step_index"]):
        step = step_of(grid[index], grid[index + 1], grid[1], noise)
        x, v, after = (np.array(given[name][row]) for name in ("sample", "model_output", "prev_sample"))
        for name, theirs in case["outputs"].items():
            if theirs[row] is not None:
                allowed = _density(step, x, v, after) if name == "log_prob" else FLOAT32
                one(tally, f"{where} row {row} {name}", _call(OF[name], step, x, v, after), theirs[row], allowed)


def _density(step: Step, x: np.ndarray, v: np.ndarray, after: np.ndarray) -> Tolerance:
    """x' − μ has the rounding of |x'| in float32, which (x' − μ)² / 2σ² multiplies by |x' − μ| / σ²."""
    away = np.abs(after - step.mean(x, v)).max()
    noise = float(4 * np.abs(after).max() * 2.0**-24 * (away + 2.0**-22) / max(step.deviation, 1e-30) ** 2)
    return Tolerance(2e-5, max(2e-5, noise), "a small difference of large float32 numbers in the source")


def _call(of: Callable[..., object], step: Step, *rest: np.ndarray) -> Callable[[], object]:
    return lambda: of(step, *rest)
