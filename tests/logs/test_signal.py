"""Findings on signal: each threshold at its edge, each number right."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

import lab
from lab.logs import Finding, RolloutTable, checks
from lab.logs.findings.signal import silent_share
from tests.logs.logs import made


def one(table: RolloutTable, kind: str) -> Finding | None:
    """What one check finds."""
    return checks()[kind].run(lab.diagnose(table))


def binary(successes: Any, size: int = 4) -> Any:
    """Rewards [S, P, G, 1] with so many ones in each group [S, P]."""
    return (np.arange(size) < np.asarray(successes)[..., None]).astype(float)[..., None]


def test_the_causes_of_silence() -> None:
    rewards = np.zeros((1, 7, 3, 2))
    rewards[0, 0] = 1  # solved: the highest total of the log
    rewards[0, 1] = 0  # never right
    rewards[0, 2, :, 0] = 1  # alike
    rewards[0, 3] = [[1, 0], [0, 1], [1, 0]]  # parts that cancel
    rewards[0, 4, 0] = 1  # signal
    rewards[0, 5] = 0  # cut off, and never right
    rewards[0, 6] = [[0.1, 0.2], [0.2, 0.1], [0.3, 0.0]]
    rewards[0, 6, 1, 0] += 1e-17
    table = made(rewards)
    cut = table.frame.with_columns(truncated=pl.col("group") == 5)
    groups = lab.diagnose(replace(table, frame=cut)).groups
    causes = ["solved", "hopeless", "alike", "cancelling", None, "truncated", "cancelling"]
    assert groups["cause"].to_list() == causes
    assert groups["no_signal"].to_list() == [cause is not None for cause in causes]
    found = one(replace(table, frame=cut), "signal.silent")
    assert found is not None and found.severity == "note", "seven groups are too few"
    assert "6 of 7 groups (85.7%)" in str(found)
    assert (
        "(28.6% whose parts differ and cancel, 14.3% cut off in every rollout, 14.3% solved, 14.3% never right"
        in str(found)
    )


def test_right_answers_are_only_inferred_where_the_range_of_the_reward_is_not_known() -> None:
    rewards = binary([[4, 0, 2, 4]])

    def split(table: RolloutTable) -> str:
        return str(one(table, "signal.silent")).rpartition("(")[2]

    assert split(made(rewards)) == "50.0% solved, 25.0% never right)."
    half = split(made(rewards / 2))
    assert half.startswith("50.0% at the highest reward of the log, 0.5, and taken for solved, 25.0% never right")
    signed = split(made(2 * rewards - 1))
    assert "at the highest reward of the log, 1, and taken for solved" in signed
    assert "at the lowest reward of the log, -1, and taken for never right" in signed


def test_one_rollout_is_no_silent_group() -> None:
    table = made(np.arange(8.0).reshape(1, 8, 1, 1))
    assert lab.diagnose(table).groups["cause"].unique().to_list() == ["single"]
    assert one(table, "signal.silent") is None


@pytest.mark.parametrize(("value", "words"), [(0.0, "no answer was ever right"), (0.3, "Every reward is 0.3: it is a")])
def test_one_reward_for_everything(value: float, words: str) -> None:
    found = one(made(np.full((2, 4, 4, 1), value)), "signal.silent")
    assert found is not None and (found.severity, found.share) == ("alarm", 1.0)
    assert words in str(found)


def test_rounding_is_no_spread_and_a_little_more_is() -> None:
    eps = float(np.finfo(np.float32).eps)
    rewards = np.ones((1, 2, 4, 1))
    rewards[0, 0, 0], rewards[0, 1, 0] = 1 - 4 * eps, 1 - 5 * eps
    assert lab.diagnose(made(rewards)).groups["cause"].to_list() == ["rounding", None]


@pytest.mark.parametrize(("size", "severity"), [(0.0099, "note"), (0.01, "warning")])
def test_rounding_that_is_blown_up(size: float, severity: str) -> None:
    rewards = np.ones((1, 2, 4, 1))
    rewards[0, 0, 0] = 1 - 6e-8
    advantage = np.zeros((1, 2, 4))
    advantage[0, 0, 0] = -size
    found = one(made(rewards, advantage), "signal.rounding")
    assert found is not None and (found.severity, found.share, found.rows.height) == (severity, 0.5, 1)
    assert "1 of 2 groups" in str(found) and "at most 6.0e-08" in str(found)


def test_what_larger_groups_would_give() -> None:
    successes = np.array([[0, 4, 2, 1, 0, 3, 4, 0]])
    found = one(made(binary(successes)), "signal.group_size")
    assert found is not None and found.share == 5 / 8
    mean = successes.mean() / 4
    assert f"{mean:.1%} of the rollouts are right" in str(found)
    assert f"{mean**4 + (1 - mean) ** 4:.1%} of the groups" in str(found)
    assert one(made(binary([[0, 4, 2, 1, 1, 3, 3, 2, 2]])), "signal.group_size") is None, (
        "less than a quarter is silent"
    )
    assert one(made(binary([[0, 4, 2, 1, 1, 3, 3, 2]])), "signal.group_size") is not None
    assert one(made(binary(successes, 16)), "signal.group_size") is None
    assert one(made(np.random.default_rng(0).random((1, 4, 4, 1))), "signal.group_size") is None


def test_the_share_of_silent_groups_is_that_of_a_beta_distribution() -> None:
    rng = np.random.default_rng(1)
    rates = rng.beta(0.5, 1.5, size=400_000)
    success = rng.binomial(8, rates) / 8
    exact = np.mean(rates**16 + (1 - rates) ** 16)
    assert silent_share(success, 8, 16) == pytest.approx(exact, abs=3e-3)
    assert silent_share(success, 8, 8) == pytest.approx(np.mean((success == 0) | (success == 1)), abs=3e-3)
    assert silent_share(np.array([0.0, 1.0]), 8, 16) == 1.0
    assert silent_share(np.zeros(4), 8, 16) == 1.0
    even = np.full(50, 0.5)
    assert silent_share(even, 8, 16) == pytest.approx(2 * 0.5**16), "no spread at all: as if all were equally hard"


@pytest.mark.parametrize(("varying", "words"), [(0, "never"), (1, "hardly ever"), (2, None)])
def test_a_part_that_does_nothing(varying: int, words: str | None) -> None:
    rewards = np.random.default_rng(2).random((1, 100, 4, 2))
    rewards[..., 1] = rewards[:, :, :1, 1]
    rewards[0, :varying, 0, 1] += 1
    found = one(made(rewards), "signal.idle_part")
    assert (found is None) == (words is None)
    if found is not None:
        assert f"The reward r1 {words} differs within a group" in str(found) and found.severity == "warning"
        assert found.rows.rows() == [("r1", varying / 100)]
    assert one(made(rewards[..., 1:]), "signal.idle_part") is None, "a single reward is told by its silence"
    assert one(made(rewards[:, :3]), "signal.idle_part") is None, "of three groups too little is known"


def run(shares: list[float], reward: list[float] | None = None) -> RolloutTable:
    """Groups of which so many are silent, step by step: all zeros, or all ones where the reward says so."""
    groups = np.ones((len(shares), 20)) * 2
    for step, share in enumerate(shares):
        groups[step, : round(20 * share)] = 4 if reward is None else reward[step]
    return made(binary(groups.astype(int)))


@pytest.mark.parametrize(
    ("shares", "since"),
    [
        ([0.0] * 3 + [0.5] * 3 + [0.75] * 3, 7),
        ([0.0] * 3 + [0.5] * 3 + [0.7] * 3, None),
        ([0.35] * 3 + [0.5] * 3 + [0.75] * 3, 7),
        ([0.4] * 3 + [0.5] * 3 + [0.75] * 3, None),
        ([0.0] * 3 + [0.9] * 5, None),
    ],
)
def test_signal_that_runs_out(shares: list[float], since: int | None) -> None:
    found = one(run(shares), "signal.trend")
    assert (found is None) == (since is None)
    if found is not None:
        assert (found.severity, found.first_step) == ("warning", since)
        assert "saturated: its groups are solved" in str(found)
        starved = one(run(shares, [0.0] * 9), "signal.trend")
        assert "starved: its groups are never right" in str(starved)


def test_the_trainers_own_share_is_taken_where_it_logged_more() -> None:
    metrics = pl.DataFrame({"step": range(1, 31), "zero_std": [0.1] * 15 + [0.9] * 15, "reward": np.linspace(0, 1, 30)})
    found = one(made(binary([[2, 1], [3, 1]]), metrics=metrics), "signal.trend")
    assert found is not None and found.first_step == 16
    assert "Silent groups grow from 10% to 90%" in str(found)


@pytest.mark.parametrize(("wrong", "seen"), [(99, True), (98, False)])
def test_prompts_that_have_little_to_teach(wrong: int, seen: bool) -> None:
    """One of 400 rollouts, a group's deviation is sqrt(3)/4 = 0.43 of at most 0.5: 10% are needed."""
    successes = np.zeros((1, 100), dtype=int)
    count = 11 if wrong == 99 else 12
    successes[0, :count] = 1
    found = one(made(binary(successes)), "signal.learnability")
    part = count / 100 * np.sqrt(3) / 2
    assert (found is not None) == (part < 0.1) == seen
    if found is not None:
        assert found.share == pytest.approx(part) and f"{part:.1%} of what is possible between 0 and 1" in str(found)
