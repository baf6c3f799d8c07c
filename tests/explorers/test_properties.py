"""Properties: what is written into an address comes back, and what cannot be read is named."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab import explorers
from lab.explorers.properties import Choice, Choices, Flag, Number, Rewards, Whole, parse, seed, written

PROPERTIES = [
    Whole(name="size", low=2, high=64, default=8),
    Number(name="rate", low=0, high=10, step=0.5, default=1.0),
    Flag(name="log", default=False),
    Choice(name="law", options=["normal", "log normal"], default="normal"),
    Choices(name="rules", options=["grpo", "mc-grpo", "grpo@trl"], default=["grpo"], most=2),
    Rewards(name="rewards", default=[[[0.0], [1.0]]]),
    seed(),
]
DEFAULTS = {each.name: each.default for each in PROPERTIES}
numbers = st.floats(-1e6, 1e6, allow_nan=False)


def test_an_empty_address_is_the_defaults():
    assert parse(PROPERTIES, {}) == (DEFAULTS, [])


def test_the_whole_state_is_written_defaults_included():
    assert written(PROPERTIES, DEFAULTS) == {
        "size": "8", "rate": "1", "log": "no", "law": "normal", "rules": "grpo", "rewards": "0_1", "seed": "0",
    }  # fmt: skip


some = st.lists(st.sampled_from(["grpo", "mc-grpo", "grpo@trl"]), min_size=1, max_size=2, unique=True)


@given(size=st.integers(2, 64), rate=st.integers(0, 20).map(lambda i: i / 2), log=st.booleans(), rules=some)
def test_what_is_written_is_read_back(size, rate, log, rules):
    state = DEFAULTS | {"size": size, "rate": rate, "log": log, "rules": rules}
    assert parse(PROPERTIES, written(PROPERTIES, state)) == (state, [])


@given(st.data(), st.integers(1, 3), st.integers(1, 16), st.integers(1, 3))
def test_rewards_are_read_back(data, prompts, rollouts, components):
    if prompts * rollouts * components > 64:
        return
    cell = st.lists(numbers, min_size=components, max_size=components)
    group = st.lists(cell, min_size=rollouts, max_size=rollouts)
    value = data.draw(st.lists(group, min_size=prompts, max_size=prompts))
    each = Rewards(name="rewards", default=[[[0.0]]])
    again = each.read(each.write(value))
    flat, before = ([r for g in v for c in g for r in c] for v in (again, value))
    assert all(math.isclose(a, b, rel_tol=1e-11, abs_tol=1e-300) for a, b in zip(flat, before, strict=True))


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("size", "many", "size=many: a whole number from 2 to 64 was expected"),
        ("size", "1", "from 2 to 64"),
        ("size", "8.0", "a whole number"),
        ("rate", "nan", "a number from 0 to 10"),
        ("rate", "1e9", "a number from 0 to 10"),
        ("log", "maybe", "yes or no was expected"),
        ("law", "cauchy", "one of normal, log normal was expected"),
        ("rules", "grpo~grop", "grop not known; known are grpo"),
        ("rules", "", "from 1 to 2"),
        ("rewards", "1_x", "numbers such as 1_0_0.5"),
        ("rewards", "1_inf", "finite numbers"),
        ("rewards", "1_nan", "finite numbers"),
        ("rewards", "1_0__1", "as many rollouts"),
        ("rewards", "1~0_1", "as many rewards"),
        ("rewards", "_".join("0" * 40), "40 rollouts"),
        ("rewards", "", "numbers such as"),
        ("colour", "red", "no such setting"),
        ("seed", "-1", "from 0 to"),
    ],
)
def test_what_cannot_be_read_falls_back_and_is_named(name, text, words):
    values, notes = parse(PROPERTIES, {name: text, "log": "yes"} if name != "log" else {name: text})
    assert len(notes) == 1 and words in notes[0] and name in notes[0]
    assert values == DEFAULTS | ({"log": True} if name != "log" else {})


def test_an_emptied_list_counts_as_its_default():
    rules = PROPERTIES[4]
    assert rules.usable([]) == ["grpo"] and rules.usable(["mc-grpo"]) == ["mc-grpo"]


@pytest.mark.parametrize("name", explorers.names())
def test_what_suits_a_choice_is_among_what_may_be_chosen(name: str) -> None:
    asked = explorers.explorer(name)
    for scene in asked.scenes:
        for value, suits in asked.scenes[scene].items():
            assert asked.state(**{**suits, scene: value})[scene] == value
