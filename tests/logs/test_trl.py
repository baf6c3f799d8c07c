"""TRL's log wherever it lies: metrics without completions, checkpoints, a repository of the Hub."""

import shutil
from pathlib import Path
from typing import Any

import pytest

import lab
from lab.errors import InputError
from lab.logs import bundled
from tests.logs.writers import by_step, source, trl, trl_state

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


def evaluations(count: int, size: int) -> list[list[dict[str, Any]]]:
    """The same prompts each time, with other answers."""
    first = next(by_step(source(9)))[1] + next(by_step(source(10)))[1]
    keys = ("completion", "digit_fraction", "starts_with_digit", "advantage")
    moved = [{**row, **{k: first[i - shift][k] for k in keys}} for shift in range(count) for i, row in enumerate(first)]
    return [moved[i * len(first) :][:size] for i in range(count)]


def test_rows_of_one_evaluation_are_told_by_its_mean_rewards(tmp_path: Path) -> None:
    """They stay in the queue until the next batch, and in the file of a step that generates none."""
    (rows,) = evaluations(1, 16)
    table = lab.load(trl(source(1, 2, 4), tmp_path, {2: rows}, idle=[3]))
    assert table.evaluation["completion"].to_list() == [row["completion"] for row in rows] * 2
    assert table.evaluation["step"].unique(maintain_order=True).to_list() == [2, 3]
    assert table.frame.filter(step=2).height == 48 and table.frame.filter(step=4).height == 64
    assert table.repeats == (3,)


@pytest.mark.parametrize("size", [16, 40, 64, 128])
def test_rows_of_two_evaluations_are_told_by_their_prompts(tmp_path: Path, size: int) -> None:
    """One that is as long as the queue or longer fills the file."""
    first, second = evaluations(2, size)
    table = lab.load(trl(source(1, 2, 3, 4), tmp_path, {2: first, 4: second}))
    assert table.evaluation["step"].to_list() == [2] * min(size, 64) + [4] * min(size, 64)
    assert table.evaluation["completion"].to_list() == [row["completion"] for row in first[-64:] + second[-64:]]
    assert set(table.steps) == ({1, 3} if size >= 64 else {1, 2, 3, 4})
    assert lab.load(tmp_path, steps=[1, 3]).evaluation.is_empty()


def test_without_the_metrics_of_an_evaluation_nothing_is_marked(tmp_path: Path) -> None:
    run = trl(source(1, 2), tmp_path, {2: evaluations(1, 16)[0]})
    (run / "trainer_state.json").unlink()
    assert lab.load(run).evaluation.is_empty()


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
