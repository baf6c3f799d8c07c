"""Logs without rollouts, with evaluations among them, and with groups of different sizes."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import lab
from lab.errors import InputError
from lab.logs import Known, Raw, contract
from lab.logs.rules import advantages_of
from lab.logs.table import RolloutTable


@pytest.fixture
def load(tmp_path: Path) -> Iterator[object]:
    """`load(raw, **options)` is the table that is made of what a reader hands over."""
    before = contract.readers()

    def load(raw: Raw, **options: object) -> RolloutTable:
        lab.reader("handed-over", recognises=lambda path: False, holds="")(lambda path, steps: raw)
        return lab.load(tmp_path, reader="handed-over", **options)  # type: ignore[arg-type]

    yield load
    contract._READERS.clear()
    contract._READERS.update(before)


METRICS = pl.DataFrame({"step": [1, 2, 3], "grad_norm": [0.1, 0.2, 0.3]})


def test_a_log_of_metrics_alone(load) -> None:
    table = load(Raw(pl.DataFrame(), metrics=METRICS))
    assert (table.frame.height, table.group_size, table.reward_columns) == (0, None, ())
    assert table.metrics.equals(METRICS) and table.notes == ("Metrics of 3 steps, without any rollouts.",)
    assert load(Raw(pl.DataFrame(), metrics=METRICS), steps=[2, 9]).metrics.rows() == [(2, 0.2)]
    found = lab.diagnose(table)
    assert (found.groups.height, found.phantoms, found.best) == (0, 0, None)
    with pytest.raises(InputError, match="has none of the wanted steps; it has 3: 1, 2, 3"):
        load(Raw(pl.DataFrame(), metrics=METRICS), steps=[9])
    with pytest.raises(InputError, match="neither rollouts nor metrics"):
        load(Raw(pl.DataFrame()))
    with pytest.raises(InputError, match="has no rollouts of any step"):
        table.at(1)
    with pytest.raises(InputError, match="the steps have no prompts"):
        _ = table.rewards


def rows(*sizes: int, step: int = 1, evaluation: bool = False) -> pl.DataFrame:
    """Groups of these sizes; the rewards count up."""
    prompts = [f"p{i}" for i, size in enumerate(sizes) for _ in range(size)]
    values = pl.int_range(len(prompts), eager=True).cast(pl.Float64) * step
    return pl.DataFrame({"step": step, "prompt": prompts, "completion": "c", "score": values,
                         "advantage": values / 8, "evaluation": evaluation})  # fmt: skip


def test_evaluation_rows_are_kept_apart(load, tmp_path: Path) -> None:
    frame = pl.concat([rows(4, 4), rows(2, 2, evaluation=True), rows(4, 4, step=2)])
    table = load(Raw(frame, metrics=METRICS))
    assert (table.group_size, table.frame.height, table.evaluation.height) == (4, 16, 4)
    assert table.evaluation.columns == table.frame.columns and "evaluation" not in table.frame.columns
    assert table.evaluation["group"].to_list() == [0, 0, 1, 1]
    assert any("4 rows of step 1 are evaluation rows" in note for note in table.notes)
    assert lab.diagnose(table, ["grpo"]).groups.height == 4
    again = lab.load(lab.save_log(table, tmp_path / "run.csv"))
    assert again.frame.equals(table.frame) and again.evaluation.equals(table.evaluation)
    alone = load(Raw(frame.filter("evaluation")))
    assert (alone.frame.height, alone.group_size, alone.evaluation.height) == (0, None, 4)
    assert lab.diagnose(alone).groups.height == 0


def test_groups_of_different_sizes(load) -> None:
    table = load(Raw(pl.concat([rows(4, 3, 4), rows(4, 4, step=2)])))
    assert table.group_size is None
    assert table.frame["group"].to_list() == [0] * 4 + [1] * 3 + [2] * 4 + [0] * 4 + [1] * 4
    batch = table.at(1)
    assert batch.present.sum(axis=-1).tolist() == [[4, 3, 4]]
    assert np.isnan(batch.rewards[0, 1, 3, 0]) and batch.rewards[0, 1, :3, 0].tolist() == [4.0, 5.0, 6.0]
    assert [b.present.shape for b in table.batches()] == [(1, 3, 4), (1, 2, 4)]
    given = advantages_of(table, "dr_grpo")
    np.testing.assert_allclose(given[:11], [-1.5, -0.5, 0.5, 1.5, -1, 0, 1, -1.5, -0.5, 0.5, 1.5])
    assert lab.diagnose(table, ["dr_grpo"]).groups.height == 5
    assert load(Raw(pl.concat([rows(4, 3, 4)])), incomplete="drop").group_size == 4
    with pytest.raises(InputError, match="the prompt 'p1' stands in 3 consecutive rows"):
        load(Raw(rows(4, 3, 4)), group_size=4)


def test_settings_that_the_rows_contradict_are_no_error(load) -> None:
    table = load(Raw(rows(4, 4, 4), Known(group_size=8)))
    assert table.group_size == 4


def test_groups_too_uneven_to_lie_side_by_side(load) -> None:
    table = load(Raw(rows(*[1] * 2000, 2000), Known(groups="prompt")))
    with pytest.raises(InputError, match="step 1: 2001 groups, the largest of 2000 rollouts, are too uneven"):
        table.at(1)
    assert "too uneven" in lab.diagnose(table, ["grpo"]).skipped["grpo"]


def test_what_a_log_says_of_its_rollouts(load) -> None:
    frame = rows(4, 4).with_columns(length=pl.lit(5), truncated=pl.lit(False), note=pl.lit("x"))
    table = load(Raw(frame))
    assert table.reward_columns == ("score",)
    assert table.logged("length").to_list() == [5] * 8 and table.logged("truncated").to_list() == [False] * 8
    assert table.logged("note") is None and table.logged("tokens") is None
    rewarded = load(Raw(frame.with_columns(length=pl.lit(0.5)), Known(rewards=("length",))))
    assert rewarded.reward_columns == ("length",) and rewarded.logged("length") is None


@pytest.mark.parametrize("groups", [1, 3])
def test_evaluations_in_groups_of_the_same_size_are_told_by_their_mean(load, groups: int) -> None:
    rng = np.random.default_rng(groups)
    frames = [rows(4, 4, 4, step=s).drop("evaluation").with_columns(score=rng.random(12)) for s in (1, 2, 3)]
    means = [f["score"].mean() for f in frames]
    there = frames[1]["score"].tail(4 * groups).mean()
    metrics = pl.DataFrame({"step": [1, 2, 3], "reward": [means[0], 0.9, means[2]], "eval_reward": [None, there, None]})
    table = load(Raw(pl.concat(frames), metrics=metrics))
    assert (table.frame.height, table.evaluation.height) == (36 - 4 * groups, 4 * groups)
    assert table.evaluation["reward"].mean() == pytest.approx(there)
    assert any("their mean reward is the eval_reward" in note for note in table.notes)
    own = metrics.with_columns(reward=pl.Series(means))
    assert load(Raw(pl.concat(frames), metrics=own)).evaluation.is_empty(), "the rows are those of the training"
    unknown = metrics.with_columns(eval_reward=pl.Series([None, 0.123, None]))
    table = load(Raw(pl.concat(frames), metrics=unknown))
    assert table.evaluation.is_empty() and any("step 2 may be of an evaluation" in note for note in table.notes)
    sparse = metrics.with_columns(step=pl.Series([0, 2, 4]))
    assert load(Raw(pl.concat(frames), metrics=sparse)).evaluation.is_empty(), "a mean over several steps"
