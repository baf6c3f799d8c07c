"""verl's rollouts, validations and metrics, written as its own code writes them and read back."""

import json
import shutil
from pathlib import Path

import pytest

import lab
from lab.errors import InputError
from lab.logs import SCALARS, bundled
from tests.logs.writers import VERL_NAMES, framed_event, source, tensorboard, verl, verl_metrics

SAME = ["step", "prompt", "group", "rollout", "completion", "reward"]
UIDS = ["", "u{step}-{group}", "u{step}_{group}_{rollout}_0"]


@pytest.mark.parametrize("uid", UIDS)
def test_rollouts_written_and_read_back_are_the_same(tmp_path: Path, uid: str) -> None:
    table = source(3, 12)
    again = lab.load(verl(table, tmp_path / "rollouts", uid=uid))
    assert again.frame.drop("score").select(SAME).equals(table.frame.select(SAME))
    assert (again.trainer, again.reward_columns, again.group_size) == ("verl", ("score",), 8)
    assert not again.has_advantages and again.evaluation.is_empty()


@pytest.mark.parametrize("uid", UIDS)
def test_a_validation_is_marked(tmp_path: Path, uid: str) -> None:
    """Told by the key that repeats the score, or by the folder's name."""
    table = source(3)
    alone = lab.load(verl(table, tmp_path / "dump", uid=uid, validation=True))
    assert alone.frame.is_empty() and alone.evaluation.select(SAME).equals(table.frame.select(SAME))
    named = lab.load(verl(table, tmp_path / "val_data", uid=uid))
    assert named.evaluation.select(SAME).equals(table.frame.select(SAME))
    trained = lab.load(verl(table, tmp_path / "train_rollouts", uid=uid, validation=True))
    assert trained.evaluation.is_empty() and trained.frame.select(SAME).equals(table.frame.select(SAME))


def test_rollouts_validations_and_metrics_of_one_run(tmp_path: Path) -> None:
    table = source(1, 2, 3)
    verl(table, tmp_path / "rollout", uid=UIDS[2])
    verl(source(2), tmp_path / "validation", uid="v" + UIDS[2], validation=True)
    verl_metrics(table, tmp_path / "experiment.jsonl")
    again = lab.load(tmp_path)
    assert again.frame.select(SAME).equals(table.frame.select(SAME))
    assert again.evaluation.select(SAME).equals(source(2).frame.select(SAME))
    common = [name for name in table.metrics.columns if name in SCALARS and name not in ("reward_std", "zero_std")]
    assert again.metrics.select("step", *common).equals(table.metrics.select("step", *common))
    assert {"entropy", "grad_norm", "length", "loss", "truncated"} <= set(common)
    assert any("The metrics are those of experiment.jsonl" in note for note in again.notes)
    assert lab.load(tmp_path / "rollout").metrics.equals(again.metrics)


def test_metrics_of_a_tracker_beside_the_rollouts(tmp_path: Path) -> None:
    """Where there is one such folder; which of several is this run's, nothing tells."""
    verl(source(1), tmp_path / "rollout")
    place = tmp_path / "tensorboard_log" / "project"
    tensorboard(source(), place / "run", VERL_NAMES)
    for path in (tmp_path, tmp_path / "rollout"):
        table = lab.load(path)
        assert table.metrics.height == 12 and "entropy" in table.metrics.columns
        assert any("that tensorboard keeps in tensorboard_log/project/run" in note for note in table.notes)
    tensorboard(source(), place / "other", VERL_NAMES)
    assert lab.load(tmp_path).metrics.is_empty()
    shutil.rmtree(place / "other")
    bad = b"\x09" + bytes(8) + b"\x10" + b"\xff" * 12
    (place / "run" / "events.out.tfevents.1.host").write_bytes(framed_event(bad))
    assert any("project/run are left out" in note for note in lab.load(tmp_path).notes)


def test_metrics_alone(tmp_path: Path) -> None:
    """A NaN is null in the file; a last line that is cut off is left out."""
    file = verl_metrics(source(), tmp_path / "run.jsonl")
    lines = [{"step": 13, "data": {"actor/grad_norm": None, "training/global_step": 13}}]
    file.write_text(file.read_text() + json.dumps(lines[0]) + '\n{"step":14,"da')
    for path in (tmp_path, file):
        table = lab.load(path)
        assert table.frame.is_empty() and table.metrics["step"].to_list() == list(range(1, 14))
        last = table.metrics.row(12, named=True)
        assert last["grad_norm"] != last["grad_norm"] and last["loss"] is None
        assert any("has no rollouts; trainer.rollout_data_dir of verl writes them" in note for note in table.notes)
        assert any("last line of run.jsonl is left out" in note for note in table.notes)


def test_a_step_that_is_still_written_is_left_out_of_a_growing_log(tmp_path: Path) -> None:
    verl(source(1, 2), tmp_path)
    file = tmp_path / "2.jsonl"
    file.write_text(file.read_text()[:-9])
    table = lab.load(tmp_path, growing=True)
    assert table.steps.tolist() == [1]
    assert any("not written to its end yet: 2.jsonl" in note for note in table.notes)
    assert lab.load(tmp_path).frame.height == 127


def test_of_a_rollout_with_several_outputs_the_last_is_read(tmp_path: Path) -> None:
    rows = [
        {"input": "p", "output": f"{r}.{turn}", "score": float(turn), "step": 1, "uid": f"a_b_{r}_{turn}"}
        for r in range(2)
        for turn in range(r + 2)
    ]
    (tmp_path / "1.jsonl").write_text("\n".join(map(json.dumps, rows)))
    table = lab.load(tmp_path)
    assert table.frame["completion"].to_list() == ["0.1", "1.2"]
    assert any("3 rows are earlier outputs" in note for note in table.notes)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "1.jsonl").write_text('{"input": "p", "output": "o", "step": 1}\n')
    with pytest.raises(InputError, match="a rollout log of verl without scores; it has no key 'score'"):
        lab.load(tmp_path)


def test_the_bundled_log() -> None:
    table = lab.load(bundled()["verl"])
    assert (table.trainer, table.group_size) == ("verl", 8)
    assert table.frame.select(SAME).equals(source(1, 2, 3, 4).frame.select(SAME))
    assert table.evaluation["step"].unique().to_list() == [2, 4] and table.metrics.height == 12
