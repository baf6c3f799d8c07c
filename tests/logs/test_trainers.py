"""What another trainer's own code writes is read back as the rollouts that were written."""

import json
import sqlite3
from pathlib import Path

import polars as pl
import pytest

import lab
from lab.errors import InputError
from lab.logs.contract import reader_of
from tests.logs.trainers import (
    WRITERS,
    lines,
    open_instruct,
    openrlhf,
    rlprobe,
    rlwatch,
    rollouts,
    tinker,
    tokens,
    traces,
    verifiers,
)


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


@pytest.mark.parametrize("trainer", [name for name in WRITERS if name != "rlprobe"])
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


STEPS = [
    {"step": s, "reward_mean": s / 4, "reward_std": 0.5, "kl_divergence": 0.01, "mine": 3, "odd": "x"} for s in (1, 2)
]


def test_rlwatch(tmp_path):
    alert = {"step": 2, "detector": "kl_explosion", "severity": "critical"}
    file = rlwatch(tmp_path / "metrics.db", {"first": STEPS[:1], "second": STEPS, "empty": []}, [alert])
    table = lab.load(tmp_path)
    assert table.trainer == "rlwatch" and table.frame.is_empty()
    assert table.metrics.to_dict(as_series=False) == {
        "step": [1, 2],
        "kl": [0.01, 0.01],
        "mine": [3.0, 3.0],
        "reward": [0.25, 0.5],
        "reward_std": [0.5, 0.5],
    }
    said = " ".join(table.notes)
    assert "holds 3 runs; read is the one started last, second; left out: empty, first." in said
    assert "warned of" not in said  # the warning is another run's
    assert lab.load(file, steps=[2]).metrics["step"].to_list() == [2]
    assert sorted(f.name for f in tmp_path.iterdir()) == ["metrics.db"]


def test_rlwatch_reads_what_a_running_trainer_has_not_merged_yet(tmp_path):
    file = rlwatch(
        tmp_path / "metrics.db", {"run": STEPS}, [{"step": 2, "detector": "loss_nan", "severity": "warning"}]
    )
    running = sqlite3.connect(file)
    running.execute("PRAGMA journal_mode=WAL")
    running.execute("INSERT INTO metrics (run_id, step, timestamp, loss) VALUES ('run', 3, 0, 0.5)")
    running.commit()
    table = lab.load(file)
    running.close()
    assert table.metrics["step"].to_list() == [1, 2, 3] and table.metrics["loss"].to_list() == [None, None, 0.5]
    assert "rlwatch itself warned of loss_nan at step 2 (warning)." in table.notes


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda store: store.execute("DELETE FROM metrics"), "without metrics of any run"),
        (lambda store: store.execute("ALTER TABLE metrics RENAME COLUMN step TO stop"), "neither rollouts nor metrics"),
        (
            lambda store: store.execute("ALTER TABLE runs RENAME COLUMN run_id TO run"),
            "cannot be read as SQLite: no such",
        ),
    ],
)
def test_rlwatch_names_what_is_missing(tmp_path, damage, words):
    file = rlwatch(tmp_path / "metrics.db", {"run": STEPS})
    store = sqlite3.connect(file)
    damage(store)
    store.commit()
    store.close()
    assert words in failure(file)


def test_a_file_of_sqlite_that_is_damaged_or_no_store_is_said(tmp_path):
    file = rlwatch(tmp_path / "metrics.db", {"run": STEPS})
    content = file.read_bytes()
    file.write_bytes(content[:100] + b"x" * 4000 + content[4100:])
    assert "metrics.db is no log that is known here" in failure(file)
    sqlite3.connect(tmp_path / "other.db").execute("CREATE TABLE metrics (a)").connection.close()
    with pytest.raises(InputError, match="no tables runs and metrics"):
        lab.load(tmp_path / "other.db", reader="rlwatch")
    (tmp_path / "text.db").write_text("no database")
    with pytest.raises(InputError, match="cannot be read as SQLite: file is not a database"):
        lab.load(tmp_path / "text.db", reader="rlwatch")


