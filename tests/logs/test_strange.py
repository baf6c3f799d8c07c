"""Names, numbers and sizes that no honest log has: they stay text, and the rest of the log is read."""

import ast
import json
import warnings
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import lab
from lab.errors import InputError
from lab.logs.columns import column
from lab.logs.frames import group_rows
from lab.text import listed, printable
from tests.logs.logs import Write

INJECTION = 'x\nimport os; os.system("touch pwned")  #'


def rewards(steps: int = 2, prompts: int = 3, size: int = 4, parts: int = 1) -> np.ndarray:
    return np.random.default_rng(0).random((steps, prompts, size, parts))


def refusal(path: Path, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        lab.load(path, **options)  # type: ignore[arg-type]
    assert str(caught.value).isprintable()
    return str(caught.value)


# ------------------------------------------------------------------------------------------ text is never obeyed


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\r\u2028c\x85d\te", "a b  c d e"),
        ("\x00\x1b[31m\u202e\ud800", "��[31m��"),
        ("λ ✓ 日本", "λ ✓ 日本"),
        (3, "3"),
    ],
)
def test_printable_text_is_one_line(text: object, shown: str) -> None:
    assert printable(text) == shown
    assert shown.isprintable()


def test_lists_are_cut_and_printable() -> None:
    assert listed(range(15)) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 3 more"
    assert listed(["a\nb"]) == "a b"


