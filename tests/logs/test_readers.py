"""A log is read by the reader that recognises its files; what no reader knows is named."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lab
from lab.errors import InputError, UnknownNameError
from lab.logs import Known, Raw, bundled, contract
from lab.logs.formats import records
from lab.logs.rules import reproduction
from tests.logs.logs import Write

ENDINGS = (".csv", ".jsonl", ".parquet")


def dump(folder: Path, steps: dict[int, list[dict[str, object]]]) -> Path:
    """Rollouts as verl's `_write_generations` writes them."""
    folder.mkdir(exist_ok=True)
    for step, rows in steps.items():
        lines = [json.dumps({"gts": "4", "step": step, **row}, ensure_ascii=False) for row in rows]
        (folder / f"{step}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def rollout(prompt: str, score: float, **more: object) -> dict[str, object]:
    return {"input": prompt, "output": f"answer {score}", "score": score, **more}


@pytest.fixture
def own_reader() -> Iterator[None]:
    """Takes away what a test registers."""
    before = contract.readers()
    yield
    contract._READERS.clear()
    contract._READERS.update(before)


# ---------------------------------------------------------------------------------------------- the list


def test_readers_are_found_by_being_there(root: Path) -> None:
    rooms = {p.stem for p in (root / "lab" / "logs" / "readers").iterdir() if not p.name.startswith("_")}
    assert set(lab.readers()) == rooms >= {"lab", "trl", "verl"}


@pytest.mark.parametrize("name", ["two_rewards", "equal_rewards", "reused_batches"])
def test_the_trainer_is_told_by_the_files(name: str) -> None:
    assert lab.load(bundled()[name]).trainer == "trl"


def test_a_reader_of_ones_own(tmp_path: Path, own_reader: None) -> None:
    @lab.reader("mine", recognises=lambda path: path.suffix == ".mine", holds="one .mine file")
    def read(path: Path, steps: object) -> Raw:
        frame = pl.read_csv(path, separator=";")
        return Raw(frame, Known(groups="uid", rewards=("score",)), tokens=pl.DataFrame({"token": [0]}))

    (tmp_path / "run.mine").write_text("step;uid;score\n1;b;1.0\n1;a;2.0\n1;b;3.0\n1;a;4\n")
    table = lab.load(tmp_path / "run.mine")
    assert (table.trainer, table.group_size, table.reward_columns) == ("mine", 2, ("score",))
    assert table.rewards[..., 0].tolist() == [[[1.0, 3.0], [2.0, 4.0]]]
    assert table.tokens is not None and table.tokens.columns == ["token"]
    assert "it holds run.mine; readers: lab (" in failure(tmp_path)
    assert "mine (one .mine file)" in failure(tmp_path)
    (tmp_path / "run.mine").write_text("step;score\n1;1.0\n")
    assert "its reader names 'uid' as the group; no such column" in failure(tmp_path / "run.mine")
    with pytest.raises(InputError, match="reader 'mine' exists already"):
        lab.reader("mine", recognises=lambda path: True, holds="")(lambda path, steps: Raw(pl.DataFrame()))


def failure(path: Path, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        lab.load(path, **options)  # type: ignore[arg-type]
    return str(caught.value)


def test_the_last_registered_of_several_reads_and_a_name_decides(own_reader: None) -> None:
    calls = []

    @lab.reader("greedy", recognises=lambda path: True, holds="anything")
    def read(path: Path, steps: object) -> Raw:
        calls.append(path)
        return Raw(pl.DataFrame({"step": 1, "prompt": ["p"] * 2, "completion": "c", "score": [0.0, 1.0]}))

    assert lab.load(bundled()["two_rewards"]).trainer == "greedy"
    assert lab.load(bundled()["two_rewards"], reader="trl").trainer == "trl"
    assert calls == [bundled()["two_rewards"]]
    with pytest.raises(UnknownNameError, match="unknown reader 'tlr'; nearest: 'trl'"):
        lab.load(bundled()["two_rewards"], reader="tlr")


def test_a_file_of_another_kind_says_what_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("import lab\n")
    message = failure(tmp_path / "x.py")
    assert "tables are read from .parquet, .jsonl, .csv files" in message
    for holds in ("step, group and reward columns", "completions_<step>.parquet", "trainer.rollout_data_dir"):
        assert holds in message
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    assert "x.csv is no log that is known here: its columns are a, b" in failure(tmp_path / "x.csv")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", b'{"a": 1', "a.jsonl, line 1 is no JSON"),
        ("a.jsonl", b"[" * 100_000, "line 1 is no JSON"),
        ("a.jsonl", b"3\n", "line 1 is no JSON object"),
        ("a.jsonl", b"\xff\xfe{}", "no text in UTF-8"),
        ("a.csv", b"\xff\xfe{}", "no text in UTF-8"),
        ("a.csv", b"", "its columns are none"),
        ("a.csv", b'"' + b"x" * 200_000, "cannot be read as CSV: field larger than"),
        ("a.csv", b"step,group,reward\n1,0,0.5,7\n", "cannot be read as CSV: found more fields than"),
        ("a.parquet", b"PAR1", "is cut off"),
    ],
)
def test_a_damaged_table_is_named(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert words in failure(tmp_path / name)


# ------------------------------------------------------------------------------------------ the lab's own form


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", ["two_rewards", "equal_rewards", "reused_batches"])
def test_a_log_written_and_read_back_is_the_same(name: str, ending: str, tmp_path: Path) -> None:
    table = lab.load(bundled()[name])
    again = lab.load(lab.save_log(table, tmp_path / f"run{ending}"))
    assert again.frame.equals(table.frame, null_equal=True) and again.frame.schema == table.frame.schema
    assert again.metrics.equals(table.metrics)
    for fact in ("reward_columns", "reward_weights", "group_size", "trainer"):
        assert getattr(again, fact) == getattr(table, fact)
    assert lab.load(tmp_path).frame.equals(table.frame)


@settings(max_examples=30, deadline=None)
@given(data=st.data(), ending=st.sampled_from(ENDINGS))
def test_whatever_a_table_holds_comes_back(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, ending: str
) -> None:
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
    number = st.none() | st.floats(-1e9, 1e9)
    rows = data.draw(st.integers(1, 3)) * 2
    column = lambda values: data.draw(st.lists(values, min_size=rows, max_size=rows))  # noqa: E731
    names = data.draw(st.lists(text.filter(lambda n: n and "\r" not in n), min_size=1, max_size=3, unique=True))
    frame = pl.DataFrame(
        {
            "step": [1] * rows, "group": [i // 2 for i in range(rows)],
            "prompt": column(text), "completion": column(text),
            **{f"reward/{name}": pl.Series(column(number), dtype=pl.Float64) for name in names},
            "advantage": pl.Series(column(st.floats(-9, 9)), dtype=pl.Float64),
        }
    )  # fmt: skip
    file = lab.save_log(frame, tmp_path_factory.getbasetemp() / f"any{ending}")
    table = lab.load(file)
    assert table.group_size == 2
    np.testing.assert_array_equal(
        table.frame.select(pl.nth(range(5, 5 + len(names)))).to_numpy(),
        frame.select(pl.nth(range(4, 4 + len(names)))).cast(pl.Float64).to_numpy(),
    )
    assert table.frame["prompt"].to_list() == frame["prompt"].to_list()
    assert table.frame["completion"].to_list() == frame["completion"].to_list()
    assert table.frame["advantage"].to_list() == frame["advantage"].to_list()


def test_a_table_by_hand(tmp_path: Path) -> None:
    lines = ["step,group,rollout,reward,tokens", "2,b,1,0.5,3", "2,b,0,0.25,4", "1,a,0,1,5", "1,a,1,0,6"]
    (tmp_path / "mine.csv").write_text("\n".join(lines))
    table = lab.load(tmp_path / "mine.csv")
    assert (table.trainer, table.reward_columns, table.extra_columns) == ("lab", ("total",), ("tokens",))
    assert table.rewards.ravel().tolist() == [1.0, 0.0, 0.25, 0.5]
    assert table.frame["tokens"].to_list() == [5, 6, 4, 3]
    assert lab.diagnose(table, ["grpo"]).no_signal == 0.0


def test_the_documented_table_is_read(root: Path, tmp_path: Path) -> None:
    text = (root / "docs" / "log_schema.md").read_text()
    (tmp_path / "mine.csv").write_text(text.partition("```csv\n")[2].partition("```")[0])
    (tmp_path / "mine.metrics.csv").write_text("step,grad_norm\n1,0.5\n")
    table = lab.load(tmp_path / "mine.csv")
    assert (table.reward_columns, table.reward_weights, table.group_size) == (("right", "short"), (1.0, 0.1), 2)
    assert table.metrics.rows() == [(1, 0.5)]
    assert set(contract.SCALARS) <= set(re.findall(r"`([a-z_]+)`", text))
    assert lab.diagnose(table, ["grpo"]).changes.row(0, named=True)["changed"] == 0


@settings(max_examples=150, deadline=None)
@given(data=st.data(), ending=st.sampled_from([".csv", ".jsonl"]))
def test_damaged_text_is_an_error_or_a_table(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, ending: str
) -> None:
    frame = pl.DataFrame({"step": [1, 1, 2, 2], "group": 0, "prompt": "p", "reward/a": [0.0, 1.5, 2.0, None]})
    file = lab.save_log(frame, tmp_path_factory.getbasetemp() / f"damaged{ending}")
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    file.write_bytes(content)
    try:
        assert lab.diagnose(lab.load(file), ["grpo"]).groups.height > 0
    except InputError as reason:
        assert str(reason).isprintable()


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_a_table_that_is_still_written_is_read_to_its_last_whole_line(tmp_path: Path, ending: str) -> None:
    frame = pl.DataFrame(
        {"step": [1, 1, 1, 1], "group": [0, 0, 1, 1], "prompt": 'a "quote"\nand more', "reward/a": 0.25}
    )
    file = lab.save_log(frame, tmp_path / f"run{ending}")
    whole = file.read_bytes()
    file.write_bytes(whole[: -len(b'"and more",0.25}\n')])
    table = lab.load(file, incomplete="drop")
    assert table.frame.height == 2
    assert any(f"The last line of run{ending} is left out" in note for note in table.notes)
    file.write_bytes(whole[:-1])  # a last line without its end is whole if it has all that it must have
    assert lab.load(file).frame.height == 4


@pytest.mark.parametrize("ending", ENDINGS)
def test_metrics_alone_come_back(tmp_path: Path, ending: str) -> None:
    (tmp_path / "run.metrics.csv").write_text("step,grad_norm,kl\n1,0.5,NaN\n2,inf,0.1\n3,0.")
    table = lab.load(tmp_path / "run.metrics.csv")
    assert table.frame.is_empty() and table.metrics["grad_norm"].to_list() == [0.5, float("inf")]
    assert any("The last line of run.metrics.csv is left out" in note for note in table.notes)
    (tmp_path / "again").mkdir()
    file = lab.save_log(table, tmp_path / "again" / f"run{ending}")
    assert file.name == f"run.metrics{ending}" and lab.load(file).metrics.equals(table.metrics)
    assert lab.load(file.parent).metrics.equals(table.metrics)


def test_groups_that_are_named_are_never_inferred(tmp_path: Path) -> None:
    frame = pl.DataFrame({"step": 1, "group": [0, 0, 1, 1, 2, 2], "prompt": "the same", "reward/a": [0.0, 1.0] * 3})
    table = lab.load(lab.save_log(frame, tmp_path / "run.csv"))
    assert table.group_size == 2
    mixed = frame.with_columns(group=pl.Series([0, 1, 2, 0, 1, 2]))
    table = lab.load(lab.save_log(mixed, tmp_path / "run.csv"))
    assert table.rewards[..., 0].tolist() == [[[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]]
    uneven = frame.with_columns(group=pl.Series([0, 0, 1, 1, 1, 1]))
    message = failure(lab.save_log(uneven, tmp_path / "run.csv"), incomplete="error")
    assert "stands in 2 rows of one group of step 1, the group size is 4" in message
    assert message == failure(tmp_path / "run.csv", group_size=4)
    assert lab.load(tmp_path / "run.csv", group_size=2, incomplete="drop").frame.height == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.drop("group"), "a log needs the columns group; the frame has step"),
        (lambda f: f.drop("reward/a"), "needs the columns reward or reward/<name>"),
        (lambda f: f.with_columns(pl.Series("weight/a", [1.0, 2.0])), "must hold one value throughout; it has 2"),
        (lambda f: f.with_columns(pl.lit("x").alias("weight/a")), "a weight is a finite number"),
        (lambda f: f.with_columns(group=pl.Series([1, None])), "row 1: the group is missing"),
        (lambda f: f.with_columns(group=pl.Series([None, 1])), "row 0: the group is missing"),
        (lambda f: f.with_columns(step=pl.lit(1.5)), "step is 1.5"),
    ],
)
def test_a_frame_that_is_no_log_is_refused(tmp_path: Path, change: object, words: str) -> None:
    frame = change(pl.DataFrame({"step": [1, 1], "group": [0, 0], "reward/a": [0.0, 1.0]}))  # type: ignore[operator]
    with pytest.raises(InputError) as caught:
        lab.load(lab.save_log(frame, tmp_path / "run.jsonl"))
    assert words in str(caught.value)
    with pytest.raises(InputError, match=r"must end in \.csv, \.jsonl, \.parquet"):
        lab.save_log(frame, tmp_path / "run.txt")


