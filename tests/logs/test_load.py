"""Logs are read as they were written, and what is inferred is said."""

import os
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lab
from lab.errors import InputError, UnknownNameError
from lab.logs import bundled, bundled_run
from tests.logs.logs import Write, write_log


def said(table: lab.logs.RolloutTable, *words: str) -> bool:
    """Whether one note has all the words."""
    return any(all(word in note for word in words) for note in table.notes)


# ---------------------------------------------------------------------------------------------- real logs


def test_the_bundled_logs_open() -> None:
    logs = bundled()
    assert set(logs) >= {"equal_rewards", "reused_batches", "two_rewards", "verl"}
    for folder in logs.values():
        table = lab.load(folder)
        if table.trainer != "trl":
            assert table.frame.height or table.metrics.height
            continue
        assert table.group_size == 8
        assert set(table.prompts_per_step.values()) == {8}
        assert table.rewards.shape == (len(table.steps), 8, 8, len(table.reward_columns))
        assert np.isfinite(table.rewards).all() and np.isfinite(table.advantages).all()
        assert {"grad_norm", "entropy", "reward"} <= set(table.metrics.columns)
    assert (bundled_run("sorting") / "config.json").is_file()


def test_an_extra_column_is_no_reward() -> None:
    table = lab.load(bundled()["two_rewards"])
    assert table.reward_columns == ("digit_fraction", "starts_with_digit")
    assert table.extra_columns == ("completion_chars",)
    assert table.reward_weights == (1.0, 0.5)
    assert said(table, "weights", "run_info.json")
    totals = table.frame.group_by("step", maintain_order=True).agg(pl.col("reward").mean())
    np.testing.assert_allclose(totals["reward"], table.metrics["reward"], rtol=1e-6)


def test_reused_batches_are_read_once() -> None:
    folder = bundled()["reused_batches"]
    table = lab.load(folder)
    assert table.repeats == (2, 4, 6, 8)
    assert table.steps.tolist() == [1, 3, 5, 7]
    assert said(table, "4 of 8 steps", "keep_repeats=True")
    kept = lab.load(folder, keep_repeats=True)
    assert kept.frame.height == 2 * table.frame.height
    assert kept.steps.tolist() == list(range(1, 9))
    assert said(kept, "They are kept")


def test_equal_rewards_have_one_advantage() -> None:
    table = lab.load(bundled()["equal_rewards"])
    assert np.unique(table.advantages).tolist() == pytest.approx([2.979e-4], rel=1e-3)
    assert table.metrics["zero_std"].unique().to_list() == [0.0]


@pytest.mark.parametrize("name", ["", "completions", "completions/completions_00003.parquet"])
def test_folder_inner_folder_and_file(name: str) -> None:
    table = lab.load(bundled()["two_rewards"] / name)
    assert table.frame.height == (64 if name.endswith("parquet") else 768)
    assert table.reward_weights == (1.0, 0.5)


def test_steps_and_the_arrays_of_one_step() -> None:
    folder = bundled()["two_rewards"]
    whole, part = lab.load(folder), lab.load(folder, steps=range(3, 5))
    assert part.steps.tolist() == [3, 4]
    assert lab.load(folder, steps=np.array([4, 3])).frame.equals(part.frame)
    np.testing.assert_array_equal(whole.at(4).rewards, part.rewards[1:])
    with pytest.raises(InputError, match="step 99 is not in the log; it has 12 steps, 1 to 12"):
        whole.at(99)
    with pytest.raises(InputError, match="none of the wanted steps; it has 12: 1, 2"):
        lab.load(folder, steps=[99])
    with pytest.raises(InputError, match="steps='abc'"):
        lab.load(folder, steps="abc")  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------- round trip


@settings(max_examples=25)
@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(2, 6), st.integers(1, 3)),
    repeats=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_log_comes_back(shape: tuple[int, int, int, int], repeats: int, seed: int) -> None:
    rewards = np.random.default_rng(seed).normal(size=shape)
    names = [f"r{k}" for k in range(shape[3])]
    with tempfile.TemporaryDirectory() as folder:
        prompts = [f"prompt {p}" for p in range(shape[1])]
        run = write_log(Path(folder), rewards, names=names, prompts=prompts, repeats=repeats, extra={"chars": 5})
        table = lab.load(run)
    assert table.reward_columns == tuple(names)
    assert table.group_size == shape[2]
    assert table.steps.tolist() == [s * repeats + 1 for s in range(shape[0])]
    assert len(table.repeats) == shape[0] * (repeats - 1)
    np.testing.assert_array_equal(table.rewards, rewards)
    np.testing.assert_allclose(table.frame["reward"], rewards.sum(-1).ravel())
    np.testing.assert_allclose(table.advantages, lab.advantages.compute("grpo@trl", rewards), atol=1e-9)
    assert table.frame["completion"][0] == "answer 0 0"
    assert table.extra_columns == ("chars",)


