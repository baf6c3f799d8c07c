"""DMD's direction, float32 in the source; `dloss_dx` has the cancellation of x − (x − grad) with large grad."""

from __future__ import annotations

import numpy as np
import torch

from simulators.flow.distillation import direction
from tests.golden.compare import FLOAT32, Tally, UnknownOutputError
from tests.golden.maps.shared import Case, one


def compare(tally: Tally, where: str, case: Case) -> None:
    """The direction of each sample, the loss and its slope."""
    x, real, fake = (torch.tensor(case["inputs"][name]) for name in ("x", "pred_real", "pred_fake"))
    found = direction(x, real, fake, "sample", 1)
    near = (x - (x - found)).double()  # what the source takes for the direction in its loss
    ours = {"grad": found.double(), "loss": 0.5 * near.square().mean(), "dloss_dx": near / near.numel()}
    if set(case["outputs"]) - ours.keys():
        raise UnknownOutputError(f"{where}: outputs {sorted(case['outputs'])}")
    for name, theirs in case["outputs"].items():
        one(tally, f"{where} {name}", lambda n=name: np.asarray(ours[n]), theirs, FLOAT32)
