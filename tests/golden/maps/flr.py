"""The scores of the released code: ids and logits of each follow-up, float64."""

from __future__ import annotations

import numpy as np
import torch

from lab.reward_models.flr import released
from tests.golden.compare import FLOAT64, Tally, UnknownOutputError
from tests.golden.maps.shared import Case


def compare(tally: Tally, where: str, case: Case) -> None:
    """Scores of the positive follow-ups, then of the negative ones."""
    if case["options"]["fn"] != "feedback_scores":
        raise UnknownOutputError(f"{where}: function {case['options']['fn']!r}")
    given, sides = case["inputs"], ("positive", "negative")
    ids = [row for side in sides for row in given[f"feedback_ids_{side}"]]
    scores = [
        float(released(torch.tensor(at, dtype=torch.float64), torch.tensor(row)))
        for at, row in zip(given["logits_per_feedback"], ids, strict=True)
    ]
    count = len(given["feedback_ids_positive"])
    for side, ours in zip(sides, (scores[:count], scores[count:]), strict=True):
        tally.compare(f"{where} {side}", np.array(ours), case["outputs"][side], FLOAT64)
