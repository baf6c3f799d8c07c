"""ONI's running moments, float64; a batch of one has no variance in the source (null)."""

from __future__ import annotations

from typing import Any

import numpy as np

from lab.rewards.oni import Moments, updated
from tests.golden.compare import FLOAT64, Tally, UnknownOutputError
from tests.golden.maps.shared import Case, one


def compare(tally: Tally, where: str, case: Case) -> None:
    """Mean, variance and count after each batch."""
    o = case["options"]
    if (o["batch_var_ddof"], set(case["outputs"])) != (1, {"stats"}):
        raise UnknownOutputError(f"{where}: outputs {sorted(case['outputs'])}, ddof {o['batch_var_ddof']}")
    moments = Moments(o["epsilon_count"], o["init_mean"], o["init_var"])
    for k, (batch, theirs) in enumerate(zip(case["inputs"]["batches"], case["outputs"]["stats"], strict=True)):
        moments = updated(moments, batch)
        ours: dict[str, Any] = {"mean": moments.mean, "var": moments.variance, "count": moments.count}
        for name, value in theirs.items():
            expected = np.nan if value is None else value
            one(tally, f"{where} batch {k} {name}", lambda found=ours[name]: found, expected, FLOAT64)
