"""Findings on logged advantages and on the log itself: each threshold at its edge, each number right."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import lab
from lab.logs import Finding, RolloutTable, checks
from tests.logs.logs import Write, made

REWARDS = np.random.default_rng(5).random((3, 8, 4, 1))


def one(table: RolloutTable, kind: str) -> Finding | None:
    """What one check finds."""
    return checks()[kind].run(lab.diagnose(table))


@pytest.mark.parametrize(("value", "words"), [("nan", "NaN"), ("inf", "infinite"), ("-inf", "infinite")])
def test_advantages_that_are_no_numbers(write: Write, value: str, words: str) -> None:
    broken = pl.when((pl.col("step") == 2) & (pl.int_range(pl.len()) == 5)).then(float(value)).otherwise("advantage")
    table = lab.load(write(columns=lambda frame: frame.with_columns(broken.alias("advantage"))))
    assert table.broken.rows() == [(2, 1, 1, "advantage", value)]
    assert table.frame["advantage"].null_count() == 1
    found = lab.diagnose(table).findings[0]
    assert (found.kind, found.severity, found.first_step) == ("advantages.not_finite", "alarm", 2)
    assert str(found).startswith(f"1 of 24 advantages are {words}, from step 2 on")


def test_rewards_that_are_infinite_are_kept_apart(write: Write) -> None:
    infinite = pl.when(pl.int_range(pl.len()) == 0).then(float("-inf")).otherwise("score").alias("score")
    table = lab.load(write(columns=lambda frame: frame.with_columns(infinite)))
    assert table.broken.rows() == [(1, 0, 0, "score", "-inf"), (2, 0, 0, "score", "-inf")]
    assert table.frame["reward"].drop_nulls().is_finite().all() and table.frame["score"].null_count() == 2


def grpo(rewards: np.ndarray = REWARDS) -> np.ndarray:
    return np.asarray(lab.advantages.compute("grpo@trl", rewards))


@pytest.mark.parametrize(("times", "seen"), [(19.9, False), (20.1, True)])
def test_an_advantage_out_of_scale(times: float, seen: bool) -> None:
    advantage = np.where(np.arange(96) % 2, 1.0, -1.0).reshape(3, 8, 4)
    advantage[1, 2, 3] = -times
    table = made(np.where(advantage > 0, 1.0, 0.0)[..., None], advantage)
    found = one(table, "advantages.out_of_scale")
    assert (found is not None) == seen
    if found is not None:
        assert found.rows.rows() == [(2, 2, 3, 0.0, -times)]
        assert "rollout 3 in group 2 of step 2 is -20.1, where nine of ten are at most 1" in str(found)


def test_a_large_advantage_of_a_large_reward_is_in_scale() -> None:
    rewards = REWARDS.copy()
    rewards[0, 0, 0] = 1000.0
    assert one(made(rewards, lab.advantages.compute("dr_grpo", rewards)), "advantages.out_of_scale") is None
    assert one(made(REWARDS), "advantages.out_of_scale") is None


def test_phantoms_are_those_of_a_group() -> None:
    rewards = np.full((2, 4, 8, 1), 0.3)
    rewards[0, 0, 0] = 0.5
    logged = np.asarray(lab.advantages.compute("grpo@trl", rewards, precision="float32"), dtype=float)
    found = one(made(rewards, logged), "advantages.phantom")
    loud = int((np.abs(logged).max(-1) > 0).sum()) - 1
    assert loud == 7 and found is not None and found.rows.height == 7 and "7 groups of equal rewards got" in str(found)
    batch = rewards[..., 0] - rewards.mean((1, 2, 3), keepdims=True)[..., 0]
    assert one(made(rewards, batch), "advantages.phantom") is None
    told = one(made(rewards, batch), "advantages.batch")
    assert told is not None and told.rows.height == 3, "of the step in which one reward differs"


@pytest.mark.parametrize(("offset", "kind"), [(0.0019, "advantages.phantom"), (0.0021, "advantages.other_baseline")])
def test_another_baseline_is_no_rounding(offset: float, kind: str) -> None:
    rewards = np.full((2, 4, 4, 1), 0.3)
    rewards[:, 0, 0] = 0.5
    advantage = np.full((2, 4, 4), offset)
    advantage[:, 0] = [0.2, -0.01, -0.02, -0.03]
    found = [
        f for f in lab.diagnose(made(rewards, advantage)).findings if f.rows.height == 6 and f.kind != "signal.silent"
    ]
    assert [f.kind for f in found] == [kind]


def test_groups_that_mix_prompts() -> None:
    table = made(REWARDS)
    mixed = table.frame.with_columns(prompt=pl.when(pl.col("group") == 3).then("completion").otherwise("prompt"))
    found = one(replace(table, frame=mixed), "advantages.several_prompts")
    assert found is not None and (found.severity, found.share) == ("alarm", 1 / 8)
    assert "3 of 24 groups hold rollouts of different prompts" in str(found)
    assert one(table, "advantages.several_prompts") is None


def test_a_group_size_that_changes() -> None:
    both = pl.concat([made(REWARDS).frame, made(REWARDS[..., :2, :]).frame.with_columns(pl.col("step") + 3)])
    found = one(replace(made(REWARDS), frame=both, group_size=None), "advantages.group_size")
    assert found is not None and (found.severity, found.first_step) == ("warning", 4)
    assert "changes from 4 to 2 at step 4:" in str(found)
    cut = made(REWARDS).frame.slice(1)
    assert one(replace(made(REWARDS), frame=cut, group_size=None), "advantages.group_size") is None


@pytest.mark.parametrize(
    ("groups", "letters", "severity"), [(4, 32, "warning"), (3, 32, "note"), (8, 31, None), (0, 40, None)]
)
def test_answers_that_repeat(groups: int, letters: int, severity: str | None) -> None:
    table = made(REWARDS[:1])
    same = pl.when((pl.col("group") < groups) & (pl.col("rollout") < 2)).then(pl.lit("x" * letters))
    frame = table.frame.with_columns(completion=same.otherwise("completion"))
    found = one(replace(table, frame=frame), "advantages.duplicates")
    assert (found and found.severity) == severity
    if found is not None:
        assert f"In {groups} of 8 groups" in str(found)


def metrics(steps: int, **columns: object) -> pl.DataFrame:
    return pl.DataFrame({"step": range(1, steps + 1), **columns})


@pytest.mark.parametrize(("steps", "seen"), [(6, False), (7, True)])
def test_steps_without_rollouts(steps: int, seen: bool) -> None:
    found = one(made(REWARDS, metrics=metrics(steps)), "log.coverage")
    assert (found is not None) == seen
    if found is not None:
        assert str(found).startswith("3 of 7 steps have rollouts") and found.first_step == 4
    assert one(made(REWARDS, metrics=metrics(7), repeats=(4, 5)), "log.coverage") is None, "repeated steps were there"


def test_rollouts_and_metrics_of_two_runs() -> None:
    means = REWARDS.mean((1, 2, 3))
    high = REWARDS.max()
    assert one(made(REWARDS, metrics=metrics(3, reward=means + 0.04 * high)), "log.two_runs") is None
    off = [means[0] + 0.06 * high, means[1] + 0.06 * high, means[2]]
    found = one(made(REWARDS, metrics=metrics(3, reward=off)), "log.two_runs")
    assert found is not None and (found.severity, found.share, found.first_step) == ("warning", 2 / 3, 1)
    assert f"step 1: {means[0]:.3g} against {off[0]:.3g}" in str(found)
    assert one(made(REWARDS, metrics=metrics(3, reward=[off[0], means[1], means[2]])), "log.two_runs") is None
    sparse = pl.DataFrame({"step": [1, 3, 5], "reward": [9.0, 9.0, 9.0]})
    assert one(made(REWARDS, metrics=sparse), "log.two_runs") is None, "means over several steps are no step's mean"


def test_files_whose_steps_lie_among_those_of_another_are_named(tmp_path: Path) -> None:
    def note(**steps: tuple[int, ...]) -> list[str]:
        folder = tmp_path / "-".join(steps)
        folder.mkdir()
        for name, own in steps.items():
            rows = [f"{s},{g},{r}" for s in own for g in (0, 1) for r in (0, s)]
            (folder / f"{name}.csv").write_text("\n".join(["step,group,reward", *rows]))
        return [each for each in lab.load(folder).notes if "two runs" in each]

    (said,) = note(a=(1, 3, 5), b=(4, 6), c=(7, 8))
    assert "b.csv begin at 4, among those of" in said and "a.csv (1 to 5)" in said
    assert note(first=(1, 2), second=(3, 4)) == [] and note(late=(3, 4), early=(1, 2)) == []


def test_steps_that_go_back_are_said(tmp_path: Path) -> None:
    lines = ["step,group,reward"] + [f"{s},{g},{r}" for s in (1, 2, 3, 2) for g in (0, 1) for r in (0, s)]
    (tmp_path / "run.csv").write_text("\n".join(lines))
    assert any("go back from 3 to 2" in note for note in lab.load(tmp_path / "run.csv").notes)