def test_rlprobe(tmp_path):
    written = rollouts(steps=3, parts=("right", "short"))
    table = lab.load(rlprobe(tmp_path, written))
    assert table.reward_columns == ("right", "short") and table.reward_weights == (1.0, 0.5)
    for name in ("prompt", "completion", "advantage"):
        assert table.frame[name].to_list() == written[name].to_list()
    assert table.metrics.columns == [
        "step", "learning_rate", "reward", "reward/right", "reward/short", "reward_std/right", "reward_std/short"
    ]  # fmt: skip
    assert (
        table.metrics["reward"].to_list()
        == table.frame.group_by("step").agg(pl.mean("reward")).sort("step")["reward"].to_list()
    )


def test_rlprobe_says_which_groups_are_not_whole(tmp_path):
    written = rollouts()
    whole = (written["group"] < 2) | (written["rollout"] != 3)
    table = lab.load(rlprobe(tmp_path / "some", written.filter(whole), "random", num_generations=4))
    assert table.frame.height == 16 and table.group_size == 4
    assert any(
        "kept 22 of the rollouts" in note and "16 stand in a group that is whole" in note for note in table.notes
    )
    few = lab.load(rlprobe(tmp_path / "few", written.filter(written["rollout"] < 2), "top_k", num_generations=4))
    assert few.frame.is_empty() and few.metrics.height == 2
    unknown = lab.load(rlprobe(tmp_path / "unknown", written, "top_k"))
    assert unknown.frame.is_empty()


def test_rlprobe_while_the_run_goes_on(tmp_path):
    written = rollouts()
    run = rlprobe(tmp_path, pl.concat([written, written.with_columns(pl.col("step") + 2)]))
    (run / "steps").mkdir()
    (run / "steps.parquet").rename(run / "steps" / "part-00000.parquet")
    (run / "samples" / "shard-00002.parquet").write_bytes(b"PAR1 half")
    table = lab.load(run)
    assert table.metrics.height == 4 and table.frame.height == 48
    assert any(note.startswith("Left out: ") and "shard-00002.parquet is cut off" in note for note in table.notes)
    (run / "manifest.json").unlink()
    with pytest.raises(InputError, match="no recording of rlprobe: it needs manifest"):
        lab.load(run, reader="rlprobe")


def test_rlprobe_tells_a_batch_that_is_used_twice(tmp_path):
    first = rollouts(steps=1)
    table = lab.load(rlprobe(tmp_path, pl.concat([first, first.with_columns(pl.col("step") + 1)])))
    assert table.repeats == (1,) and table.frame.height == 12


def test_tinker(tmp_path):
    written = rollouts()
    run = tinker(tmp_path, written, logged=2)
    tinker(tmp_path, rollouts(steps=1, prompts=2), "eval/gsm8k")
    table = lab.load(run)
    assert table.frame["total_reward"].to_list() == written["reward/score"].to_list() and not table.has_advantages
    assert table.frame["length"].to_list() == [len(text) for text in written["completion"]]
    assert table.frame["metric/correct"].unique().to_list() == [1.0]
    assert table.evaluation.height == 8 and table.evaluation["step"].unique().to_list() == [0]
    assert table.metrics.select("step", "reward", "entropy", "learning_rate", "zero_std", "length").row(0) == (
        0, written["reward/score"][:12].mean(), 0.5, 1e-4, 0.25, 10.0
    )  # fmt: skip
    assert lab.load(run, steps=[1]).steps.tolist() == [1]
    assert lab.load(run / "iteration_000001").metrics.height == 2
    with pytest.raises(InputError, match="none of the wanted steps; it has 2: 0, 1"):
        lab.load(run, steps=[7])


