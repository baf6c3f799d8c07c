"""The lambda-harmonic reward and RPO's loss with its gradient, float64."""

from __future__ import annotations

import numpy as np

import lab
from lab.objectives.rpo import pair_loss, pair_weights
from tests.golden.compare import FLOAT64, Tally, UnknownOutputError
from tests.golden.maps.shared import Case

_PAIR = ("model_loss_ref", "model_loss_gen", "base_loss_ref", "base_loss_gen", "label")


def compare(tally: Tally, where: str, case: Case) -> None:
    """Rewards through the public door; the loss is written with errors, which are minus log-probabilities."""
    i, o = case["inputs"], case["options"]
    if o["kind"] == "harmonic_reward":
        both = np.stack([i["i2i_similarity"], i["t2i_similarity"]], axis=-1)
        known = {"reward": lab.rewards.apply("harmonic-rpo", both[None], weight=o["lambda"])[0, :, 0]}
    else:
        pair = [np.asarray(i[name]) for name in _PAIR]
        preference, likeness = (part.mean() for part in pair_loss(*pair, beta=o["beta"]))
        first, second = (w / len(pair[0]) for w in pair_weights(*pair, beta=o["beta"]))
        known = {
            "loss": preference + likeness, "preference_loss": preference, "similar_loss": likeness,
            "grad_model_loss_ref": first, "grad_model_loss_gen": second,
        }  # fmt: skip
    for output, theirs in case["outputs"].items():
        if output not in known:
            raise UnknownOutputError(f"{where}: output {output!r}")
        tally.compare(f"{where} {output}", known[output], theirs, FLOAT64)
