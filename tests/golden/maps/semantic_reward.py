"""The semantic reward with the real encoder; skipped where its weights are not installed."""

from __future__ import annotations

import pytest

from lab.errors import MissingExtraError
from lab.reward_models.minilm import LONGEST, encoder, likeness
from tests.golden.compare import Tally, Tolerance, UnknownOutputError
from tests.golden.maps.shared import Case

ENCODER = Tolerance(0.0, 1e-5, "a network in float32, where the source pads texts and adds up in another order")


def compare(tally: Tally, where: str, case: Case) -> None:
    """The cosine, and the first coordinates of the generated text's embedding."""
    given, head = case["inputs"], len(case["outputs"]["embedding_head"])
    assert case["options"]["max_tokens"] == LONGEST
    try:
        own = encoder()
    except MissingExtraError as missing:
        pytest.skip(str(missing))
    known = {
        "cosine": likeness([given["generated"]], [given["reference"]])[0],
        "embedding_head": own.embed([given["generated"]])[0, :head],
    }
    for output, theirs in case["outputs"].items():
        if output not in known:
            raise UnknownOutputError(f"{where}: output {output!r}")
        tally.compare(f"{where} {output}", known[output], theirs, ENCODER)
