"""A trace as one meets it: a short card, its table, its summary."""

import polars as pl
import pytest

import lab
from lab.errors import InputError, UnknownNameError
from lab.experiment import replay
from lab.trace import summarise
from simulators import Bandit

TRACE = lab.train(Bandit([[0.2, 0.5, 0.8]]), ["grpo", "dr_grpo"], steps=6, seeds=3, group_size=4)


def test_an_expression_is_a_card_and_a_table() -> None:
    lines = repr(TRACE).splitlines()
    assert lines[0] == "Trace: grpo, dr_grpo; 6 steps x 3 seeds"
    assert len(lines) == 1 + 6
    assert TRACE._repr_html_().startswith("<p>Trace: grpo, dr_grpo; 6 steps x 3 seeds</p><pre>")
    nothing = lab.train(Bandit([[0.2, 0.8]]), "grpo", steps=2, seeds=1, measure=None)
    assert repr(nothing) == "Trace: grpo; 0 steps x 0 seeds; nothing was measured"


def test_the_table_has_a_row_for_each_variant() -> None:
    table = TRACE.table()
    assert table["variant"].to_list() == ["grpo", "dr_grpo"]
    last = TRACE.summary("value").filter(step=5)
    assert table["value"].to_list() == last["mean"].to_list()
    assert table["value_half"].to_list() == pytest.approx(((last["high"] - last["low"]) / 2).to_list(), rel=1e-12)
    mean = TRACE.frame.filter(variant="grpo")["grad_norm"].mean()
    assert table["grad_norm"][0] == pytest.approx(mean, rel=1e-12)


def test_a_summary_takes_a_name_and_says_what_is_not_there() -> None:
    assert TRACE.summary("value").equals(TRACE.summary(["value"]))
    assert TRACE.summary(["value", "value"]).equals(TRACE.summary(["value"]))
    with pytest.raises(InputError, match=r"^'cosine' was not measured in this trace; train with measure='full'"):
        TRACE.summary("cosine")
    with pytest.raises(UnknownNameError, match="unknown metric of this trace 'valu'; nearest: 'value'"):
        TRACE.summary("valu")


def test_intervals_stay_where_a_measurement_can_be() -> None:
    columns = {key: [0.0, 1.0] for key in ("sign_flip", "grad_norm", "value")}
    frame = pl.DataFrame({"variant": ["grpo", "grpo"], "seed": [0, 1], "step": [0, 0], **columns})
    half = 12.706204736174694 / 2
    rows = {r["metric"]: (r["low"], r["high"]) for r in summarise(frame).iter_rows(named=True)}
    assert rows["sign_flip"] == (0.0, 1.0)
    assert rows["grad_norm"] == pytest.approx((0.0, 0.5 + half))
    assert rows["value"] == pytest.approx((0.5 - half, 0.5 + half))


def test_a_replay_is_said_in_a_line() -> None:
    seen = replay(Bandit([[0.2, 0.5, 0.8]]), "grpo", seed=0, step=2, group_size=4)
    assert repr(seen) == (
        "Replay of one run: Moment of step 2: 1 runs x 1 prompts, G=4, 1 reward components; .frame has its 4 rollouts"
    )
