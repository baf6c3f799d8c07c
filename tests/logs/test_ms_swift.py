"""ms-swift's completions and metrics, written as its own code writes them and read back."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import lab
from lab.errors import InputError
from lab.logs import SCALARS, bundled
from tests.logs.writers import SAME, by_step, json_lines, ms_swift, ms_swift_ray, source


def evaluation(size: int) -> list[dict[str, Any]]:
    """Rows of step 9 as an evaluation."""
    return next(by_step(source(9)))[1][:size]


def test_written_and_read_back_are_the_same(tmp_path: Path) -> None:
    table = source(1, 2, 3)
    again = lab.load(ms_swift(table, tmp_path))
    assert again.frame.select(SAME).equals(table.frame.select(SAME))
    assert (again.trainer, again.group_size) == ("ms_swift", 8)
    assert (again.reward_columns, again.reward_weights) == (table.reward_columns, (1.0, 0.5))
    assert again.extra_columns == ("solution",)
    common = [name for name in table.metrics.columns if name in SCALARS or name.startswith("reward/")]
    assert again.metrics.select("step", *common).equals(table.metrics.head(3).select("step", *common))
    assert lab.load(tmp_path / "completions.jsonl").frame.equals(again.frame)


@pytest.mark.parametrize(
    ("weights", "read"), [([2.0, 0.1], (2.0, 0.1)), (None, (1.0, 1.0)), ([2.0], (1.0, 0.5)), ("x", (1.0, 0.5))]
)
def test_settings_give_the_group_size_and_the_weights(tmp_path: Path, weights: object, read: tuple[float, ...]) -> None:
    """Where they do not fit, the means in logging.jsonl give the weights."""
    ms_swift(source(1, 2, 3), tmp_path)
    (tmp_path / "args.json").write_text(json.dumps({"num_generations": 4, "reward_weights": weights}))
    table = lab.load(tmp_path)
    assert (table.group_size, table.reward_weights) == (4, read)
    assert any("Group size 4 from args.json" in note for note in table.notes)


def test_a_batch_that_serves_several_steps_is_read_once(tmp_path: Path) -> None:
    table = source(1, 3)
    again = lab.load(ms_swift(table, tmp_path, idle=[2, 4]))
    assert again.repeats == (2, 4)
    assert again.frame.select(SAME).equals(table.frame.select(SAME))


@pytest.mark.parametrize("size", [16, 64])
def test_rows_of_an_evaluation_are_marked(tmp_path: Path, size: int) -> None:
    """They push rows of the batch out of the queue, and stay in it until the next batch."""
    table = source(1, 2, 4)
    again = lab.load(ms_swift(table, tmp_path, {2: evaluation(size)}, idle=[3]))
    assert again.frame.select(SAME).equals(table.frame.select(SAME))
    assert again.evaluation["step"].unique().to_list() == [2]
    assert again.evaluation["completion"].to_list() == [row["completion"] for row in evaluation(size)]


def test_an_evaluation_at_a_step_that_logged_nothing_else(tmp_path: Path) -> None:
    again = lab.load(ms_swift(source(1, 4), tmp_path, {3: evaluation(16)}))
    assert again.steps.tolist() == [1, 4] and again.evaluation["step"].to_list() == [3] * 16


def test_a_run_that_was_resumed_is_read_as_it_went_on(tmp_path: Path) -> None:
    ms_swift(source(1, 2, 3), tmp_path)
    first = (tmp_path / "completions.jsonl").read_text()
    rows = [{**row, "step": 2} for row in evaluation(64)]
    ms_swift(lab.load(lab.save_log(_frame(rows), tmp_path / "again.csv")), tmp_path / "again")
    (tmp_path / "completions.jsonl").write_text(first + (tmp_path / "again" / "completions.jsonl").read_text())
    table = lab.load(tmp_path / "completions.jsonl")
    assert table.steps.tolist() == [1, 2]
    assert table.frame.filter(step=2)["completion"].to_list() == [row["completion"] for row in rows]
    assert any("The run was resumed at step 2" in note for note in table.notes)


def _frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    names = {"digit_fraction": "reward/digit_fraction", "starts_with_digit": "reward/starts_with_digit"}
    return pl.DataFrame(rows).drop("reward").rename(names)


def test_rollouts_of_the_ray_trainer(tmp_path: Path) -> None:
    table = source(1, 2)
    again = lab.load(ms_swift_ray(table, tmp_path))
    assert again.reward_columns == ("total",) and not again.has_advantages
    assert again.frame["total"].equals(table.frame["reward"], check_names=False)
    assert again.frame.select(SAME[:5]).equals(table.frame.select(SAME[:5]))


def test_missing_rewards_and_advantages(tmp_path: Path) -> None:
    """The line as a run without advantages writes it."""
    line = {"step": ["1"] * 4, "prompt": ["p"] * 4, "completion": list("abcd"), "acc": [0.0, 1.0, None, 1.0]}
    json_lines(tmp_path / "completions.jsonl", [{**line, "advantages": [None] * 4, "num_turns": [1]}])
    table = lab.load(tmp_path)
    assert table.reward_columns == ("acc",) and not table.has_advantages and table.group_size == 4
    assert any("1 of 4 rewards 'acc' are missing" in note for note in table.notes)
    assert any("not as long as the prompts are left out: num_turns" in note for note in table.notes)


def test_metrics_alone_with_a_line_half_written(tmp_path: Path) -> None:
    (tmp_path / "logging.jsonl").write_text('{"loss": 0.5, "kl": 0.1, "iteration": "3/100"}\n{"loss": 0.')
    for path in (tmp_path, tmp_path / "logging.jsonl"):
        table = lab.load(path)
        assert table.metrics.rows(named=True) == [{"step": 3, "kl": 0.1, "loss": 0.5}]
        assert any("has no completions.jsonl; log_completions of ms-swift writes it" in note for note in table.notes)
        assert any("last line of logging.jsonl is left out" in note for note in table.notes)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            {"step": ["1"], "prompt": ["p"], "completion": ["c"], "advantages": [0.0]},
            "a log of ms-swift without rewards",
        ),
        ({"gen_step": 1, "prompt": "p", "completion": "c"}, "a log of ms-swift without rewards"),
        (
            {"step": "1", "prompt": "p", "completion": "c", "acc": 1.0, "advantages": 0},
            "is no table with a list for each",
        ),
        (
            {"step": ["x"], "prompt": ["p"], "completion": ["c"], "acc": [1.0], "advantages": [0]},
            "table 1: step is 'x'; it must be a whole",
        ),
        (
            {"step": [[1]], "prompt": ["p"], "completion": ["c"], "acc": [1.0], "advantages": [0]},
            r"step is \[1\]; it must",
        ),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, line: dict[str, Any], words: str) -> None:
    (tmp_path / "completions.jsonl").write_text(json.dumps(line))
    with pytest.raises(InputError, match=words):
        lab.load(tmp_path)


def test_the_bundled_log() -> None:
    table = lab.load(bundled()["ms_swift"])
    assert table.trainer == "ms_swift"
    assert table.frame.select(SAME).equals(source(1, 2, 3, 4).frame.select(SAME))
