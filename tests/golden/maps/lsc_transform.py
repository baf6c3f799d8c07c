"""LSC as PAR's code has it, float64; where that takes the log of an underflowing number the lab is finite."""

from __future__ import annotations

from tests.golden.compare import Tally, UnknownOutputError
from tests.golden.maps.par import shaped
from tests.golden.maps.shared import Case


def compare(tally: Tally, where: str, case: Case) -> None:
    """One batch."""
    for output, theirs in case["outputs"].items():
        if output != "lsc":
            raise UnknownOutputError(f"{where}: output {output!r}")
        shaped(tally, where, case, "lsc", theirs)
