"""What the maps share: masks from lengths, one output at a time, losses with their gradients, tolerances."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import lab
from tests.golden.compare import FLOAT64, Tally, Tolerance, UnknownOutputError

Case = dict[str, Any]


def mask(lengths: Any, width: int | None = None) -> np.ndarray:
    lengths = np.asarray(lengths)
    return np.arange(width or max(int(lengths.max()), 1)) < lengths[..., None]


def raises(value: Any) -> bool:
    return isinstance(value, dict) and "raises" in value


def one(tally: Tally, where: str, call: Callable[[], Any], theirs: Any, tolerance: Tolerance) -> None:
    """One output: a number or array, an exception, or null for what the source leaves undefined."""
    if raises(theirs):
        tally.raises(where, call)
    elif np.isnan(np.asarray(theirs, dtype=np.float64)).any():
        tally.finite(where, call())
    else:
        tally.compare(where, call(), theirs, tolerance)


#: torch divides two integer tensors in float32.
TRL = Tolerance(5e-8, 5e-8, "TRL multiplies the variance by n/(n-1) taken in float32 (off by up to 6e-8 of itself)")


def conditioned(rewards: Any, floor: float) -> Tolerance:
    """Differences of rewards of size |R| carry a rounding of |R| 2^-53, divided by at least the floor."""
    noise = 4 * np.abs(np.asarray(rewards, dtype=np.float64)).max() * 2.0**-53 / max(floor, 1e-8)
    reason = "the mean's last place over the numerical floor, beside float64"
    return Tolerance(FLOAT64.relative, max(FLOAT64.of_largest, min(noise, 1e-7)), reason)


def loss_and_gradient(
    tally: Tally, where: str, name: str, new: Any, advantage: Any, given: dict[str, Any], outputs: Case,
    tolerance: Tolerance = FLOAT64,
) -> None:  # fmt: skip
    for output, theirs in outputs.items():
        if output == "loss":
            tally.compare(f"{where} loss", lab.objectives.loss(name, new, advantage, **given), theirs, tolerance)
        elif output == "grad_logp_new":
            ours = -lab.objectives.weights(name, new, advantage, **given)
            tally.compare(f"{where} grad", ours, theirs, tolerance)
        elif output == "clip_frac":
            _clip_share(tally, f"{where} clip_frac", name, new, advantage, given, theirs)
        elif output != "advantage":
            raise UnknownOutputError(f"{where}: output {output!r}")


#: verl divides by the number of tokens + 1e-8.
CLIP_SHARE = Tolerance(1e-8, 1e-9, "verl's masked mean divides by the token count + 1e-8")


def _clip_share(
    tally: Tally, where: str, name: str, new: Any, advantage: Any, given: dict[str, Any], theirs: Any
) -> None:
    ours = lab.objectives.clip_share(name, new, advantage, **given)
    if theirs is None or ours is None:
        tally.same(where, ours, theirs)
    else:
        tally.compare(where, ours, theirs, CLIP_SHARE)
