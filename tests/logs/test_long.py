"""A long log, whose texts stay in its files, gets the answers that it gets with its texts in memory."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import lab
from lab.errors import InputError
from lab.logs import bundled
from lab.logs.browsing import at_step, groups_of, rollouts_of
from lab.logs.diagnosis import Diagnosis
from lab.logs.readers.lab import save_log
from lab.logs.texts import SHORT
from lab.logs.what_if import woken
from tests.logs.logs import Write
from tests.logs.test_reports import REPORTS

LOGS = {p.parent.parent.name: p.parent.parent for p in REPORTS.glob("*/completions/completions_00001.parquet")}
LOGS |= {name: path for name, path in bundled().items() if list(path.glob("completions/*.parquet"))}


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A log as it is, and as if it were long."""

    def opened(path: Path) -> tuple[Diagnosis, Diagnosis]:
        monkeypatch.setattr("lab.logs.formats.LONG_ROWS", 1_000_000)
        usual = lab.diagnose(path, [])
        monkeypatch.setattr("lab.logs.formats.LONG_ROWS", 0)
        return usual, lab.diagnose(path, [])

    return opened


@pytest.mark.parametrize("name", sorted(LOGS))
def test_the_same_is_found(both: Any, name: str) -> None:
    usual, long = both(LOGS[name])
    assert long.table.frame.schema["completion"] == SHORT
    assert usual.table.frame.schema["completion"] == pl.String
    assert [(f.severity, str(f), f.share) for f in long.findings] == [
        (f.severity, str(f), f.share) for f in usual.findings
    ]
    for one, other in zip(usual.findings, long.findings, strict=True):
        assert_frame_equal(one.rows, other.rows)
    assert [n for n in long.table.notes if not n.startswith("The log is long")] == list(usual.table.notes)
    assert_frame_equal(long.table.with_texts(long.table.frame), usual.table.frame)
    assert_frame_equal(long.table.with_texts(long.table.evaluation), usual.table.evaluation)


def test_texts_are_read_again_where_they_are_shown(both: Any, tmp_path: Path) -> None:
    usual, long = both(bundled()["two_rewards"])
    step = int(usual.table.steps[1])
    for options in ({}, {"step": step}, {"find": "wHAT IS"}, {"find": "of 3 to 1", "order": "log"}):
        assert_frame_equal(groups_of(long, **options), groups_of(usual, **options))
    assert groups_of(long, find="no such text").is_empty()
    assert_frame_equal(rollouts_of(long, step, 1, ["dr_grpo"]), rollouts_of(usual, step, 1, ["dr_grpo"]))
    assert at_step(long, step, []).table.frame["completion"].dtype == pl.String
    assert_frame_equal(woken(long, ["gdpo"]), woken(usual, ["gdpo"]))
    written = [save_log(found.table, tmp_path / f"{i}.jsonl").read_text() for i, found in enumerate((usual, long))]
    assert written[0] == written[1]
    assert "prompt" in json.loads(written[0].splitlines()[0])


def test_a_log_in_the_labs_own_form(both: Any, tmp_path: Path) -> None:
    frame = lab.load(bundled()["two_rewards"]).frame.rename({"reward": "reward/total"})
    some = pl.when(pl.int_range(pl.len()) > 20).then("prompt").alias("prompt")
    usual, long = both(save_log(frame.with_columns(some), tmp_path / "run.parquet"))
    assert long.table.frame.schema["prompt"] == SHORT
    assert list(map(str, long.findings)) == list(map(str, usual.findings))
    assert_frame_equal(long.table.with_texts(long.table.frame), usual.table.frame)


def test_conversations_become_lines_of_role_and_content(both: Any, write: Write) -> None:
    said = [[{"role": "user", "content": f"{i}?"}, {"role": "assistant", "content": None}] for i in range(12)]
    run = write(columns=lambda frame: frame.with_columns(completion=pl.Series(said)))
    usual, long = both(run)
    assert usual.table.frame["completion"][3] == "user: 3?\nassistant: "
    assert_frame_equal(long.table.with_texts(long.table.frame), usual.table.frame)


def test_missing_texts_stay_missing(both: Any, write: Write) -> None:
    some = pl.when(pl.int_range(pl.len()) % 3 > 0).then("completion").alias("completion")
    usual, long = both(write(columns=lambda frame: frame.with_columns(some)))
    assert long.table.frame["completion"].null_count() == usual.table.frame["completion"].null_count() == 8
    assert_frame_equal(long.table.with_texts(long.table.frame), usual.table.frame)


def test_many_bytes_of_text_make_a_log_long(monkeypatch: pytest.MonkeyPatch, write: Write) -> None:
    monkeypatch.setattr("lab.logs.formats.LONG_TEXTS", 100)
    monkeypatch.setattr("lab.logs.formats.MAX_BYTES", 10_000)
    run = write(
        columns=lambda frame: frame.with_columns(completion=pl.format("{} long text " + "x" * 500, "completion"))
    )
    assert lab.load(run).frame.schema["completion"] == SHORT
    monkeypatch.setattr("lab.logs.formats.LONG_TEXTS", 2**29)
    with pytest.raises(InputError, match="are read at once"):
        lab.load(run)


def test_files_that_change_after_they_were_read(both: Any, write: Write) -> None:
    run = write()
    _, long = both(run)
    file = run / "completions" / "completions_00002.parquet"
    pl.read_parquet(file).with_columns(pl.lit("other").alias("completion")).write_parquet(file)
    with pytest.raises(InputError, match="texts are not those that were there"):
        rollouts_of(long, 2, 0)
    file.unlink()
    with pytest.raises(InputError, match="does not exist"):
        rollouts_of(long, 2, 0)