def test_more_lines_than_are_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pl.DataFrame({"step": 1, "group": 0, "reward": [0.0] * 30})
    for most in ("MAX_ROWS", "MAX_PARQUET_ROWS"):
        monkeypatch.setattr(f"lab.logs.formats.{most}", 20)
    for ending in ENDINGS:
        assert "claim 30 rows" in failure(lab.save_log(frame, tmp_path / f"run{ending}"))
    monkeypatch.setattr("lab.logs.formats.MAX_BYTES", 100)
    assert "0 MiB are read at once" in failure(tmp_path / "run.csv")


# --------------------------------------------------------------------------------------------------- verl


def test_rollouts_of_verl(tmp_path: Path) -> None:
    scores = {"p": [0.2, 0.2], "q": [0.0, 1.0]}
    rows = [rollout(p, s, accuracy=s > 0.5) for p, group in scores.items() for s in group]
    folder = dump(tmp_path / "rollout", {10: rows, 9: rows[::-1]})
    table = lab.load(folder)
    assert (table.trainer, table.group_size, table.reward_columns) == ("verl", 2, ("score",))
    assert table.steps.tolist() == [9, 10]
    assert table.extra_columns == ("gts", "accuracy")
    assert table.frame.filter(step=10)["completion"][0] == "answer 0.2"
    assert lab.load(folder, steps=[10]).steps.tolist() == [10]
    with pytest.raises(InputError, match=r"rollout has none of the wanted steps; it has 2: 9, 10$"):
        lab.load(folder, steps=[11])
    assert lab.load(folder / "9.jsonl").frame.height == 4
    found = lab.diagnose(table, ["grpo"])
    assert found.no_signal == 0.5
    assert lab.load(tmp_path).frame.equals(table.frame, null_equal=True)
    folder.rename(tmp_path / "a")
    dump(tmp_path / "b", {10: rows})
    assert f"{tmp_path} holds several runs; open one of them: a, b" in failure(tmp_path)


