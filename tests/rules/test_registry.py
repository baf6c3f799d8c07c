"""How a rule enters the lab: one's own included, from a notebook cell."""

import numpy as np
import polars as pl
import pytest

import lab
from lab import advantages, registry
from lab.advantages import Credit
from lab.errors import InputError, LabWarning, UnknownNameError
from simulators import Bandit


def test_the_first_parameters_of_each_kind_are_given(own_rule) -> None:
    with pytest.raises(InputError, match="first parameters must be rewards"):
        own_rule("own", lambda values: values)
    with pytest.raises(InputError, match="first parameters must be logp_new, advantage"):
        lab.objective("own")(lambda advantage, logp_new: advantage)


def test_a_signature_that_hides_what_it_reads_is_refused(own_rule) -> None:
    with pytest.raises(InputError, match=r"\*options hides"):
        own_rule("own", lambda rewards, **options: rewards)
    with pytest.raises(InputError, match=r"\*rest hides"):
        own_rule("own", lambda rewards, *rest: rewards)
    with pytest.raises(InputError, match="'scale' is no field of the rollouts, so it needs a default"):
        own_rule("own", lambda rewards, *, scale: rewards * scale)
    assert "own" not in advantages.names()


def test_properties_are_known_ones(own_rule) -> None:
    with pytest.raises(UnknownNameError, match="nearest: 'shift'"):
        own_rule("own", lambda rewards: rewards, properties={"shif"})


def test_a_name_belongs_to_one_function_and_a_cell_may_run_again(own_rule) -> None:
    def stranger(rewards):
        return rewards

    with pytest.raises(InputError, match=r"'grpo' exists already \(in lab.advantages.grpo\)"):
        own_rule("grpo", stranger)
    own_rule("own", lambda rewards: rewards)
    own_rule("own", lambda rewards, *, factor=2.0: rewards * factor)
    assert advantages.compute("own", [1.0, 3.0]).tolist() == [2.0, 6.0]
    assert advantages.names().count("own") == 1
    stranger.__module__ = "elsewhere"
    with pytest.raises(InputError, match="exists already"):
        registry.register("advantage", "OWN")(stranger)


def test_the_fixture_leaves_nothing_behind() -> None:
    assert "own" not in advantages.names()


def test_presets_are_rules_with_other_defaults() -> None:
    preset, base = advantages.rule("grpo@verl"), advantages.rule("grpo")
    assert preset.function is base.function
    assert preset.options["eps"] == 1e-6
    assert base.options["eps"] == 1e-4
    with pytest.raises(UnknownNameError, match="nearest: 'eps'"):
        registry.preset("advantage", "grpo@own", "grpo", epss=1)


def test_options_and_fields_are_read_from_the_signature(own_rule) -> None:
    own_rule("own", lambda rewards, *, mask, task=None, power=2: rewards)
    rule = advantages.rule("own")
    assert rule.fields == ("mask", "task")
    assert rule.required == ("mask",)
    assert dict(rule.options) == {"power": 2}
    with pytest.raises(TypeError):
        rule.options["power"] = 3  # type: ignore[index]


def test_ones_own_rule_is_checked_like_the_others(own_rule) -> None:
    own_rule("own", lambda rewards: rewards - rewards.max(-1, keepdims=True), properties={"shift", "zero_sum"})
    reports = {r.name: r for r in advantages.check("own")}
    assert reports["shift"].agrees
    assert reports["shift"].holds
    assert not reports["zero_sum"].agrees
    assert "G=2" in reports["zero_sum"].counterexample
    assert reports["permutation"].holds
    assert not reports["permutation"].agrees


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (
            lambda rewards: rewards.sum(-1),
            r"returned \[P\] = \(2,\); it must return the shape of rewards \[P, G\] = \(2, 2\)",
        ),
        (lambda rewards: rewards[..., None, None] + 0, r"returned a ndarray of shape \(2, 2, 1, 1\)"),
        (lambda rewards: 3.0, r"returned a float of shape \(\)"),
        (lambda rewards: np.log(rewards) + 0, "with its defaults gives -inf at p=0, g=0, where the rewards are"),
    ],
)
def test_a_rule_that_gives_no_advantages_is_named(own_rule, function, said: str) -> None:
    own_rule("own", function)
    with pytest.raises(InputError, match=f"'own' {said}"):
        advantages.compute("own", [[0.0, 1.0], [1.0, 0.0]])


