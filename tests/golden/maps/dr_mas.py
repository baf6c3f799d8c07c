"""Dr. MAS and its global baseline: one row per agent call in the file, trajectories padded to a cube here."""

from __future__ import annotations

from typing import Any

import numpy as np

import lab
from tests.golden.compare import FLOAT64, Tally, Tolerance, UnknownOutputError
from tests.golden.maps.shared import Case, conditioned

RULES = {"dr_mas": ("dr-mas", True), "dr_mas_no_std": ("dr-mas", False),
         "global_grpo": ("dr-mas-global", True), "global_grpo_no_std": ("dr-mas-global", False)}  # fmt: skip


def _places(prompt: Any, trajectory: Any) -> tuple[tuple[int, int, int], ...]:
    """Prompt, trajectory within it and call within that of each row, in order of appearance."""
    prompts: dict[Any, int] = {}
    trajectories: dict[Any, dict[Any, int]] = {}
    calls: dict[Any, int] = {}
    found = []
    for p, i in zip(prompt, trajectory, strict=True):
        own = trajectories.setdefault(p, {})
        place = prompts.setdefault(p, len(prompts)), own.setdefault(i, len(own)), calls.get((p, i), 0)
        calls[p, i] = place[2] + 1
        found.append(place)
    return tuple(found)


def _cube(inputs: Case) -> tuple[Any, dict[str, Any]]:
    """Index of each row and the fields [P, G, T]; trajectories that a prompt lacks have no call."""
    at = tuple(np.array(_places(inputs["prompt"], inputs["trajectory"])).T)
    shape = tuple(int(axis.max()) + 1 for axis in at)
    mask, agent, scores = np.zeros(shape, bool), np.zeros(shape, int), np.zeros(shape)
    mask[at], agent[at], scores[at] = True, inputs["agent"], inputs["score"]
    return at, {"mask": mask, "agent": agent, "turn_rewards": scores}


#: The deviation of a group of one is a float32 1 in the source, and 1 + 1e-6 is 1.00000095 there.
ALONE = Tolerance(6e-8, 1e-12, "1 + eps in float32 where a group has one member")


def _tolerance(case: Case) -> Tolerance:
    if case["options"].get("edge") in ("single_call_agent", "g1"):
        return ALONE
    scores = case["inputs"]["score"]
    return conditioned(scores, 1e-6) if np.abs(scores).max() > 10 else FLOAT64


def compare(tally: Tally, where: str, case: Case) -> None:
    """Every output is one advantage per row, in the order of the rows."""
    at, fields = _cube(case["inputs"])
    for output, theirs in case["outputs"].items():
        if output not in RULES:
            raise UnknownOutputError(f"{where}: output {output!r}")
        rule, std = RULES[output]
        nothing = np.zeros(fields["mask"].shape[:2])
        ours = lab.advantages.compute(rule, nothing, std=std, eps=case["options"]["eps"], **fields)
        tally.compare(f"{where} {output}", ours[at], theirs, _tolerance(case))