@pytest.mark.parametrize("name", [INJECTION, "\x1b[2J", "a\u2028b", "\x00"])
def test_a_columns_name_stays_within_its_note(write: Write, name: str) -> None:
    run = write(rewards(parts=2), names=("score", name), extra={f"{name}!": 1, "list": [1]})
    (run / "completions" / "odd\nname.parquet").touch()
    table = lab.load(run)
    assert table.reward_columns == ("score", name)
    assert [note for note in table.notes if not note.isprintable()] == []
    found = lab.diagnose(table, ["grpo"])
    assert all(str(finding).isprintable() for finding in found.findings)
    assert refusal(run, reward_columns=[name, name])
    with pytest.raises(KeyError) as caught:
        lab.load(run, reward_columns=["nothing"])
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", [INJECTION, "\x1b[2J"])
def test_an_error_about_a_strange_name_is_one_line(write: Write, name: str) -> None:
    refusal(write(rewards(parts=2), names=("score", name), columns=lambda f: f.drop("step")))
    refusal(write(names=(name,), columns=lambda f: f.with_columns(column(name).cast(pl.String))))


def test_a_strange_path_stays_in_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "a\nb\x1b[2J"
    folder.mkdir()
    assert "a b�[2J is empty" in refusal(folder)
    (folder / "c\nd.txt").touch()
    assert "it holds c d.txt" in refusal(folder)


def test_a_prompt_that_is_named_in_an_error_is_one_line(write: Write) -> None:
    assert "the prompt 'p q'" in refusal(write(prompts=["p\nq", "b", "c"]), group_size=3)


# -------------------------------------------------------------------------------------- names are no patterns


def test_a_column_is_taken_by_its_very_name() -> None:
    frame = pl.DataFrame({"^.*$": [1.0], "a": [2.0], "^a$": [3.0], "*": [4.0]})
    for name in frame.columns:
        assert frame.select(column(name) * 2).to_dict(as_series=False) == {name: [2 * frame[name][0]]}
        assert frame.group_by(pl.lit(1)).agg(column(name).sum())[name].to_list() == frame[name].to_list()


@pytest.mark.parametrize("names", [("^.*$",), ("^score.*$", "score_a", "score_b"), ("*", "^$"), ("^a", "b$")])
def test_names_that_are_patterns_elsewhere(write: Write, names: tuple[str, ...], tmp_path: Path) -> None:
    given = rewards(parts=len(names))
    run = write(given, names=names, extra={"^extra.*$": 1, "extra1": 2, "^listed$": [1]})
    table = lab.load(run, reward_columns=names, reward_weights=[2.0] * len(names))
    np.testing.assert_array_equal(table.rewards, given)
    np.testing.assert_allclose(table.frame["reward"], 2 * given.sum(-1).ravel())
    assert table.extra_columns == ("^extra.*$", "extra1")
    found = lab.diagnose(table, ["grpo", "gdpo"])
    assert found.no_signal == 0.0 and set(found.variants) == {"grpo", "gdpo"}
    assert set(names) <= {*group_rows(found, 1, 0, ["grpo"])["row"], *(names if len(names) == 1 else ())}
    for ending in (".csv", ".jsonl", ".parquet"):
        again = lab.load(lab.save_log(table, tmp_path / f"again{ending}"))
        assert again.frame.equals(table.frame)


@pytest.mark.parametrize("name", ["_file", "_row", "_run", "_group", "group", "rollout", "reward", "value", "kind"])
def test_names_that_the_lab_uses_itself(write: Write, name: str) -> None:
    given = rewards(parts=3)
    run = write(given, names=(name, f"{name}_logged", "other"))
    table = lab.load(run)
    np.testing.assert_array_equal(table.rewards, given)
    assert len(set(table.reward_columns)) == 3
    found = lab.diagnose(table, ["grpo"])
    assert group_rows(found, 1, 0, ["grpo"]).height == 4 * 6
    order = np.arange(12).reshape(3, 4).T.ravel()
    shuffled = write(given, names=(name, f"{name}_logged", "other"), columns=lambda frame: frame[order])
    np.testing.assert_array_equal(lab.load(shuffled).rewards, given)


# ----------------------------------------------------------------------------------------- sizes and numbers


@pytest.mark.parametrize("size", [2**31, 2**63 - 1, 2**63, 2**64, 2**64 + 4, 10**400])
def test_group_sizes_beyond_the_log_are_refused(write: Write, size: int) -> None:
    assert "group_size=" in refusal(write(), group_size=size)
    if size < 10**400:
        message = refusal(write(info={"num_generations": size}))
        assert f"group size {size} (from run_info.json), but the log has 24 rows" in message
        assert str(size) in refusal(write(info={"overrides": {"num_generations": size}}))


@pytest.mark.parametrize("size", [0, -1, 2.5, True, float("nan"), float("inf"), [8], "8", None.__class__])
def test_group_sizes_that_are_no_sizes(write: Write, size: object) -> None:
    assert "it must be a whole number of at least 1" in refusal(write(), group_size=size)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": [float("inf")]}, "steps=[inf]; it must be whole numbers"),
        ({"steps": [float("nan")]}, "steps=[nan]"),
        ({"steps": 3}, "steps=3"),
        ({"reward_weights": [10**400]}, "finite numbers, one per reward column"),
        ({"reward_weights": 1}, "reward_weights=1"),
        ({"reward_weights": [float("inf")]}, "1 finite number(s) are needed"),
        ({"reward_columns": 5}, "reward_columns=5; it must be a list of names"),
        ({"reward_columns": [5]}, "reward_columns=[5]"),
        ({"reward_columns": []}, "reward_columns=[]"),
    ],
)
def test_options_of_the_wrong_kind(write: Write, options: dict[str, object], words: str) -> None:
    assert words in refusal(write(), **options)


def test_one_name_may_stand_without_a_list(write: Write) -> None:
    run = write(rewards(parts=2), names=("score", "other"))
    assert lab.load(run, reward_columns="score").reward_columns == ("score",)


def test_a_home_that_nobody_has() -> None:
    assert "~nosuch-user/run') is no path" in refusal(Path("~nosuch-user/run"))


@pytest.mark.parametrize("name", ["checkpoint-²", "checkpoint-", "checkpoint-x", "checkpoint-" + "9" * 30])
def test_a_stray_folder_costs_a_sentence(write: Write, name: str) -> None:
    run = write()
    for folder, step in ((name, 7), ("checkpoint-2", 2)):
        (run / folder).mkdir()
        (run / folder / "trainer_state.json").write_text(json.dumps({"log_history": [{"step": step, "loss": 1.0}]}))
    table = lab.load(run)
    assert table.metrics["step"].to_list() == [2]
    assert any(f"no checkpoints of a step are left out: {name}." in note for note in table.notes)
    (run / "checkpoint-2" / "trainer_state.json").unlink()
    assert lab.load(run).metrics.is_empty()


