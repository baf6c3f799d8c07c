"""The estimator that wrote a log is found: rule, precision, sign, and the rows it was computed over."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

import lab
from lab.advantages import credit, names, rule
from lab.logs import RolloutTable
from lab.logs.estimator import Estimator, estimated, regrouped, sample
from lab.logs.rules import precisions, rounded
from tests.logs.logs import made

REWARDS = np.random.default_rng(3).random((2, 4, 6, 2)).round(3)


def estimator(table: RolloutTable) -> Estimator:
    found = lab.diagnose(table).estimator
    assert found is not None
    return found


def given(name: str, precision: str, rewards: Any = REWARDS) -> Any:
    """Advantages as a trainer would log them; what is left out of the update has none, 0."""
    made = credit(name, rewards, precision="float32" if precision == "bfloat16" else precision)
    values = np.asarray(made.advantage, dtype=np.float64)
    values = values if values.ndim == 3 else values[..., 0]
    values = values if made.keep is None else np.where(made.keep, values, 0.0)
    return rounded(values) if precision == "bfloat16" else values


def found_again(name: str, precision: str, sign: int) -> None:
    logged = sign * given(name, precision)
    table = made(REWARDS, logged)
    by = estimator(table)
    if not logged.any():
        assert (by.rule, by.exact) == ("", True)
        return
    assert (by.exact, by.sign, by.over, by.share) == (True, sign, "group", 1.0)
    near = 2.0**-7 if precision == "bfloat16" else 1e-5
    values = np.nan_to_num(estimated(table, by))
    np.testing.assert_allclose(values, logged.ravel(), rtol=0, atol=near * np.abs(logged).max())
    if precision == "bfloat16":
        assert by.precision == "bfloat16"


SOME = ["grpo@trl", "grpo@trl-batch", "grpo@trl-none", "gdpo", "mc-grpo", "reinforce_pp_baseline", "arenarl@swiss"]


@pytest.mark.parametrize("name", SOME)
@pytest.mark.parametrize(("precision", "sign"), [("float32", 1), ("float64", -1), ("bfloat16", 1)])
def test_a_rule_is_found(name: str, precision: str, sign: int) -> None:
    found_again(name, precision, sign)


ENOUGH = [name for name in names() if not {*rule(name).required} - {"mask"}]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*ENOUGH} - {*SOME}))
def test_every_rule_that_rewards_are_enough_for_is_found(name: str) -> None:
    found_again(name, "float32", -1)


def test_raw_rewards() -> None:
    by = estimator(made(REWARDS, REWARDS.sum(-1)))
    assert (by.rule, by.precision, by.sign) == ("reward", "float32", 1)
    by = estimator(made(REWARDS, -REWARDS.sum(-1)))
    assert (by.rule, by.sign) == ("reward", -1)
    found = lab.diagnose(made(REWARDS, REWARDS.sum(-1))).findings[0]
    assert (found.kind, found.severity, found.share) == ("advantages.raw", "warning", 1.0)


@pytest.mark.parametrize(("name", "over"), [("dr_grpo", "batch"), ("grpo@trl", "batch"), ("grpo@trl", "consecutive")])
def test_rules_over_other_rows(name: str, over: str) -> None:
    table = made(REWARDS)
    if over == "consecutive":  # the log has rollout 0 of all prompts first, then rollout 1
        steps, prompts, size, _ = REWARDS.shape
        place = np.arange(steps * prompts * size).reshape(steps, size, prompts).swapaxes(1, 2)
        table = replace(table, order=pl.Series(place.ravel()))
    other, rows = regrouped(table, over, 6 if over == "consecutive" else None)
    logged = np.empty(len(rows))
    sizes = (2, 1, 24, 2) if over == "batch" else (2, 4, 6, 2)
    logged[rows] = given(name, "float32", other.frame.select("r0", "r1").to_numpy().reshape(sizes)).ravel()
    by = estimator(replace(table, frame=table.frame.with_columns(advantage=pl.Series(logged))))
    assert (by.rule, by.over, by.exact) == (name.partition("@")[0], over, True)
    np.testing.assert_allclose(estimated(table, by), logged, atol=1e-5 * np.abs(logged).max())


@pytest.mark.parametrize(("size", "over"), [(12, "consecutive"), (3, "block")])
def test_consecutive_rows_of_another_number(size: int, over: str) -> None:
    """The log has groups of six; the trainer took two prompts for one, or half of a prompt."""
    table = made(REWARDS, given("grpo", "float64", REWARDS.reshape(2, 24 // size, size, 2)))
    by = estimator(table)
    assert (by.rule, by.over, by.size, by.share) == ("grpo", over, size, 1.0)
    found = next(f for f in lab.diagnose(table).findings if f.kind.startswith("advantages"))
    assert (found.kind, found.severity) == {
        "consecutive": ("advantages.mixed", "alarm"), "block": ("advantages.split", "note")
    }[over]  # fmt: skip
    assert f"{size} consecutive rows" in str(found)


def test_a_prompt_that_the_groups_split() -> None:
    table = made(REWARDS)
    joined = table.frame.with_columns(prompt=pl.format("{}", pl.col("group") // 2))
    other, rows = regrouped(replace(table, frame=joined), "prompt")
    assert other.frame["group"].n_unique() == 2 and other.frame["rollout"].max() == 11
    logged = np.empty(len(rows))
    logged[rows] = given("grpo@trl", "float64", REWARDS.reshape(2, 2, 12, 2)).ravel()
    found = lab.diagnose(replace(table, frame=joined.with_columns(advantage=pl.Series(logged))))
    assert found.estimator is not None and found.estimator.over == "prompt"
    assert found.findings[0].kind == "advantages.split"


def test_exceptions_of_a_rule_are_counted() -> None:
    logged = given("grpo@trl", "float64")
    logged[0, 0, 0] = 1000.0
    by = estimator(made(REWARDS, logged))
    assert (by.rule, by.exact, by.share) == ("grpo", False, pytest.approx(47 / 48))
    said = " ".join(map(str, lab.diagnose(made(REWARDS, logged)).findings))
    assert "those of grpo come nearest, for 97.9% of the rollouts" in said


def test_a_rule_that_is_given_up_is_no_longer_found_everywhere() -> None:
    rewards = np.random.default_rng(4).random((200, 4, 6, 1))
    logged = given("grpo@trl", "float64", rewards)
    logged[150] = given("dr_grpo", "float64", rewards)[150]
    table = made(rewards, logged)
    tried, rows = sample(table)
    assert len(rows) == 4800 and tried.frame["step"].n_unique() == 64 and not (tried.frame["step"] == 151).any()
    by = estimator(table)
    assert (by.rule, by.exact, by.share) == ("grpo", True, pytest.approx(199 / 200))
    assert "for 99.5% of the rollouts" in " ".join(map(str, lab.diagnose(table).findings))


def test_the_sample_has_something_to_tell() -> None:
    rewards = np.ones((100, 8, 4, 1))
    rewards[70, 3, 0] = 0
    tried, _ = sample(made(rewards, given("grpo@trl", "float64", rewards)))
    assert tried.frame["step"].unique().to_list() == [71]


def test_numbers_are_rounded_as_bfloat16_rounds_them() -> None:
    values = np.array([1.0, -0.5, 0.2, 1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-9, 3.4e38])
    assert rounded(values)[:2].tolist() == [1.0, -0.5]
    assert rounded(values)[2] == 0.2001953125
    assert rounded(values)[3:6].tolist() == [1.0, 1 + 2.0**-6, 1.0], "a tie goes to the even one"
    assert precisions(np.array([0.5, np.nan])) == ("float32", "float64", "bfloat16")
    assert precisions(values) == ("float32", "float64")


@pytest.mark.parametrize("places", [2, 3, 4])
def test_advantages_that_were_written_down_with_few_decimals(places: int) -> None:
    logged = np.round(given("grpo@trl", "float64"), places)
    by = estimator(made(REWARDS, logged, trainer="trl"))
    assert (by.rule, by.precision, by.exact, by.share) == ("grpo@trl", f"{places} decimals", True, 1.0)
    assert "2 decimals" not in precisions(np.array([0.5, -1.0]))
