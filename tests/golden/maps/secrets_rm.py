"""The released pair loss and the schedule of its learning rate, float64; the accuracy is a mean in float32."""

from __future__ import annotations

from lab.reward_models.secrets_rm import lr_factor, pair_loss
from tests.golden.compare import FLOAT32, FLOAT64, Tally, UnknownOutputError
from tests.golden.maps.shared import Case


def compare(tally: Tally, where: str, case: Case) -> None:
    """Loss, accuracy, and factors by step."""
    given, options = case["inputs"], case["options"]
    for output, theirs in case["outputs"].items():
        if output in ("loss", "accuracy"):
            loss, accuracy = pair_loss(given["chosen"], given["rejected"])
            ours, tolerance = (loss, FLOAT64) if output == "loss" else (accuracy, FLOAT32)
        elif output == "factor":
            ours, tolerance = [lr_factor(step, options["warmup"]) for step in given["steps"]], FLOAT64
        else:
            raise UnknownOutputError(f"{where}: output {output!r}")
        tally.compare(f"{where} {output}", ours, theirs, tolerance)
