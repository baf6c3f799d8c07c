"""GRQO's loss per layer with its gradients, float64."""

from __future__ import annotations

import numpy as np

from lab.rewards import grqo
from tests.golden.compare import FLOAT64, Tally, Tolerance, UnknownOutputError
from tests.golden.maps.shared import Case

SMALL = Tolerance(1e-6, 1e-6, "a spread of 1e-8 beside rewards near 1 is known to 1e-8 of itself")


def compare(tally: Tally, where: str, case: Case) -> None:
    """In the source num_mute = 0 mutes everything: its slice [-0:] is the whole row."""
    i, o = case["inputs"], case["options"]
    rewards, score = np.asarray(i["query_reward"], float), np.asarray(i["score"], float)
    reference = np.take_along_axis(np.asarray(i["ref_score_per_token"], float), np.asarray(i["select_id"]), axis=-1)
    muted = min(o["num_mute"] or rewards.shape[-1], rewards.shape[-1])
    known = {
        "loss_per_layer": lambda: grqo.loss(
            rewards, score, reference, muted=muted, alpha=o["alpha"], beta=o["beta"], eps=o["eps"]
        ),
        "grad_sum_loss_wrt_query_reward": lambda: -grqo.reward_weights(rewards, muted, o["alpha"], o["eps"]),
        "grad_sum_loss_wrt_score": lambda: -len(rewards) * grqo.score_weights(score, reference, o["beta"], o["eps"]),
    }
    spread = np.ptp(rewards, axis=-1).min()
    tolerance = SMALL if 0 < spread < 1e-6 else FLOAT64
    for output, theirs in case["outputs"].items():
        if output not in known:
            raise UnknownOutputError(f"{where}: output {output!r}")
        tally.compare(f"{where} {output}", known[output](), theirs, tolerance)
