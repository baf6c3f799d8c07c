"""TRL's log wherever it lies: metrics without completions, checkpoints, a repository of the Hub."""

import shutil
from pathlib import Path

import pytest

import lab
from lab.errors import InputError
from lab.logs import bundled
from tests.logs.writers import source, trl_state

TWO = bundled()["two_rewards"]


@pytest.mark.parametrize("name", ["", "trainer_state.json", "checkpoint-3", "checkpoint-12/trainer_state.json"])
def test_metrics_without_completions(tmp_path: Path, name: str) -> None:
    """The file, the run's folder, a checkpoint."""
    run = trl_state(source(), tmp_path / "run")
    for step in (3, 12):
        trl_state(source(), run / f"checkpoint-{step}")
    table = lab.load(run / name)
    assert table.metrics.equals(source().metrics) and table.frame.is_empty()
    assert (table.trainer, table.reward_columns) == ("trl", ())
    assert any("has no completions; log_completions=True of GRPOConfig writes them" in note for note in table.notes)
    assert lab.load(run / name, steps=[5]).metrics["step"].to_list() == [5]


def test_the_latest_checkpoint_is_read(tmp_path: Path) -> None:
    trl_state(source(), tmp_path / "checkpoint-9")
    shutil.copy(TWO / "trainer_state.json", trl_state(source(), tmp_path / "checkpoint-10"))
    table = lab.load(tmp_path)
    assert table.metrics.equals(source().metrics)
    (tmp_path / "checkpoint-10" / "trainer_state.json").write_text('{"log_history": [{"reward": 1.0')
    with pytest.raises(InputError, match=r"checkpoint-10.trainer_state\.json: the file: Invalid JSON"):
        lab.load(tmp_path)


def test_the_state_of_another_kind_of_training_is_no_log(tmp_path: Path) -> None:
    (tmp_path / "trainer_state.json").write_text('{"log_history": [{"loss": 1.0, "step": 1}]}')
    with pytest.raises(InputError, match="without any log that is known here"):
        lab.load(tmp_path)


@pytest.mark.parametrize("layout", ["", "data", "completions"])
def test_a_repository_of_the_hub(tmp_path: Path, layout: str) -> None:
    """The scheduler of `log_completions_hub_repo` puts the files into the repository; its cache is links to blobs."""
    cache = tmp_path / "datasets--me--logs"
    snapshot = cache / "snapshots" / "0f1e2d"
    shutil.copytree(TWO / "completions", cache / "blobs")
    (snapshot / layout).mkdir(parents=True)
    for file in sorted((cache / "blobs").iterdir()):
        blob = file.rename(cache / "blobs" / f"b{file.stem[-2:]}")
        (snapshot / layout / file.name).symlink_to(blob)
    (snapshot / "README.md").write_text("TRL Completion logs")
    for path in (snapshot, cache):
        table = lab.load(path, reward_columns=source().reward_columns, reward_weights=source().reward_weights)
        assert table.frame.equals(source().frame)
    for name in ("trainer_state.json", "run_info.json"):
        shutil.copy(TWO / name, snapshot / name)
    assert lab.load(snapshot).metrics.equals(source().metrics)
    assert lab.load(snapshot).reward_weights == source().reward_weights
