"""Comparisons on a fair track: learning rates chosen on other runs, leads run by run, and what is said of it."""

import numpy as np
import polars as pl
import pytest

import lab
from lab.errors import InputError, UnknownNameError
from lab.studies.fair import TUNING, Comparison
from simulators import Bandit

WORLD = Bandit(success=[[0.2, 0.5, 0.9]] * 4)
QUICK = {"steps": 12, "group_size": 4}


@lab.advantage("half-of-dr-grpo")
def half(rewards: np.ndarray) -> np.ndarray:
    """Dr. GRPO's advantage, halved: the same method at half the learning rate."""
    return (rewards - rewards.mean(axis=-1, keepdims=True)) / 2


def test_a_curve_is_what_training_gives_at_each_learning_rate() -> None:
    found = lab.tune(WORLD, "dr_grpo", lrs=[1.0, 2.0], seeds=[7, 8], **QUICK)
    assert found.columns == ["variant", "lr", "mean", "low", "high", "best"]
    trace = lab.train(WORLD, "dr_grpo", lr=2.0, seeds=[7, 8], measure=["value"], **QUICK)
    last = trace.frame.filter(step=11)["value"].mean()
    assert found.filter(lr=2.0)["mean"].item() == pytest.approx(last, abs=0)
    assert found["best"].sum() == 1
    assert found.filter(pl.col("best"))["mean"].item() == found["mean"].max()


def test_beyond_an_end_the_next_learning_rates_are_tried() -> None:
    found = lab.tune(WORLD, "dr_grpo", lrs=[0.01, 0.02], **QUICK)
    assert found["lr"].to_list() == pytest.approx([0.01, 0.02, 0.04, 0.08, 0.16, 0.32])
    assert lab.tune(WORLD, "dr_grpo", lrs=[0.5], **QUICK)["lr"].to_list() == [0.5], "a single one is a choice"


def test_a_matter_of_scale_alone_is_told_apart_unfairly_and_not_at_all_fairly() -> None:
    names = ["dr_grpo", "half-of-dr-grpo"]
    unfair = lab.compare(WORLD, names, seeds=8, **QUICK)
    assert not unfair.fair and unfair.lead("dr_grpo", "half-of-dr-grpo")[1][0] > 0
    assert unfair.first_steps["dr_grpo"] == pytest.approx(2 * unfair.first_steps["half-of-dr-grpo"])
    assert "Not fair: at one learning rate dr_grpo's first step is 2.0 times as long" in unfair.sentence
    fair = lab.compare(WORLD, names, fair=True, lrs=[2.0, 4.0, 8.0, 16.0, 32.0], seeds=8, **QUICK)
    assert fair.fair and fair.lr["half-of-dr-grpo"] == 2 * fair.lr["dr_grpo"]
    assert np.array_equal(*fair.values.values())
    assert "half-of-dr-grpo is not told apart" in fair.sentence and "own best learning rate" in fair.sentence


def test_leads_are_paired_and_of_several_the_least() -> None:
    values = {"a": np.array([1.0, 2.0, 3.0]), "b": np.array([0.5, 1.5, 2.5]), "c": np.array([0.9, 1.9, 2.9])}
    found = Comparison("value", dict.fromkeys(values, 1.0), values, dict.fromkeys(values, 1.0))
    assert found.lead("a", "b") == (0.5, (0.5, 0.5))
    assert found.lead("a", "b", "c")[0] == pytest.approx(0.1)
    assert found.frame["lead"].to_list() == [None, -0.5, pytest.approx(-0.1)]
    assert "b ends 0.500 (0.500 to 0.500) below" in found.sentence and "All at one learning rate" in found.sentence
    with pytest.raises(UnknownNameError, match="nearest"):
        found.lead("a", "bb")


def test_no_run_is_both_chosen_on_and_judged_on() -> None:
    with pytest.raises(InputError, match=f"seed {TUNING[0]} is among"):
        lab.compare(WORLD, ["grpo"], fair=True, seeds=[1, TUNING[0]], **QUICK)


@pytest.mark.parametrize("lrs", [[], [1.0, 0.5], [0.0, 1.0]])
def test_learning_rates_must_increase_above_zero(lrs: list[float]) -> None:
    with pytest.raises(InputError, match="lrs="):
        lab.tune(WORLD, "grpo", lrs=lrs, **QUICK)


def test_two_comparisons_of_the_same_runs_stand_as_one() -> None:
    both = lab.compare(WORLD, ["grpo", "dr_grpo"], seeds=4, fair=True, lrs=[1.0, 2.0], **QUICK)
    one, two = (lab.compare(WORLD, [v], seeds=4, fair=True, lrs=[1.0, 2.0], **QUICK) for v in ("grpo", "dr_grpo"))
    assert one.beside(two).frame.equals(both.frame)
    assert one.beside(two).curve.equals(both.curve)
    with pytest.raises(InputError, match="compare both fairly"):
        one.beside(lab.compare(WORLD, ["dr_grpo"], seeds=4, **QUICK))
