"""What is said of real rollouts is true of them."""

import numpy as np
import polars as pl
import pytest

import lab
from lab.errors import InputError, UnknownNameError
from lab.logs import bundled
from lab.logs.rules import reproduction
from lab.logs.tallies import LOGGED
from tests.logs.logs import Write


def test_phantom_advantages_of_a_real_run() -> None:
    found = lab.diagnose(lab.load(bundled()["equal_rewards"]))
    assert (found.no_signal, found.phantoms, found.phantom_sign) == (1.0, 64, "positive")
    assert found.phantom_size == pytest.approx(2.979e-4, rel=1e-3)
    assert found.best is not None
    assert (found.best["rule"], found.best["precision"], found.best["max_error"]) == ("grpo@trl", "float32", 0.0)
    grpo = found.changes.row(by_predicate=pl.col("variant") == "grpo", named=True)
    assert (grpo["compared"], grpo["changed"], grpo["silenced"], grpo["share"]) == (512, 512, 512, 1.0)
    text = " ".join(map(str, found.findings))
    assert "64 of 64 groups (100.0%) have equal rewards" in text
    assert "all positive, up to 2.98e-04" in text
    assert "reported 0.0%" in text


def test_the_rule_of_a_real_run_with_two_rewards() -> None:
    table = lab.load(bundled()["two_rewards"])
    found = lab.diagnose(table)
    assert (found.no_signal, found.phantoms, found.phantom_size, found.phantom_sign) == (0.0, 0, 0.0, "")
    assert found.best is not None
    assert found.best["rule"] == "grpo@trl"
    assert found.best["max_error"] < 1e-6
    expected = lab.advantages.compute("gdpo", table.rewards, weights=table.reward_weights)
    np.testing.assert_allclose(found.by_variant["gdpo"], expected.ravel())
    assert "each of the 96 groups has different rewards" in str(found.findings[0])
    assert [finding.kind for finding in found.findings] == ["log.healthy", "advantages.rule"]


@pytest.mark.parametrize(
    ("rule", "shift"), [("grpo@trl-batch", 0.0), ("grpo@trl-none", 0.0), ("gdpo@trl", 0.0), ("grpo@verl", 5.0)]
)
def test_the_trainers_rule_is_recognised(write: Write, rule: str, shift: float) -> None:
    rewards = shift + np.random.default_rng(5).random((3, 4, 4, 2))
    given = iter(lab.advantages.compute(rule, rewards))
    log = write(
        rewards,
        names=("a", "b"),
        prompts="abcd",
        columns=lambda frame: frame.with_columns(advantage=pl.Series(next(given).ravel())),
    )
    best = lab.diagnose(lab.load(log, group_size=4), []).best
    assert best is not None
    assert best["reproduces"]
    expected = lab.advantages.compute(rule, rewards)
    np.testing.assert_allclose(lab.advantages.compute(best["rule"], rewards), expected, atol=1e-6)


def test_an_unknown_rule_is_not_claimed(write: Write) -> None:
    log = write(columns=lambda frame: frame.with_columns(advantage=pl.int_range(pl.len()).cast(pl.Float64)))
    found = lab.diagnose(lab.load(log, group_size=4), ["grpo"])
    assert found.best is not None
    assert not found.best["reproduces"]
    assert "No rule reproduces" in " ".join(map(str, found.findings))


def test_signs_are_compared_where_neither_is_zero(write: Write) -> None:
    logged = [0.0, -1.0, 1.0, 1.0]
    log = write([[[[3.0], [0.0], [1.0], [0.0]]]], columns=lambda frame: frame.with_columns(advantage=pl.Series(logged)))
    rules = reproduction(lab.load(log, group_size=4))
    row = rules.row(by_predicate=(pl.col("rule") == "dr_grpo") & (pl.col("precision") == "float64"), named=True)
    assert lab.advantages.compute("dr_grpo", [3.0, 0.0, 1.0, 0.0]).tolist() == [2.0, -1.0, 0.0, -1.0]
    assert (row["same_sign"], row["max_error"], row["mean_error"]) == (0.5, 2.0, 1.25)


def test_changed_signs_are_counted_by_kind(write: Write) -> None:
    logged = [1.0, -1.0, 0.0, 1e-8, 2.0, 0.0, -1.0, 1.0]
    rewards = np.array([[[[1.0], [0.0], [0.0], [1.0]], [[2.0], [2.0], [2.0], [2.0]]]])
    log = write(rewards, columns=lambda frame: frame.with_columns(advantage=pl.Series(logged)))
    row = lab.diagnose(lab.load(log, group_size=4), ["dr_grpo"]).changes.row(0, named=True)
    assert row == {
        "variant": "dr_grpo", "compared": 8, "changed": 5, "flipped": 0, "silenced": 3, "woken": 2, "share": 0.625
    }  # fmt: skip