@pytest.mark.parametrize("uid", ["u{group}", "u{group}_{rollout}_0"])
def test_identifiers_of_verl_tell_the_groups_of_shuffled_rows(tmp_path: Path, uid: str) -> None:
    rows = [rollout("p", g + r, uid=uid.format(group=g, rollout=r)) for r in range(3) for g in range(2)]
    table = lab.load(dump(tmp_path, {1: rows}))
    assert table.rewards[..., 0].tolist() == [[[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]]]


def test_shuffled_rows_without_identifiers_are_told_by_their_prompts(tmp_path: Path) -> None:
    rows = [rollout(p, s) for s in range(3) for p in ("a", "b")]
    table = lab.load(dump(tmp_path, {1: rows}))
    assert table.rewards[..., 0].tolist() == [[[0.0, 1.0, 2.0]] * 2]
    assert any("do not stand together" in note for note in table.notes)


def test_verl_without_scores_is_named(tmp_path: Path) -> None:
    rows = [{"input": "p", "output": "o"} for _ in range(4)]
    assert "a rollout log of verl without scores" in failure(dump(tmp_path, {1: rows}))


def test_lines_of_json_are_taken_as_they_are(tmp_path: Path) -> None:
    rows = [rollout("p", 1, mixed=1, big=10**400), rollout("p", float("nan"), mixed="x", listed=[1], big=1.5)]
    folder = dump(tmp_path, {1: rows})
    table = lab.load(folder)
    assert table.frame["score"].to_list() == [1.0, None]
    assert table.frame["mixed"].to_list() == ["1", "x"]
    (folder / "1.jsonl").write_text('{"input": "p", "output": "o", "score": 1, "step": 1}\n{"input": "p", "out')
    assert any("last line of 1.jsonl is left out" in note for note in lab.load(folder).notes)
    (folder / "1.jsonl").write_text('{"input": "p", "output": "o", "score": 1, "st')
    assert "1.jsonl has no whole line" in failure(folder / "1.jsonl", reader="verl")
    (folder / "1.jsonl").write_text(json.dumps(rollout("\\ud800 x", 1.0, step=1)).replace("\\\\", "\\"))
    assert lab.load(folder).frame["prompt"].to_list() == ["? x"]