# ----------------------------------------------------------------------------------------- reward columns


def test_rewards_named_by_the_trainer(write: Write) -> None:
    state = {"log_history": [{"step": 1, "rewards/b/mean": 0.5, "rewards/b/std": 0.1}]}
    run = write(np.zeros((1, 2, 4, 2)), names=("a", "b"), state=state)
    table = lab.load(run)
    assert table.reward_columns == ("b",)
    assert table.extra_columns == ("a",)
    assert said(table, "trainer_state.json: b")
    assert lab.load(run, reward_columns=["b", "a"]).reward_columns == ("b", "a")


def test_rewards_named_by_the_settings(write: Write) -> None:
    info = {"reward_funcs": ["b"], "reward_weights": [2.0], "num_generations": 2}
    table = lab.load(write(np.ones((1, 2, 4, 2)), names=("a", "b"), info=info))
    assert (table.reward_columns, table.reward_weights, table.group_size) == (("b",), (2.0,), 2)
    assert table.frame["reward"].unique().to_list() == [2.0]
    assert said(table, "adjacent groups")


def test_assumed_rewards_are_said_to_be_assumed(write: Write) -> None:
    run = write(np.zeros((1, 2, 4, 2)), names=("a", "b"), extra={"chars": 3, "note": "x"})
    table = lab.load(run)
    assert table.reward_columns == ("a", "b")
    assert said(table, "assumed: a, b", "chars", "reward_columns=")
    assert said(table, "assumed to be 1", "reward_weights=")
    with pytest.raises(UnknownNameError, match="nearest: 'chars'"):
        lab.load(run, reward_columns=["char"])
    with pytest.raises(InputError, match="'note' is String"):
        lab.load(run, reward_columns=["note"])
    with pytest.raises(InputError, match="name each column once"):
        lab.load(run, reward_columns=["a", "a"])


@pytest.mark.parametrize("name", ["reward", "group", "rollout"])
def test_a_reward_with_the_name_of_a_column_of_the_table(write: Write, name: str) -> None:
    rewards = np.random.default_rng(1).random((2, 3, 4, 2))
    table = lab.load(write(rewards, names=(name, "other")), reward_columns=[name, "other"])
    assert table.reward_columns == (f"{name}_logged", "other")
    np.testing.assert_array_equal(table.rewards, rewards)


# ---------------------------------------------------------------------------------------------- weights


def test_weights_from_the_logged_means(write: Write) -> None:
    rewards = np.random.default_rng(2).random((5, 2, 4, 2))
    means = rewards.mean((1, 2))
    history = [
        {"step": s + 1, "rewards/a/mean": a, "rewards/b/mean": b, "reward": 0.25 * a - 2 * b}
        for s, (a, b) in enumerate(means.tolist())
    ]
    run = write(rewards, names=("a", "b"), state={"log_history": history})
    table = lab.load(run)
    assert table.reward_weights == (0.25, -2.0)
    assert said(table, "weights from the means")
    assert lab.load(run, reward_weights=[1, 3]).reward_weights == (1.0, 3.0)
    for wrong in ([1], [1, np.nan], ["x", 1]):
        with pytest.raises(InputError, match="reward_weights="):
            lab.load(run, reward_weights=wrong)  # type: ignore[arg-type]


def test_means_that_no_weights_explain_are_left_alone(write: Write) -> None:
    history = [{"step": s, "rewards/a/mean": s, "rewards/b/mean": s * s, "reward": s**3} for s in range(1, 6)]
    table = lab.load(write(np.ones((5, 2, 4, 2)), names=("a", "b"), state={"log_history": history}))
    assert table.reward_weights == (1.0, 1.0)
    assert said(table, "assumed to be 1")


# ---------------------------------------------------------------------------------------------- groups


def test_the_same_prompt_in_adjacent_groups(write: Write) -> None:
    prompts = ("a", "a", "b")
    table = lab.load(write(prompts=prompts))
    assert table.group_size == 4
    assert table.frame["group"].unique().sort().to_list() == [0, 1, 2]
    assert said(table, "2 times the same prompt stands in adjacent groups")


