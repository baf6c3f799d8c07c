"""DRPO's gradient and divergence, float64."""

from __future__ import annotations

from typing import Any

import numpy as np

import lab
from lab.objectives.drpo import divergence
from lab.objectives.formula import Terms
from tests.golden.compare import FLOAT64, Tally, UnknownOutputError
from tests.golden.maps.shared import Case


def _groups(rows: Any, uid: Any) -> Any:
    """Rows [rollouts, ...] in the order of their prompts [P, G, ...]."""
    order = np.argsort(uid, kind="stable")
    return np.asarray(rows, dtype=np.float64)[order].reshape(len(set(uid)), -1, *np.shape(rows)[1:])


def _rows(groups: Any, uid: Any) -> Any:
    """Groups [P, G, ...] back in the order of the file [rollouts, ...]."""
    flat = groups.reshape(-1, *groups.shape[2:])
    out = np.empty_like(flat)
    out[np.argsort(uid, kind="stable")] = flat
    return out


def compare(tally: Tally, where: str, case: Case) -> None:
    """The reported loss is a surrogate with the right gradient and a meaningless value: it is not compared."""
    i, o = case["inputs"], case["options"]
    new, old, mask, rewards = (_groups(i[n], i["uid"]) for n in ("log_prob", "old_log_prob", "mask", "rewards"))
    sign = np.where(rewards == 1, 1.0, np.where(rewards == 0, -1.0, 0.0))
    given = {
        "tau": o["tau"],
        "temperature": o["Lambda"],
        "delta": o["delta"],
        "beta": o["beta"],
        "kl_type": o["kl_type"],
    }
    k = divergence(Terms(new, sign, old, mask), o["kl_type"])[0].item()
    known = {
        "kl": lambda: k, "kl_above_delta": lambda: float(k > o["delta"]),
        "grad_of_loss_wrt_log_prob": lambda: _rows(
            -lab.objectives.weights("drpo", new, sign, logp=old, mask=mask, **given), i["uid"]
        ),
    }  # fmt: skip
    for output, theirs in case["outputs"].items():
        if output == "reported_loss":
            continue
        if output not in known:
            raise UnknownOutputError(f"{where}: output {output!r}")
        tally.compare(f"{where} {output}", known[output](), theirs, FLOAT64)
