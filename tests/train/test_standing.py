"""Where variants stand at the end of a trace, and by how much one leads."""

import polars as pl
import pytest

from lab.errors import UnknownNameError
from lab.trace import lead, leads, mean_interval, standing

FRAME = pl.DataFrame(
    {
        "variant": ["b"] * 6 + ["a"] * 6,
        "seed": [0, 0, 1, 1, 2, 2] * 2,
        "step": [0, 1] * 6,
        "value": [0.0, 1.0, 0.0, 2.0, 0.0, 3.0, 0.0, 1.5, 0.0, 2.5, 0.0, 3.2],
    }
)


def test_standing_is_over_runs_and_keeps_the_order_of_the_frame():
    ends = standing(FRAME, "value", last=1)
    assert ends["variant"].to_list() == ["b", "a"]
    assert ends.row(0)[1:] == (*mean_interval([1.0, 2.0, 3.0]), 3)
    assert standing(FRAME, "value")["mean"].to_list() == pytest.approx([1.0, 1.2])


def test_a_lead_is_paired_by_seed():
    gap = lead(FRAME, "value", "a", "b", last=1).row(0, named=True)
    assert (gap["mean"], gap["low"], gap["high"]) == pytest.approx(mean_interval([0.5, 0.5, 0.2]))
    assert lead(FRAME, "value", "b", "a")["mean"][0] == pytest.approx(-0.2)


def test_one_run_has_no_interval():
    assert standing(FRAME.filter(seed=0), "value", last=1).select("low", "high").row(0) == (None, None)


def test_leads_are_paired_at_every_step_in_any_order():
    gaps = leads(FRAME.sample(fraction=1.0, shuffle=True, seed=3).sort("variant", "step"), "value", "b")
    assert gaps["variant"].unique().to_list() == ["a"] and gaps["metric"].unique().to_list() == ["lead"]
    assert gaps["step"].to_list() == [0, 1]
    assert gaps.row(1)[3:6] == pytest.approx(mean_interval([0.5, 0.5, 0.2]))
    with pytest.raises(UnknownNameError, match="variant of this trace"):
        leads(FRAME, "value", "c")
    with pytest.raises(UnknownNameError, match="metric of this trace"):
        leads(FRAME, "gold", "b")
