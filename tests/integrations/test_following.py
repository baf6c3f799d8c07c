"""A run that is diagnosed while it trains: each finding is said once, and no trouble with the log ends the run."""

import gc
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.errors import InputError
from lab.integrations.following import Follower, diagnosing, track


def dump(folder: Path, step: int, scores: list[float]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{"input": f"{step} {i // 4}", "output": f"{step}.{i}", "gts": "", "score": s, "step": step}
            for i, s in enumerate(scores)]  # fmt: skip
    (folder / f"{step}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_each_finding_is_said_once_and_ends_the_run_where_that_is_asked_for(tmp_path: Path) -> None:
    said: list[str] = []
    follower = Follower(tmp_path / "run", stop_on="alarm", say=said.append)
    assert not follower.look() and not follower.look()
    assert len(said) == 1 and "cannot be diagnosed yet" in said[0] and "does not exist" in said[0]
    dump(tmp_path / "run", 1, [1.0] * 64)
    assert follower.look() and follower.look()
    alarms = [each for each in said if "ALARM" in each]
    assert len(alarms) == 1 and "16 of 16 groups" in alarms[0] and follower.found is not None
    with pytest.raises(InputError, match="alarm, warning, note"):
        Follower(tmp_path, stop_on="always")


class Tracking:
    """As verl's: a dict of backends, each called with data and step."""

    def __init__(self, project: str) -> None:
        self.project, self.logger = project, dict[str, Any]()

    def log(self, data: Any, step: int) -> None:
        for each in self.logger.values():
            each.log(data=data, step=step)


def test_verl_calls_it_every_few_steps(tmp_path: Path) -> None:
    said: list[str] = []
    own = type("Own", (Tracking,), {})
    track(tmp_path / "rollouts", every=2, say=said.append, into=own)
    tracking = own("mine")
    assert tracking.project == "mine" and "advlab" in tracking.logger
    dump(tmp_path / "rollouts", 1, [1.0] * 64)
    tracking.log({"x": 1.0}, 1)
    assert said == []
    tracking.log({"x": 1.0}, 2)
    assert any("ALARM" in each for each in said)
    dump(tmp_path / "rollouts", 2, [2.0, 1.0] * 32)
    (tmp_path / "rollouts" / "3.jsonl").write_text('{"step": 3}\n')
    tracking.log({"x": 1.0}, 3)
    before = len(said)
    del tracking
    gc.collect()
    assert len(said) == before + 1 and "cannot be diagnosed" in said[-1]
    with pytest.raises(InputError, match="every"):
        track(tmp_path, every=0, into=own)


def test_the_callback_keeps_the_metrics_and_stops_the_training(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from transformers.trainer_callback import TrainerState

    said: list[str] = []
    callback = diagnosing(every=2, stop_on="note", say=said.append)
    args = SimpleNamespace(output_dir=str(tmp_path / "run"), world_size=1)
    control = SimpleNamespace(should_training_stop=False)
    logged = {"step": 1, "loss": 0.5, "reward": 0.5, "reward_std": 0.5, "frac_reward_zero_std": 0.25}
    state = TrainerState(log_history=[logged], global_step=1, is_world_process_zero=True)
    callback.on_log(args, state, control)
    assert not (tmp_path / "run").exists()
    callback.on_log(args, state, control)
    assert (tmp_path / "run" / "trainer_state.json").exists() and control.should_training_stop
    state.is_world_process_zero = False
    callback.on_log(args, state, control)
    callback.on_log(args, state, control)
    with pytest.raises(InputError, match="every"):
        diagnosing(every=0)


def test_a_training_shorter_than_a_look_is_diagnosed_at_its_end(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from transformers.trainer_callback import TrainerState

    callback = diagnosing(every=10)
    args, control = SimpleNamespace(output_dir=str(tmp_path / "run"), world_size=1), SimpleNamespace()
    logged = {"step": 1, "loss": 0.5, "reward": 0.5, "reward_std": 0.5, "frac_reward_zero_std": 0.25}
    state = TrainerState(log_history=[logged], global_step=1, is_world_process_zero=True)
    callback.on_log(args, state, control)
    assert callback.follower is None
    callback.on_train_end(args, state, control)
    assert callback.follower.found is not None


def test_every_process_stops_where_the_first_one_found_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("transformers")
    from torch import distributed

    sent: list[Any] = []

    def broadcast(found: list[bool], src: int) -> None:
        sent.append((list(found), src))
        found[:] = [True]

    monkeypatch.setattr(distributed, "broadcast_object_list", broadcast)
    args = SimpleNamespace(output_dir=str(tmp_path / "run"), world_size=2)
    stopped = []
    for stop_on in ("alarm", ""):
        control = SimpleNamespace(should_training_stop=False)
        second = SimpleNamespace(is_world_process_zero=False)
        diagnosing(every=1, stop_on=stop_on).on_log(args, second, control)
        stopped.append(control.should_training_stop)
    assert stopped == [True, False] and sent == [([False], 0)] and not (tmp_path / "run").exists()
