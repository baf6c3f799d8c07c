"""What gains first, and which variants answer alike."""

import numpy as np
import polars as pl
import pytest

import lab
from lab.measures import answer_rows, half_gains, same_answers
from lab.training.loop import Settings, Walk
from simulators import Bandit


def trace(curves, steps=40):
    rows = [
        {"variant": "v", "seed": seed, "step": 5 * step, **{name: float(f(step, seed)) for name, f in curves.items()}}
        for seed in range(4)
        for step in range(steps)
    ]
    return pl.DataFrame(rows)


def test_half_of_the_gain_is_found_where_it_is_made():
    frame = trace({"early": lambda t, s: t >= 10 + s / 10, "late": lambda t, s: t >= 30, "flat": lambda t, s: 0.5})
    found = {
        row["metric"]: row for row in half_gains(frame, ["early", "late", "flat"], share=0.1).iter_rows(named=True)
    }
    assert (found["early"]["start"], found["early"]["end"]) == (0, 1)
    assert found["late"]["step"] == pytest.approx(150, abs=10) and found["late"]["runs"] == 4
    assert found["early"]["step"] == pytest.approx(50, abs=12)
    assert found["early"]["high"] < found["late"]["low"]
    assert found["flat"]["step"] is None and found["flat"]["gain"] == 0


def test_what_falls_or_scatters_has_no_half():
    noise = np.random.default_rng(0).normal(size=(4, 40))
    frame = trace({"falls": lambda t, s: 1 - t / 40, "scatters": lambda t, s: noise[s, t]})
    assert half_gains(frame, ["falls", "scatters"])["step"].to_list() == [None, None]
    assert half_gains(frame, ["falls"])["gain_high"][0] < 0


def test_one_run_has_no_interval():
    frame = trace({"rises": lambda t, s: t / 40}).filter(seed=0)
    row = half_gains(frame, ["rises"]).row(0, named=True)
    assert row["gain"] > 0 and row["gain_low"] is None and row["step"] is None


@pytest.fixture
def moments():
    world = Bandit([[0.2, 0.5, 0.8], [0.1, 0.4, 0.9]])
    names = ["dr_grpo", "grpo", "gspo", "psr", "nsr"]
    return {name: Walk(world, lab.variant(name), [3], Settings(group_size=6)).look() for name in names}


def test_variants_with_the_same_advantages_are_one_answer(moments):
    assert same_answers(moments) == [["dr_grpo"], ["grpo", "gspo"], ["psr"], ["nsr"]]


def test_rows_are_rewards_and_then_each_answer(moments):
    rows = answer_rows(moments, 1, ["right"], base="grpo")
    assert rows["row"].unique(maintain_order=True).to_list() == ["right", "grpo +1", "dr_grpo", "psr", "nsr"]
    assert rows.filter(row="right")["value"].to_list() == moments["grpo"].rewards[0, 1, :, 0].tolist()
    assert rows.filter(row="grpo +1")["value"].to_list() == pytest.approx(moments["grpo"].advantage[0, 1].tolist())
    assert rows.filter(row="grpo +1")["variants"][0] == "grpo, gspo"
    assert not rows.filter(kind="reward")["wrong"].any()