@pytest.mark.parametrize("step", [1e30, -1e30, 2**63, float("inf"), float("nan"), "1", None])
def test_a_step_that_no_run_reaches_costs_a_sentence(write: Write, step: object) -> None:
    history = [{"step": step, "loss": 9.0}, {"step": 2, "loss": 1.0}]
    table = lab.load(write(state={"log_history": history}))
    assert table.metrics.rows() == [(2, 1.0)]
    huge = isinstance(step, float | int) and 2**63 <= abs(step) < float("inf")
    assert any("no run reaches" in note for note in table.notes) == huge


@pytest.mark.parametrize("value", [1.5e308, -1.5e308])
def test_rewards_whose_sum_is_not_finite(write: Write, value: float) -> None:
    given = np.full((1, 3, 4, 2), value)
    given[0, 2, 1, 0] = 0.5 * value
    with np.errstate(all="ignore"):
        run = write(given, names=("a", "b"), columns=lambda frame: frame.drop("advantage"))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        found = lab.diagnose(lab.load(run))
    assert [str(w.message) for w in warned] == []
    assert found.groups["no_signal"].to_list() == [True, True, False]
    assert found.skipped["grpo"] == "grpo reads the sum of the rewards, which is not finite here"
    assert found.by_variant["gdpo"].is_finite().all()
    assert not any(found.by_variant[name].is_infinite().any() for name in found.variants)
    assert "2 of 3 groups (66.7%) have equal rewards: nothing in them can be learnt" in str(found.findings[1])


# ---------------------------------------------------------------------------------------- one group that is cut


def cut(frame: pl.DataFrame, rows: int) -> pl.DataFrame:
    """Leaves `rows` of the eight rollouts of the first group of step 2."""
    return frame.slice(8 - rows) if frame["step"][0] == 2 else frame


@pytest.mark.parametrize("rows", [7, 6, 4, 2, 1])
@pytest.mark.parametrize("logged", [True, False])
def test_one_cut_group_changes_no_group_size(write: Write, rows: int, logged: bool) -> None:
    def change(frame: pl.DataFrame) -> pl.DataFrame:
        kept = cut(frame, rows)
        return kept if logged else kept.drop("advantage")

    run = write(rewards(3, 4, 8), prompts="abcd", columns=change)
    message = refusal(run, incomplete="error")
    assert (
        f"the prompt 'a' stands in {rows} consecutive rows of step 2, which is no multiple of the group size 8"
        in message
    )
    table = lab.load(run, incomplete="drop")
    assert table.group_size == 8
    assert table.prompts_per_step == {1: 4, 2: 3, 3: 4}
    assert f"{rows} rows left out: they stand in groups that are not 8 rows long." in table.notes
    found = lab.diagnose(table, ["grpo"])
    assert found.no_signal == 0.0
    if logged:
        assert found.best is not None and found.best["rule"] == "grpo@trl" and found.best["reproduces"]


def test_the_most_frequent_length_is_the_size_and_the_largest_of_several(write: Write) -> None:
    def change(frame: pl.DataFrame) -> pl.DataFrame:
        place = pl.int_range(pl.len())
        return frame.filter(~place.is_in([0, 8])).drop("advantage")

    run = write(rewards(1, 4, 8), prompts="abcd", columns=change)
    assert "group size 8 (2 such places)" in refusal(run, incomplete="error")
    assert lab.load(run, incomplete="drop").group_size == 8


def test_a_prompt_in_two_adjacent_groups_of_its_own_size(write: Write) -> None:
    run = write(rewards(4, 8, 4), prompts="aabbccdd")
    assert lab.load(run).group_size == 4
    assert lab.load(run, steps=[1]).group_size == 8, "eight groups are too few to tell"


def test_half_of_the_prompts_in_two_adjacent_groups(write: Write) -> None:
    run = write(rewards(2, 3, 4), prompts="aab", columns=lambda frame: frame.drop("advantage"))
    table = lab.load(run)
    assert table.group_size == 4
    assert any("divides the number of rows of every prompt" in note for note in table.notes)


def test_notes_are_comments_in_the_code_of_the_page(write: Write) -> None:
    table = lab.load(write(rewards(parts=2), names=("score", INJECTION)))
    code = "\n".join(["import lab", *(f"# {note}" for note in table.notes)])
    assert [type(node).__name__ for node in ast.parse(code).body] == ["Import"]