def test_ones_own_rule_is_a_variant_and_trains(own_rule) -> None:
    @lab.advantage(
        "best_of_group", equation="A = R − max R", properties={"shift", "permutation", "silent", "groupwise"}
    )
    def best(rewards, *, power=1.0):
        return -((rewards.max(-1, keepdims=True) - rewards) ** power)

    assert lab.variants().filter(pl.col("name") == "best_of_group")["equation"].item() == "A = R − max R"
    trace = lab.train(Bandit([0.1, 0.9]), ["best_of_group", "grpo"], steps=30, seeds=4, lr=0.5)
    assert trace.frame["variant"].unique(maintain_order=True).to_list() == ["best_of_group", "grpo"]
    harsh = lab.variant("best_of_group", label="harsh", power=2.0)
    assert lab.train(Bandit([0.1, 0.9]), harsh, steps=2, seeds=2).frame["variant"].unique().to_list() == ["harsh"]


def test_ones_own_rule_may_drop_rollouts_and_read_fields(own_rule) -> None:
    def rule(rewards, *, greedy_rewards):
        return Credit(rewards - greedy_rewards[..., None], keep=rewards > 0)

    own_rule("beats_greedy", rule)
    trace = lab.train(Bandit([0.2, 0.8]), "beats_greedy", steps=3, seeds=2, measure="full")
    assert (trace.frame["kept"] < 1).any()


def test_a_wrong_shape_is_said_in_shapes_wherever_the_rule_is_met(own_rule) -> None:
    own_rule("bad-shape", lambda rewards: rewards.mean(axis=-1))
    with pytest.raises(
        InputError, match=r"returned \[S, P\] = \(2, 1\); .* rewards \[S, P, G\] = \(2, 1, 8\), or .*, T\]"
    ):
        lab.train(Bandit([0.1, 0.9]), "bad-shape", steps=1, seeds=2, group_size=8)
    with pytest.raises(InputError, match=r"returned \[P\] = \(4,\); .* rewards \[P, G\] = \(4, 2\)"):
        advantages.check("bad-shape")


def test_the_battery_shows_a_table_with_its_counterexamples_in_numbers(own_rule) -> None:
    own_rule("top", lambda rewards: rewards - rewards.max(-1, keepdims=True), properties={"shift", "zero_sum"})
    found = advantages.check("top")
    reports = {r.name: r for r in found}
    seen = reports["zero_sum"].seen
    assert seen.rewards.shape == (2, 1) and seen.changed is None
    assert seen.advantages == pytest.approx(seen.rewards[:, 0] - seen.rewards.max())
    moved = reports["scale"].seen
    assert moved.changed == pytest.approx(40 * moved.rewards) and moved.after == pytest.approx(40 * moved.advantages)
    assert reports["zero_sum"].advice.startswith("declared zero_sum, but there is a counterexample")
    assert reports["permutation"].advice == "found permutation: declare properties=('permutation', ...)"
    assert (reports["shift"].advice, reports["shift"].tried, reports["scale"].tried) == ("", 17, 1)
    lines = repr(found).splitlines()
    assert lines[0] == "rule 'top'" and lines[1].split() == ["property", "declared", "holds", "tried"]
    assert lines[2].split() == ["shift", "yes", "yes", "17"]
    assert any("times 40: [" in line for line in lines) and not any(line.startswith("[") for line in lines)


def test_a_bound_that_was_found_is_to_be_declared(own_rule) -> None:
    own_rule("squashed", lambda rewards: np.tanh(rewards) + 0)
    advice = {r.name: r.advice for r in advantages.check("squashed")}["bounded"]
    assert (
        advice == "found bounded: declare properties=('bounded', ...) and bound=lambda shape: its largest |advantage|"
    )


@pytest.mark.parametrize(
    ("name", "made"),
    [("grpo", "all zero"), ("rloo", "the rewards themselves"), ("grpo:single=raw", "the rewards themselves")],
)
def test_a_group_of_one_is_trained_with_a_warning(name: str, made: str) -> None:
    rule = name.partition(":")[0]
    with pytest.warns(LabWarning, match=f"a group of 1 has no baseline: {rule}'s advantages are {made}") as told:
        lab.train(Bandit([0.1, 0.9]), name, steps=1, seeds=1, group_size=1)
    assert [each.filename for each in told] == [__file__], "the line that trains is named"


@pytest.mark.parametrize(("name", "size"), [("grpo", 2), ("psr", 1), ("reinforce_pp", 1), ("mc-grpo", 1)])
def test_other_groups_are_trained_without_one(name: str, size: int) -> None:
    assert lab.train(Bandit([0.1, 0.9]), name, steps=1, seeds=1, group_size=size).frame.height == 1
