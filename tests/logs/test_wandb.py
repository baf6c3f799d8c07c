"""W&B's local run folder, written as its own code writes it and read back; and damaged ones."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lab
from lab.errors import InputError
from lab.logs import bundled
from lab.logs.wire import wandb_records
from tests.logs.writers import SAME, by_step, item, proto, source, wandb, wandb_file


def test_the_bundled_run() -> None:
    """wandb itself wrote it."""
    table = lab.load(bundled()["wandb"])
    assert (table.trainer, table.group_size, table.reward_weights) == ("trl", 8, (1.0, 0.5))
    assert table.frame.select(SAME).equals(source(1, 2, 3, 4).frame.select(SAME))
    assert table.metrics.equals(source().metrics)


@pytest.mark.parametrize(
    "inner", ["", "wandb", "wandb/offline-run-1-id/files", "wandb/offline-run-1-id/files/media/table"]
)
def test_written_and_read_back_are_the_same(tmp_path: Path, inner: str) -> None:
    run = wandb(source(2, 3), tmp_path / "wandb" / "offline-run-1-id")
    (tmp_path / "wandb" / "latest-run").symlink_to(run)
    table = lab.load(tmp_path / inner)
    assert table.frame.select(SAME).equals(source(2, 3).frame.select(SAME))
    assert table.metrics.equals(source().metrics)
    assert table.reward_weights == (1.0, 0.5)
    assert any("Group size 8 from the settings that W&B keeps" in note for note in table.notes)


def test_weights_stand_in_the_order_of_the_rewards(tmp_path: Path) -> None:
    table = source(2)
    other = replace(table, reward_columns=table.reward_columns[::-1], reward_weights=table.reward_weights[::-1])
    again = lab.load(wandb(other, tmp_path))
    assert (again.reward_columns, again.reward_weights) == (("starts_with_digit", "digit_fraction"), (0.5, 1.0))
    assert again.frame["reward"].equals(table.frame["reward"])


def test_one_file_of_a_run(tmp_path: Path) -> None:
    run = wandb(source(2, 3), tmp_path)
    table = lab.load(run / "files" / "media" / "table" / "completions_4_0f3.table.json")
    assert table.steps.tolist() == [3] and table.metrics.height == 12
    for part in ("files", "run-id.wandb"):
        shutil.rmtree(run / part, ignore_errors=True)
        table = lab.load(run / "run-id.wandb")
        assert table.metrics.equals(source().metrics)
    assert table.frame.is_empty() and any("has no table of rollouts" in note for note in table.notes)


def test_tables_alone(tmp_path: Path) -> None:
    run = wandb(source(2, 3), tmp_path)
    (run / "run-id.wandb").unlink()
    table = lab.load(run)
    assert table.frame.select(SAME).equals(source(2, 3).frame.with_columns(reward=table.frame["reward"]).select(SAME))
    assert table.metrics.is_empty()
    assert any("they stand in the run's .wandb file; the tables are all there is" in note for note in table.notes)


def test_the_summary_gives_the_last_values(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    summary = {"train/global_step": 7, "train/reward": 0.5, "train/kl": "NaN", "_step": 9, "_wandb": {"runtime": 3}}
    (tmp_path / "files" / "wandb-summary.json").write_text(json.dumps(summary))
    table = lab.load(tmp_path)
    assert table.metrics.select("step", "reward").rows() == [(7, 0.5)]
    assert any("wandb-summary.json gives their last values" in note for note in table.notes)


def test_rows_of_an_evaluation_are_marked(tmp_path: Path) -> None:
    """A second table of the step, from the same queue: the last 16 rows are new."""
    run = wandb(source(1, 2), tmp_path)
    rows = next(by_step(source(9)))[1][:16]
    trained = next(by_step(source(2)))[1]
    columns = ["step", "prompt", "completion", "digit_fraction", "starts_with_digit", "advantage"]
    data = [[2, *(row[c] for c in columns[1:])] for row in (trained + rows)[-64:]]
    table = run / "files" / "media" / "table" / "completions_99_0f.table.json"
    table.write_text(json.dumps({"columns": columns, "data": data}))
    again = lab.load(run)
    assert again.frame.select(SAME).equals(source(1, 2).frame.select(SAME))
    assert again.evaluation["completion"].to_list() == [row["completion"] for row in rows]


def test_samples_of_verl(tmp_path: Path) -> None:
    columns = ["step", "input_1", "output_1", "score_1", "input_2", "output_2", "score_2"]
    folder = tmp_path / "media" / "table" / "val"
    folder.mkdir(parents=True)
    for at in (0, 10):
        data = [[step, "p", f"a{step}", 0.5, "q", "b", float("nan")] for step in (0, 10)[: 1 + at // 10]]
        (folder / f"generations_{at}_1f.table.json").write_text(json.dumps({"columns": columns, "data": data}))
    (folder / "other_1_1f.table.json").write_text(json.dumps({"columns": ["x"], "data": [[1]]}))
    entries = [
        {"training/global_step": 1, "actor/entropy": "NaN", "_step": 1},
        {"critic/rewards/mean": 0.5, "_step": 2},
    ]
    records = [proto((2, proto(*((1, item(k, v)) for k, v in entry.items())))) for entry in entries]
    wandb_file(records, tmp_path / "run-x.wandb")
    table = lab.load(tmp_path)
    assert table.trainer == "verl" and table.frame.is_empty() and table.reward_columns == ("score",)
    assert table.evaluation.select("step", "prompt", "completion", "score").rows() == [
        (0, "p", "a0", 0.5), (0, "q", "b", None), (10, "p", "a10", 0.5), (10, "q", "b", None)
    ]  # fmt: skip
    assert table.metrics["step"].to_list() == [1] and table.metrics["entropy"].is_nan().all()
    assert any("hold no rollouts are left out: other" in note for note in table.notes)


def test_a_run_that_is_still_written_and_damaged_ones(tmp_path: Path) -> None:
    run = wandb(source(2, 3), tmp_path)
    data = (run / "run-id.wandb").read_bytes()
    (run / "run-id.wandb").write_bytes(data[:-3])
    (run / "files" / "media" / "table" / "completions_9_0f.table.json").write_text('{"columns": ["step"')
    table = lab.load(run)
    assert table.metrics.equals(source().metrics[:11].select(table.metrics.columns)) and table.frame.height == 128
    assert any("is no whole record" in note for note in table.notes)
    assert any(
        "completions_9_0f.table.json is left out: it is no table, half written perhaps" in n for n in table.notes
    )
    place = data.index(b"train/entropy")
    (run / "run-id.wandb").write_bytes(data[:place] + b"T" + data[place + 1 :])
    table = lab.load(run)
    assert table.metrics["step"].to_list() == list(range(2, 13))
    assert any("1 records with a wrong checksum are left out" in note for note in table.notes)
    (run / "run-id.wandb").write_bytes(b"nothing")
    assert any("run-id.wandb is left out: it does not begin with :W&B" in note for note in lab.load(run).notes)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 70_000), max_size=4))
def test_records_of_any_length_come_back(tmp_path_factory: pytest.TempPathFactory, lengths: list[int]) -> None:
    records = [bytes([i]) * length for i, length in enumerate(lengths)]
    file = wandb_file(records, tmp_path_factory.getbasetemp() / "x.wandb")
    assert wandb_records(file.read_bytes()) == (records, [])


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_damage_is_an_error_or_a_table(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.getbasetemp() / "damaged"
    shutil.rmtree(folder, ignore_errors=True)
    columns = ["step", "prompt", "completion", "acc", "advantage"]
    table = bytearray(
        json.dumps({"columns": columns, "data": [[1, "p", "a", 0.5, 1.0], [1, "p", "b", 0.0, -1]]}).encode()
    )
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(table) - 1))
        table[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    folder.mkdir()
    (folder / "completions_1_0f.table.json").write_bytes(table)
    wandb_file([data.draw(st.binary(max_size=40)), proto((2, data.draw(st.binary(max_size=30))))], folder / "run.wandb")
    try:
        assert lab.load(folder).frame.height > 0
    except InputError as reason:
        assert str(reason).isprintable()