def test_one_prompt_only_is_told_by_the_advantages(write: Write) -> None:
    rewards = np.random.default_rng(3).random((4, 8, 4, 1))
    assert lab.load(write(rewards, prompts=["same"] * 8)).group_size == 4


def test_one_prompt_only_without_advantages_is_doubtful(write: Write) -> None:
    run = write(prompts=["same"] * 3, columns=lambda frame: frame.drop("advantage"))
    table = lab.load(run)
    assert table.group_size == 12
    assert said(table, "one prompt only")
    assert not table.has_advantages
    assert said(table, "has no advantages")
    assert lab.load(run, group_size=4).rewards.shape == (2, 3, 4, 1)


def test_group_sizes_that_do_not_divide(write: Write) -> None:
    run = write()
    with pytest.raises(InputError, match=r"row 0: the prompt '1\+1=' stands in 4 consecutive rows.*group size 3"):
        lab.load(run, group_size=3)
    for wrong in (0, 2.5, True):
        with pytest.raises(InputError, match="group_size="):
            lab.load(run, group_size=wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no prompt stands in a group of 3 rows"):
        lab.load(run, group_size=3, incomplete="drop")
    with pytest.raises(InputError, match="incomplete='perhaps'"):
        lab.load(run, incomplete="perhaps")


def test_incomplete_groups_are_left_out_on_request(write: Write) -> None:
    run = write(columns=lambda frame: frame.slice(1))
    with pytest.raises(InputError, match="incomplete='drop'"):
        lab.load(run, incomplete="error")
    kept = lab.load(run)
    assert (kept.group_size, kept.frame.height) == (None, 22)
    assert said(kept, "2 of 6 groups have 3 rollouts instead of 4")
    table = lab.load(run, incomplete="drop")
    assert table.rewards.shape == (2, 2, 4, 1)
    assert said(table, "6 rows left out")


def test_steps_with_different_numbers_of_prompts(write: Write) -> None:
    run = write(np.zeros((2, 3, 4, 1)), columns=lambda frame: frame.head(8 if frame["step"][0] == 1 else 12))
    table = lab.load(run)
    assert table.prompts_per_step == {1: 2, 2: 3}
    assert sorted(batch.rewards.shape for batch in table.batches()) == [(1, 2, 4, 1), (1, 3, 4, 1)]
    assert table.at(2).rewards.shape == (1, 3, 4, 1)
    with pytest.raises(InputError, match="2, 3 prompts and groups of 4, 4 rollouts"):
        _ = table.rewards
    assert lab.diagnose(table, ["grpo"]).by_variant["grpo"].null_count() == 0


# ------------------------------------------------------------------------------------- values and texts


def test_missing_rewards_are_null(write: Write) -> None:
    rewards = np.random.default_rng(4).random((1, 2, 4, 2))
    rewards[0, 0, 0, 0] = np.nan
    rewards[0, 1, 2] = np.nan
    table = lab.load(write(rewards, names=("a", "b")), group_size=4)
    assert said(table, "2 of 8 rewards 'a' are missing")
    assert table.frame["reward"].null_count() == 1
    assert table.frame["reward"][0] == rewards[0, 0, 0, 1]
    np.testing.assert_array_equal(table.rewards, rewards)


def test_a_reward_missing_in_a_whole_step(write: Write) -> None:
    rewards = np.random.default_rng(4).random((2, 2, 4, 2))
    rewards[0, ..., 0] = np.nan
    table = lab.load(write(rewards, names=("a", "b"), columns=lambda frame: frame.fill_nan(None)))
    assert table.frame["a"].null_count() == 8


def test_long_texts_and_markup_stay_text(write: Write) -> None:
    text = "<script>alert('x')</script> & \x00 " + "λ" * 200_000
    table = lab.load(write(prompts=[text, "b", "c"], columns=lambda f: f.with_columns(completion=pl.lit(text))))
    assert table.frame["prompt"][0] == text
    assert set(table.frame["completion"]) == {text}


def test_conversations_become_lines(write: Write) -> None:
    talk = pl.concat_list(
        pl.struct(pl.lit("system").alias("role"), pl.lit("Add.").alias("content")),
        pl.struct(pl.lit("user").alias("role"), pl.col("prompt").alias("content")),
    ).alias("prompt")
    table = lab.load(write(columns=lambda frame: frame.with_columns(talk)))
    assert table.frame["prompt"][0] == "system: Add.\nuser: 1+1="
    assert table.group_size == 4


def test_messages_of_other_forms_are_kept(write: Write) -> None:
    talk = pl.concat_list(pl.struct(pl.col("prompt").alias("text"), pl.lit(1).alias("n"))).alias("prompt")
    table = lab.load(write(columns=lambda frame: frame.with_columns(talk)))
    assert table.frame["prompt"][0] == '{"text":"1+1=","n":1}'


def test_steps_beyond_five_digits_are_in_order(write: Write) -> None:
    run = write()
    for old, new in ((2, 100_001), (1, 99_999)):
        path = run / "completions" / f"completions_{old:05d}.parquet"
        pl.read_parquet(path).with_columns(step=pl.lit(new)).write_parquet(path.with_name(f"completions_{new}.parquet"))
        path.unlink()
    assert lab.load(run).steps.tolist() == [99_999, 100_001]


def test_one_file_with_all_steps(write: Write, tmp_path: Path) -> None:
    run = write()
    whole = pl.read_parquet(run / "completions" / "*.parquet")
    whole.with_columns(pl.col("step").cast(pl.Float64)).write_parquet(tmp_path / "all [1] of a=b.parquet")
    table = lab.load(tmp_path / "all [1] of a=b.parquet")
    assert table.frame.equals(lab.load(run).frame)
    assert lab.load(tmp_path / "all [1] of a=b.parquet", steps=[2]).steps.tolist() == [2]


def test_columns_that_only_some_files_have(write: Write) -> None:
    run = write(extra={"chars": 1}, columns=lambda f: f if f["step"][0] == 1 else f.drop("chars"))
    table = lab.load(run)
    assert said(table, "only some files have: chars")
    assert table.frame["chars"].null_count() == 12


def test_lists_and_other_files_are_left_out(write: Write) -> None:
    run = write(columns=lambda frame: frame.with_columns(images=pl.lit([1, 2]), raw=pl.lit(b"x")))
    pl.DataFrame({"x": [1]}).write_parquet(run / "completions" / "other.parquet")
    table = lab.load(run)
    assert table.extra_columns == ()
    assert said(table, "lists or bytes", "images, raw")
    assert said(table, "other.parquet")


# ------------------------------------------------------------------------------------- the JSON files


def test_metrics_of_a_step_are_merged(write: Write) -> None:
    history = [
        {"step": 1, "loss": 0.5, "grad_norm": 2, "epoch": True, "note": "x"},
        {"step": 2, "loss": float("nan"), "huge": 10**400},
        {"step": 2, "eval_loss": 0.25},
        {"epoch": 3.0},
        {"step": 1.5, "loss": 9.0},
    ]
    metrics = lab.load(write(state={"log_history": history, "global_step": 2})).metrics
    assert metrics.columns == ["step", "eval_loss", "grad_norm", "loss"]
    assert metrics["step"].to_list() == [1, 2]
    assert metrics["eval_loss"].to_list() == [None, 0.25]
    assert np.isnan(metrics["loss"][1])


def test_the_latest_checkpoint_holds_the_state(write: Write) -> None:
    run = write()
    for number in (9, 10):
        folder = run / f"checkpoint-{number}"
        folder.mkdir()
        (folder / "trainer_state.json").write_text(f'{{"log_history": [{{"step": {number}}}]}}')
    assert lab.load(run).metrics["step"].to_list() == [10]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "EOF"),
        ("[]", "object"),
        ('{"log_history": 3}', "log_history"),
        ('{"log_history": [{}, 4]}', "log_history.1"),
        ("\x00\x01", "JSON"),
        ("[" * 10_000, "recursion"),
    ],
)
def test_a_damaged_state_costs_the_metrics_only(write: Write, content: str, words: str) -> None:
    table = lab.load(write(state=content, info='{"num_generations": -1}'))
    assert table.metrics.is_empty()
    assert said(table, "metrics are left out", "trainer_state.json", words)
    assert said(table, "settings are left out", "num_generations")
    assert table.group_size == 4


def test_a_state_that_is_a_folder_or_too_large(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write(state={"log_history": []})
    monkeypatch.setattr("lab.logs.readers.trl.sidecars.MAX_JSON", 10)
    assert said(lab.load(run), "files up to 10 bytes")
    os.replace(run / "trainer_state.json", run / "old.json")
    (run / "trainer_state.json").mkdir()
    assert lab.load(run).metrics.is_empty()
