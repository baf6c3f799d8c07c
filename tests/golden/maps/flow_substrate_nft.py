"""DiffusionNFT's loss and its slope, float32 and float64 in the source."""

from __future__ import annotations

import numpy as np

from lab.objectives.diffusion_nft import Pair, optimality
from tests.golden.compare import Tally, Tolerance
from tests.golden.maps.shared import Case, one

FLOAT32 = Tolerance(1e-5, 1e-5, "float32 in the source")
AT_REST = Tolerance(1e-5, 2e-3, "at the exact velocity the residual is float32's rounding, over the floor of 1e-5")


def compare(tally: Tally, where: str, case: Case) -> None:
    """Each sample at a time of its own; the source adds the penalty to its `policy_loss` in place."""
    given = {name: np.array(value, dtype=np.float64) for name, value in case["inputs"].items()}
    options = case["options"]
    t, x0, v = given["t"], given["x0"], given["v_new"]
    x = (1 - t[:, None]) * x0 + t[:, None] * given["noise"]
    r = optimality(given["advantages"], options["adv_mode"], options["adv_clip_max"])
    pair = Pair.of(v.T, given["v_old"].T, x0.T, x.T, t, options["beta"])
    drawn = r, (v - given["v_ref"]).T, options["beta"], options["kl_beta"]
    losses, slopes = pair.loss(*drawn), pair.slope(*drawn).T
    known = {
        "r": r, "positive_loss": pair.positive.loss(), "negative_loss": pair.negative.loss(),
        "policy_loss": losses.mean(), "loss": losses.mean(), "grad_v_new": slopes / len(t),
    }  # fmt: skip
    rest = np.abs(x - t[:, None] * v - x0).mean() < 1e-5
    for name, theirs in case["outputs"].items():
        one(tally, f"{where} {name}", lambda name=name: known[name], theirs, AT_REST if rest else FLOAT32)
