"""What `advlab bench logs` measures is a log like those of trainers."""

import pytest

import lab
from lab.bench import logs as bench


def test_the_rollouts_are_those_of_a_healthy_run_of_trl(tmp_path):
    found = lab.diagnose(bench.rollouts(tmp_path, 4 * bench.ROWS))
    assert found.table.trainer == "trl"
    assert found.table.frame.height == 512
    assert found.table.group_size == bench.GROUP
    assert found.table.reward_columns == ("correct", "format")
    assert found.best["rule"] == "grpo@trl"
    assert not [f for f in found.findings if f.severity == "alarm"]


def test_a_long_log_has_as_many_rollouts_of_other_texts(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "STEPS", 2)
    table = lab.load(bench.long_log(tmp_path, 5 * bench.ROWS))
    assert table.frame.height == 640 and table.steps.tolist() == [1, 2, 3, 4, 5]
    assert table.group_size == bench.GROUP and table.frame["completion"].n_unique() == 640
    assert table.repeats == ()


def test_the_metrics_are_of_as_many_steps_without_rollouts(tmp_path):
    table = lab.load(bench.scalars(tmp_path, 30))
    assert table.frame.is_empty()
    assert table.metrics["step"].to_list() == list(range(1, 31))
    assert {"reward", "grad_norm", "entropy"} <= set(table.metrics.columns)


def test_the_rate_is_compared_with_its_limit():
    row = bench._beside("a log", 2.0, "s", 4.0, 3)
    assert (row.reference, row.ratio) == ("4 s", pytest.approx(2.0))