def test_texts_of_tinker_stand_with_the_rollouts_that_they_are_of(tmp_path):
    written = rollouts(steps=2)
    table = lab.load(tinker(tmp_path, written, logged=2))
    logged = table.frame["group"] < 2
    assert table.frame.filter(logged)["prompt"].to_list() == written.filter(logged)["prompt"].to_list()
    assert set(table.frame.filter(~logged)["prompt"]) == set(table.frame.filter(~logged)["completion"]) == {""}
    by = ("step", "group", "total_reward")
    given = table.frame.filter(logged).group_by(by).agg(pl.col("completion").sort()).sort(by)
    wanted = written.filter(logged).rename({"reward/score": "total_reward"}).group_by(by)
    assert given.equals(wanted.agg(pl.col("completion").sort()).sort(by))
    (tmp_path / "iteration_000001" / "train_logtree.json").write_text('{"title": "RL')
    damaged = lab.load(tmp_path)
    assert set(damaged.frame.filter(step=1)["prompt"]) == {""} and damaged.frame["prompt"][0] == "0+0="
    assert any(note.startswith("The texts of a step are left out: ") for note in damaged.notes)


def test_tinker_without_rollouts(tmp_path):
    run = tinker(tmp_path, rollouts())
    for file in run.glob("*/*.jsonl"):
        file.unlink()
    table = lab.load(run)
    assert table.frame.is_empty() and table.metrics.height == 2
    assert any("rollout_json_export" in note for note in table.notes)


def test_lengths_of_tinker_that_are_no_numbers_are_left_out(tmp_path):
    run = tinker(tmp_path, rollouts(steps=1))
    file = run / "iteration_000000" / "train_rollout_summaries.jsonl"
    first, *rest = map(json.loads, file.read_text().splitlines())
    first["steps"] = [{"ac_len": 3}, {"ac_len": float("nan")}, {"ac_len": None}, {"ac_len": 1e300}, {"ac_len": 2.5}]
    file.write_text("".join(json.dumps(row) + "\n" for row in (first, *rest)))
    assert lab.load(run).frame["length"][0] == 3


def test_tinker_names_what_is_missing(tmp_path):
    run = tinker(tmp_path, rollouts(steps=1))
    file = run / "iteration_000000" / "train_rollout_summaries.jsonl"
    file.write_text(file.read_text() + '{"iteration": 0}\n')
    assert "line 13: a rollout of tinker-cookbook has no key group_idx, total_reward, traj_idx" in failure(run)


def test_results_of_verifiers(tmp_path):
    written = rollouts(steps=1)
    table = lab.load(verifiers(tmp_path, written))
    assert table.trainer == "verifiers" and table.group_size == 4 and table.reward_columns == ("total",)
    for name in ("step", "prompt", "completion", "group", "rollout"):
        assert table.frame[name].to_list() == written[name].to_list()
    assert table.frame["reward"].to_list() == written["reward/score"].to_list()
    assert table.frame["length"].to_list() == [len(text) for text in written["completion"]]
    assert table.frame["truncated"].to_list() == [r == 0 for r in written["rollout"]]
    assert table.frame["metric/correct"].to_list() == [1.0] * 12
    assert any("all rollouts are of one policy" in note for note in table.notes)
    assert any("does not log which of its metrics are rewards" in note for note in table.notes)


def test_traces_of_verifiers(tmp_path):
    written = rollouts(parts=("right", "short"))
    run = traces(tmp_path, written, weights=(0.5, 0.5))
    table = lab.load(run)
    assert table.reward_columns == ("right", "short") and table.reward_weights == (0.5, 0.5)
    for name in ("step", "prompt", "completion", "advantage"):
        assert table.frame[name].to_list() == written[name].to_list()
    assert table.frame["length"].to_list() == [len(text) for text in written["completion"]]
    assert table.frame["truncated"].to_list() == [r == 0 for r in written["rollout"]]
    assert not any("policy" in note or "mean" in note for note in table.notes)
    traces(tmp_path / "eval", written, weights=(0.5, 0.5), kind="eval")
    both = (tmp_path / "traces.jsonl").read_text() + (tmp_path / "eval" / "traces.jsonl").read_text()
    (tmp_path / "traces.jsonl").write_text(both)
    assert lab.load(run).frame.equals(table.frame) and lab.load(run).evaluation.height == 24


