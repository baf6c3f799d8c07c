"""MC-GRPO's two released trainers and their control."""

from __future__ import annotations

from typing import Any

import numpy as np

import lab
from lab.advantages.statistics import median
from tests.golden.compare import FLOAT64, Tally, UnknownOutputError
from tests.golden.maps.shared import Case, conditioned

_MC = {"mc_gsm": "mc-grpo@gsm", "mc_math": "mc-grpo", "mean_baseline_gsm": "mc-grpo-control"}


def compare(tally: Tally, where: str, case: Case) -> None:
    """float64. Which of several rollouts at the median is the pivot is torch's affair: its reward must agree."""
    rewards, o = np.asarray(case["inputs"]["rewards"], dtype=np.float64), case["options"]
    for output, parts in case["outputs"].items():
        if output not in _MC:
            raise UnknownOutputError(f"{where}: output {output!r}")
        eps = o["eps_std"] if output == "mean_baseline_gsm" else o["eps_mad"]
        ours = lab.advantages.credit(_MC[output], rewards, eps=eps)
        for part, theirs in parts.items():
            _mc_part(tally, f"{where} {output} {part}", part, rewards, ours, theirs, eps)


def _mc_part(tally: Tally, where: str, part: str, rewards: Any, ours: Any, theirs: Any, eps: float) -> None:
    if part == "advantage_all":
        tally.compare(where, ours.advantage, theirs, conditioned(rewards, eps))
    elif part == "pivot":
        tally.compare(where, rewards[~ours.keep], rewards[np.asarray(theirs)], FLOAT64)
    elif part == "dropped":
        tally.compare(where, np.abs(rewards[~ours.keep]), np.abs(rewards[np.asarray(theirs)]), FLOAT64)
    elif part == "scale":
        tally.compare(where, _mad_scale(rewards, eps), theirs, FLOAT64)
    else:
        raise UnknownOutputError(where)


def _mad_scale(rewards: Any, eps: float) -> Any:
    """The divisor MAD + eps of each prompt."""
    return (median(np.abs(rewards - median(rewards))) + eps)[..., 0]
