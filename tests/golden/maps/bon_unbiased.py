"""Best of n without bias, float64; means over the questions."""

from __future__ import annotations

from simulators.learned_reward import best_of_n
from tests.golden.compare import FLOAT64, Tally, UnknownOutputError
from tests.golden.maps.shared import Case


def compare(tally: Tally, where: str, case: Case) -> None:
    """Expected gold and proxy of the best of n by the proxy."""
    given, n = case["inputs"], case["options"]["n"]
    for output, theirs in case["outputs"].items():
        worth = {"gold_bon": given["gold"], "proxy_bon": given["proxy"]}.get(output)
        if worth is None:
            raise UnknownOutputError(f"{where}: output {output!r}")
        tally.compare(f"{where} {output}", best_of_n.expected(given["proxy"], worth, n).mean(0), theirs, FLOAT64)