def test_frames_are_tidy() -> None:
    table = lab.load(bundled()["reused_batches"])
    found = lab.diagnose(table, ["grpo", "rloo", "mc-grpo"])
    assert found.variants == ["grpo", "rloo", "mc-grpo"]
    tidy = found.advantages()
    assert tidy.columns == ["step", "group", "rollout", "variant", "advantage"]
    assert tidy.height == 4 * table.frame.height
    assert found.advantages(LOGGED, "grpo")["variant"].unique(maintain_order=True).to_list() == [LOGGED, "grpo"]
    assert found.by_variant["mc-grpo"].null_count() == table.frame.height // 8  # the pivot of each group
    assert found.steps["step"].to_list() == [1, 3, 5, 7]
    np.testing.assert_allclose(found.steps["reward"], table.rewards.mean((1, 2, 3)))
    assert found.steps["grad_norm"].null_count() == 0
    assert found.groups.height == 32
    assert found.groups.columns[:4] == ["step", "group", "prompt", "reward"]


def test_a_log_without_advantages(write: Write) -> None:
    found = lab.diagnose(lab.load(write(columns=lambda frame: frame.drop("advantage"))))
    assert found.best is None
    assert found.rules.is_empty()
    assert found.changes.is_empty()
    assert found.phantoms == 0
    assert found.by_variant["grpo"].null_count() == 0
    assert found.steps["advantage_max"].null_count() == 2
    assert any("no advantages" in note for note in found.table.notes)


def test_what_the_log_does_not_have_is_said(write: Write) -> None:
    table = lab.load(write(extra={"tokens": 3, "half": 0.5}), reward_columns=["score"])
    found = lab.diagnose(table)
    assert found.skipped["remax"] == "remax reads greedy_rewards, which the log does not have"
    assert "lengths=" in found.skipped["opo"]
    assert "opo" not in found.variants
    with pytest.raises(UnknownNameError, match="nearest"):
        lab.diagnose(table, ["grop"])
    with pytest.raises(UnknownNameError, match="tokens"):
        lab.diagnose(table, lengths="token")
    with pytest.raises(InputError, match="0, 1, 2"):
        lab.diagnose(table, lengths="half")


def test_rules_that_read_lengths(write: Write) -> None:
    lengths = np.random.default_rng(6).integers(1, 9, size=(2, 12))
    table = lab.load(write(columns=lambda f: f.with_columns(tokens=pl.Series(lengths[f["step"][0] - 1]))))
    found = lab.diagnose(table, ["opo", "reinforce_pp_baseline"], lengths="tokens")
    masks = np.arange(8) < lengths.reshape(2, 3, 4, 1)
    steps = zip(table.rewards, masks, strict=True)
    expected = [lab.advantages.compute("opo", step[None], mask=mask[None]).ravel() for step, mask in steps]
    np.testing.assert_allclose(found.by_variant["opo"], np.concatenate(expected))
    assert found.skipped == {}


def test_missing_rewards_leave_the_rest_readable(write: Write) -> None:
    rewards = np.random.default_rng(7).random((2, 3, 4, 1))
    rewards[0, 0, 1] = np.nan
    rewards[1, 2] = np.nan
    found = lab.diagnose(lab.load(write(rewards), group_size=4))
    assert found.steps["missing"].to_list() == [1, 4]
    assert found.groups["no_signal"].sum() == 1
    assert found.steps["no_signal"].to_list() == pytest.approx([0, 1 / 3])
    assert found.by_variant.filter(step=1, group=0, rollout=1)["grpo"].item() == 0.0


def test_parts_that_cancel_are_not_phantoms(write: Write) -> None:
    rewards = np.array([[[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 0.0], [1, 1], [0, 0]]]])
    found = lab.diagnose(lab.load(write(rewards, names=("a", "b")), group_size=4), ["grpo"])
    assert found.groups["no_signal"].to_list() == [True, False]
    assert found.groups["equal_parts"].to_list() == [False, False]
    assert found.phantoms == 0
    assert "50.0% whose parts differ and cancel" in " ".join(map(str, found.findings))


def test_all_advantages_zero_tell_no_rule(write: Write) -> None:
    found = lab.diagnose(lab.load(write(np.zeros((1, 2, 4, 1)))), ["grpo"])
    assert "does not tell the trainer's rule" in " ".join(map(str, found.findings))
    assert found.what_if == "", "what other rules would do tells nothing where there is nothing to learn"
    assert lab.diagnose(lab.load(write()), ["dr_grpo"]).what_if.startswith("None of the variants")


def test_a_rule_that_fails_leaves_the_others(write: Write) -> None:
    from lab import registry

    def broken(rewards: np.ndarray) -> np.ndarray:
        raise ZeroDivisionError

    registry.register("advantage", "broken-here")(broken)
    try:
        found = lab.diagnose(lab.load(write()))
        assert found.skipped["broken-here"] == "ZeroDivisionError"
    finally:
        del registry._RULES["advantage"]["broken-here"]
    assert "grpo" in found.variants