def test_traces_of_verifiers_with_tools_agents_and_errors(tmp_path):
    (first, second, third, *_) = map(
        json.loads, (traces(tmp_path, rollouts()) / "traces.jsonl").read_text().splitlines()
    )
    nodes = first["traces"][0]["nodes"]
    call = {"role": "assistant", "tool_calls": [{"id": "0", "name": "add", "arguments": '{"a": 1}'}]}
    nodes[1]["message"] = call
    nodes[1]["advantages"][0] = 9.0
    nodes.append(
        {"parent": 1, "message": {"role": "tool", "tool_call_id": "0", "content": [{"type": "text", "text": "2"}]}}
    )
    judge = {**second["traces"][0], "agent": {"name": "judge", "trainable": False}}
    second["traces"].append(judge)
    second["traces"][0]["rewards"]["score"]["weight"] = 2.0
    third["traces"][0] |= {"rewards": {"score": None}, "ok": False, "stop_condition": "max_turns", "calls": []}
    table = lab.load(lines(tmp_path / "traces.jsonl", [first, second, third]))
    assert table.frame["completion"][0] == 'assistant: [tool_call add({"a": 1})]\ntool: 2'
    assert table.frame["reward"].to_list() == [
        s * w for s, w in zip(rollouts()["reward/score"][:2], (1, 2), strict=True)
    ] + [None]
    assert table.frame["failed"].to_list() == [False, False, True]
    assert table.frame["truncated"].to_list() == [True, False, True]
    said = " ".join(table.notes)
    assert "weights of score differ between tasks" in said and "different advantages; shown is their mean" in said


def test_verifiers_names_what_is_missing(tmp_path):
    lines(tmp_path / "results.jsonl", [{"example_id": 0, "reward": 1, "completion": "x"}, {"example_id": 0}])
    assert "line 2: a result of verifiers has no key completion, reward" in failure(tmp_path)
    lines(tmp_path / "traces.jsonl", [{"task": {}, "traces": []}])
    assert "neither a group nor a task that tells its group" in failure(tmp_path)
    lines(tmp_path / "traces.jsonl", [{"task": {"key": "a"}, "traces": []}])
    assert "has no traces of any agent that is trained" in failure(tmp_path)
    lines(tmp_path / "traces.jsonl", [{"task": {"key": "a"}, "traces": [{"nodes": 3, "rewards": []}]}])
    assert "no column reward or reward/<name>" in failure(tmp_path)


STATUS = {
    "policy_loss": -1.5e-05,
    "entropy_loss": float("nan"),
    "actor_lr": 1e-6,
    "reward": 0.25,
    "kl": float("inf"),
    "text": "'reward': 7 {",
    "listed": [1, 2],
    "rollout/reward_mean": 0.5,
    "rollout/reward_std": 0.5,
    "rollout/response_length_mean": 12.0,
    "rollout/truncated_rate": 0.0,
}


FLAT = {name: value for name, value in STATUS.items() if not isinstance(value, str | list)} | {"said": "a: b"}


@pytest.mark.parametrize("status", [STATUS, FLAT], ids=["nested", "flat"])
def test_openrlhf(tmp_path, status):
    file = openrlhf(tmp_path / "train.log", {1: status, 2: {**status, "reward": 0.75}}, {2: {"eval_math_pass1": 0.1}})
    table = lab.load(tmp_path)
    assert table.trainer == "openrlhf" and table.frame.is_empty()
    assert table.metrics.drop("entropy").to_dict(as_series=False) == {
        "step": [1, 2],
        "eval/eval_math_pass1": [None, 0.1],
        "kl": [float("inf")] * 2,
        "learning_rate": [1e-6, 1e-6],
        "length": [12.0, 12.0],
        "loss": [-1.5e-05, -1.5e-05],
        "reward": [0.5, 0.5],
        "reward_std": [0.5, 0.5],
        "truncated": [0.0, 0.0],
    }
    assert table.metrics["entropy"].is_nan().all()
    file.write_text(file.read_text()[:-5] + "\n\xff")
    assert "1 step(s) of train.log are left out: their line is cut off." in lab.load(file).notes
    (tmp_path / "other.txt").write_text(file.read_text())
    assert "holds 2 files with steps that OpenRLHF has printed; open one file" in failure(tmp_path)
    (tmp_path / "none.log").write_text("Global step 1: {'policy_loss': 0.1")
    assert "no step of OpenRLHF that was printed to its end" in failure(tmp_path / "none.log")
