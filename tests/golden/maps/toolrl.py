"""ToolRL's matching, correctness, format and length rewards, plain Python numbers."""

from __future__ import annotations

from typing import Any

from lab.rewards import toolrl
from tests.golden.compare import FLOAT64, Tally, UnknownOutputError
from tests.golden.maps.shared import Case

_GRANULARITY = {"COARSEREWARD": "coarse", "REFINEDREWARD": "strict", "INTERMEDIATEREWARD": "intermediate"}
_SCHEDULE = {"CORRECTMAX1": "equal", "MAX1STEP30MAX3": "two-stage", "SCHEDULEREWARD": "smooth"}
_LENGTH = {(): "none", ("WITHLENGTH",): "fixed", ("WITHLENGTH", "SCHEDULELENGTH"): "growing"}


def _options(flags: list[str]) -> dict[str, Any]:
    length = tuple(f for f in flags if "LENGTH" in f)
    found: dict[str, Any] = {"length": _LENGTH[length]}
    for flag in set(flags) - set(length):
        if flag in _GRANULARITY:
            found["granularity"] = _GRANULARITY[flag]
        else:
            found["schedule"] = _SCHEDULE[flag]
    return found


def _results(i: dict[str, Any], o: dict[str, Any]) -> dict[str, Any]:
    given = _options(o["flags"])
    if o["fn"] == "match_score":
        return {"score": toolrl.match_score(i["list1"], i["list2"])}
    if o["fn"] == "tool_call_reward":
        granularity = given.get("granularity", "fine")
        return {"reward": toolrl.correctness(i["gt_tools"], i["pd_tools"], granularity, o["min"], o["max"])}
    return toolrl.score(i["response"], i["answer"], step=i["step"], **given)._asdict()


def compare(tally: Tally, where: str, case: Case) -> None:
    """Every output of every function."""
    known = _results(case["inputs"], case["options"])
    for output, theirs in case["outputs"].items():
        if output not in known:
            raise UnknownOutputError(f"{where}: output {output!r}")
        tally.compare(f"{where} {output}", known[output], theirs, FLOAT64)
