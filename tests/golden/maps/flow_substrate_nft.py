"""DiffusionNFT's loss and its slope, float32 and float64 in the source."""

from __future__ import annotations

import numpy as np

import lab
from lab.objectives.diffusion_nft import Pair, optimality
from tests.golden.compare import Tally, Tolerance
from tests.golden.maps.shared import Case, one

FLOAT32 = Tolerance(1e-5, 1e-5, "float32 in the source")
AT_REST = Tolerance(1e-5, 2e-3, "at the exact velocity the residual is float32's rounding, over the floor of 1e-5")


def compare(tally: Tally, where: str, case: Case) -> None:
    """Each sample as a rollout of one time; the source adds the penalty to its `policy_loss` in place."""
    given = {name: np.array(value, dtype=np.float64) for name, value in case["inputs"].items()}
    options = case["options"]
    t, x0, v = given["t"], given["x0"], given["v_new"]
    x = (1 - t[:, None]) * x0 + t[:, None] * given["noise"]
    r = optimality(given["advantages"], options["adv_mode"], options["adv_clip_max"])
    pair = Pair.of(v, given["v_old"], x0, x, t, options["beta"])
    asked = {
        "scores": {"velocity": v[None]}, "reached": x0[None, :, None], "noised": x[None, :, None],
        "noised_at": t[None, :, None], "velocity_old": given["v_old"][None, :, None],
        "velocity_start": given["v_ref"][None, :, None], "beta": options["beta"], "mode": options["adv_mode"],
        "limit": options["adv_clip_max"],
    }  # fmt: skip
    batch = (np.zeros((1, len(t), 1)), given["advantages"][None])

    loss = lab.objectives.loss("diffusion-nft", *batch, **asked, velocity_kl=options["kl_beta"])
    slope = lab.objectives.weights("diffusion-nft", *batch, **asked, velocity_kl=options["kl_beta"])
    known = {
        "r": r, "positive_loss": pair.positive, "negative_loss": pair.negative, "policy_loss": loss,
        "loss": loss, "grad_v_new": -slope["velocity"][0],
    }  # fmt: skip
    rest = np.abs(x - t[:, None] * v - x0).mean() < 1e-5
    for name, theirs in case["outputs"].items():
        one(tally, f"{where} {name}", lambda name=name: known[name], theirs, AT_REST if rest else FLOAT32)
