"""What another trainer's own code writes is read back as the rollouts that were written."""

import json
from pathlib import Path

import pytest

import lab
from lab.errors import InputError
from lab.logs.contract import reader_of
from tests.logs.trainers import WRITERS, open_instruct, rollouts, tokens


def failure(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        lab.load(path)
    return str(caught.value)


@pytest.mark.parametrize("trainer", WRITERS)
def test_a_log_of_a_trainer_is_the_table_that_was_written(tmp_path, trainer):
    written = rollouts()
    folder = WRITERS[trainer](tmp_path / "run", written)
    assert reader_of(folder).name == trainer
    table = lab.load(folder)
    assert table.trainer == trainer
    assert table.group_size == 4 and len(table.reward_columns) == 1 and table.reward_weights == (1.0,)
    for name in ("step", "group", "rollout"):
        assert table.frame[name].to_list() == written[name].to_list()
    assert table.frame["reward"].to_list() == written["reward/score"].to_list()
    saved = lab.load(lab.save_log(table, tmp_path / "again.parquet"))
    assert saved.frame.equals(table.frame) and saved.trainer == trainer


@pytest.mark.parametrize("trainer", WRITERS)
def test_a_last_line_that_is_cut_off_is_left_out_and_named(tmp_path, trainer):
    folder = WRITERS[trainer](tmp_path, rollouts(size=2))
    files = sorted(f for f in folder.rglob("*.jsonl") if "metadata" not in f.name and "metrics" not in f.name)
    text = files[-1].read_bytes()
    files[-1].write_bytes(text[:-20])
    table = lab.load(folder, incomplete="drop")
    assert table.frame.height == 10
    assert any(f"The last line of {files[-1].name} is left out" in note for note in table.notes)
    files[-1].write_bytes(b"x" + text)
    assert f"{files[-1].name}, line 1 is no JSON" in failure(folder)


def test_open_instruct(tmp_path):
    written = rollouts()
    table = lab.load(open_instruct(tmp_path, written))
    assert table.frame["advantage"].to_list() == written["advantage"].to_list()
    assert table.frame["prompt"][0] == " ".join(map(str, tokens(written["prompt"][0])))
    assert table.frame["length"].to_list() == [len(text) for text in written["completion"]]
    assert table.frame["truncated"].to_list() == [r == 0 for r in written["rollout"]]
    assert any("logs tokens, no text" in note for note in table.notes)
    one = lab.load(tmp_path / "tiny__1_rollouts_000001.jsonl")
    assert one.frame.height == 12 and one.steps.tolist() == [1]


def test_open_instruct_names_what_is_missing(tmp_path):
    file = open_instruct(tmp_path, rollouts()) / "tiny__1_rollouts_000000.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    file.write_text(json.dumps({k: v for k, v in rows[0].items() if k != "reward"}) + "\n")
    assert "tiny__1_rollouts_000000.jsonl, line 1: a rollout of open-instruct has no key reward" in failure(tmp_path)
    file.rename(tmp_path / "other_rollouts_000000.jsonl")
    assert "several runs; open a file of one of them: other_rollouts_000000.jsonl" in failure(tmp_path)