def test_the_last_line_of_a_file_of_objects_may_be_cut_off(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'{"a": 1}\n\n{"a": 2, "b": "\xc3\xa9"}\n{"a": 3, "b": "\xc3')
    (rows,), notes = records([file])
    assert rows == [{"a": 1}, {"a": 2, "b": "é"}] and notes == [
        "The last line of a.jsonl is left out: it is no JSON object, perhaps not written to its end."
    ]
    (kept,), _ = records([file], lambda found: {"a": found["a"]})
    assert kept == [{"a": 1}, {"a": 2}]
    file.write_bytes(b'{"a": 1}\n{"a"\n{"a": 3}\n')
    with pytest.raises(InputError, match=r"a\.jsonl, line 2 is no JSON"):
        records([file])


# ------------------------------------------------------------------------------ whose rule comes first


@pytest.mark.parametrize("trainer", ["trl", "verl", ""])
def test_rules_of_the_trainer_come_first(write: Write, trainer: str) -> None:
    rewards = np.random.default_rng(3).random((2, 4, 4, 1))
    given = iter(lab.advantages.compute("dr_grpo", rewards))
    log = write(rewards, prompts="abcd", columns=lambda f: f.with_columns(advantage=pl.Series(next(given).ravel())))
    rules = reproduction(replace(lab.load(log, group_size=4), trainer=trainer)).filter("reproduces")["rule"].to_list()
    assert {"dr_grpo", "grpo@trl-none", "dr_grpo@verl"} <= set(rules)
    own = [f"@{trainer}" in rule if trainer else "@" not in rule for rule in rules]
    assert own[0] and own == sorted(own, reverse=True)
