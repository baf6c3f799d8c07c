"""NeMo-RL's rollouts, written as its own code writes them and read back."""

import json
from pathlib import Path

import polars as pl
import pytest

import lab
from lab.errors import InputError
from lab.logs import bundled
from tests.logs.writers import nemo_rl, nemo_rl_validation, source, tensorboard, trl_name

SAME = ["step", "prompt", "group", "rollout", "completion", "reward", "advantage"]


@pytest.mark.parametrize("filtered", [False, True])
def test_written_and_read_back_are_the_same(tmp_path: Path, filtered: bool) -> None:
    """Under dynamic sampling the rewards of rollouts that were dropped stand there, too."""
    table = source(2, 10)
    again = lab.load(nemo_rl(table, tmp_path, filtered=filtered))
    assert again.frame.drop("advantage").select(SAME[:-1]).equals(table.frame.select(SAME[:-1]))
    assert (again.frame["advantage"] - table.frame["advantage"]).abs().max() < 1e-12
    assert (again.trainer, again.reward_columns, again.group_size) == ("nemo-rl", ("total",), 8)
    lengths = table.frame["completion"].str.len_chars().clip(1)
    assert again.frame["length"].equals(lengths, check_dtypes=False, check_names=False)
    assert any("2 lines have no reward of their own" in note for note in again.notes) == filtered
    assert lab.load(tmp_path, steps=[10]).steps.tolist() == [10]
    assert lab.load(tmp_path / "train_data_step2.jsonl").steps.tolist() == [2]
    with pytest.raises(InputError, match="none of the wanted steps; it has 2, 10"):
        lab.load(tmp_path, steps=[3])


def test_validations_and_the_metrics_of_a_tracker_beside(tmp_path: Path) -> None:
    run = nemo_rl_validation(source(2), nemo_rl(source(1, 2), tmp_path))
    names = {key: f"train/{trl_name(key)}" for key in source().metrics.columns if key != "step"}
    tensorboard(source(), run / "tensorboard", names)
    table = lab.load(run)
    assert table.frame.select("step").equals(source(1, 2).frame.select("step"))
    assert table.evaluation.select(SAME[:-1]).equals(source(2).frame.select(SAME[:-1]))
    assert table.metrics.height == 12 and any(
        "those that tensorboard keeps in tensorboard" in note for note in table.notes
    )


def test_conversations_of_several_turns(tmp_path: Path) -> None:
    """Each turn is answered by the environment; what stands before the first turn is the prompt."""
    line = {
        "content": [["system", "ask", "one", "env", "two", "env"]],
        "rewards": [0.5],
        "token_ids": [[7, 7, 1, 2, 1, 2]],
    }
    line |= {"token_loss_mask": [[0, 0, 1, 0, 1, 0]], "advantages": [[0, 0, 1.0, 0, 3.0, 0]]}
    (tmp_path / "train_data_step1.jsonl").write_text(json.dumps(line) + "\n" + json.dumps(line) + '\n{"content"')
    table = lab.load(tmp_path)
    row = table.frame.row(0, named=True)
    assert (row["prompt"], row["completion"], row["advantage"], row["length"]) == (
        "system\nask", "one\nenv\ntwo\nenv", 2.0, 2
    )  # fmt: skip
    assert table.group_size == 2 and any("last line of train_data_step1.jsonl" in note for note in table.notes)


def test_equal_prompts_are_one_group_as_in_the_trainer(tmp_path: Path) -> None:
    nemo_rl(source(1), tmp_path)
    file = tmp_path / "train_data_step1.jsonl"
    lines = file.read_text().splitlines()
    file.write_text("\n".join(lines[::-1][1::2] + lines[::-1][::2]) + "\n")
    table = lab.load(tmp_path)
    assert table.group_size == 8 and table.frame.group_by("group").agg(pl.col("prompt").n_unique())["prompt"].max() == 1


@pytest.mark.parametrize(
    "line", [{"content": [["p", "a"]], "advantages": [[1.0]]}, {"rewards": [], "content": 3}, {"rewards": ["x"]}]
)
def test_what_is_missing_is_named(tmp_path: Path, line: dict[str, object]) -> None:
    (tmp_path / "train_data_step1.jsonl").write_text(json.dumps(line))
    with pytest.raises(InputError, match="a log of NeMo-RL without rewards"):
        lab.load(tmp_path)


def test_the_bundled_log() -> None:
    table = lab.load(bundled()["nemo_rl"])
    assert table.frame.select(SAME[:-1]).equals(source(1, 2).frame.select(SAME[:-1]))
    assert table.evaluation["step"].unique().to_list() == [2]
