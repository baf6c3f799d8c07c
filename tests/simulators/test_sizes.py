"""Sizes, seeds and numbers that a world cannot use are refused in words, before any memory is taken."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from simulators import (
    Agents,
    Bandit,
    Bigrams,
    Captions,
    Delayed,
    Graphs,
    HiddenLM,
    Judged,
    Lengths,
    Preferences,
    Queries,
    RewardHacks,
    ToyLM,
    Turns,
    World,
    errors,
)  # fmt: skip
from simulators.bandit.families import graded
from simulators.errors import check_room

WORLDS: dict[str, tuple[Callable[[], World], int]] = {
    "bandit": (lambda: Bandit([[0.2, 0.8]]), 2),
    "bigrams": (lambda: Bigrams(1, vocabulary=2), 2),
    "toy-lm": (lambda: ToyLM(prompts=1), 2),
    "hidden-lm": (lambda: HiddenLM(prompts=1), 2),
    "agents": (lambda: Agents(skill=[0.0, 1.0]), 2),
    "turns": (lambda: Turns(prompts=1), 2),
    "graphs": (lambda: Graphs(3), 2),
    "lengths": (lambda: Lengths(2), 2),
    "judged": (lambda: Judged([[0.2, 0.8]]), 2),
    "captions": (lambda: Captions(1), 2),
    "delayed": (lambda: Delayed(1, steps=2), 2),
    "queries": (lambda: Queries(1), 8),
    "preferences": (lambda: Preferences(3), 2),
    "reward-hacks": (lambda: RewardHacks(3), 2),
}


@pytest.mark.parametrize("name", WORLDS)
def test_every_world_refuses_the_same_in_the_same_words(name: str) -> None:
    made, size = WORLDS[name]
    world = made()
    policy = world.init([0, 2**64 - 1])
    assert policy.seeds.tolist() == [0, 2**64 - 1] and len(policy.parameters) == 2
    for seeds, said in (([], "one or more"), (5, "one or more"), ([-1], "at least 0, not -1"), ([2**64], "at most")):
        with pytest.raises(ValueError, match=said):
            world.init(seeds)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=re.escape("seed must be an integer, not 0.5")):
        world.init([0.5])  # type: ignore[list-item]
    for given, said in (
        ({"group_size": 0}, "group_size must be at least"), ({"step": -1}, "step must be at least 0, not -1"),
        ({"attempt": -1}, "attempt must be at least 0"), ({"step": 2**63}, "step must be at most"),
        ({"fields": ("nothing",)}, f"unknown field of the {name} world 'nothing'"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            world.rollout(policy, **{"group_size": size, "step": 0} | given)  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match=r"group_size=10{15} would need about \S+ GiB with .*at most \d+ fits into half"
    ):
        world.rollout(policy, 10**15, 0)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda n: graded(8, n), "arms"),
        (lambda n: graded(n, 8), "prompts"),
        (lambda n: ToyLM(prompts=n), "prompts"),
        (lambda n: ToyLM(vocabulary=n), "vocabulary"),
        (lambda n: HiddenLM(width=n), "width"),
        (lambda n: Turns(prompts=n), "prompts"),
        (Graphs, "members"),
        (lambda n: Lengths(longest=n), "longest"),
        (Lengths, "prompts"),
        (Captions, "prompts"),
        (lambda n: Delayed(choices=n), "choices"),
        (lambda n: Delayed(steps=n), "steps"),
        (lambda n: Queries(objects=n), "objects"),
        (Preferences, "pairs"),
        (RewardHacks, "tasks"),
        (lambda n: RewardHacks(families=n, trained=1), "families"),
    ],
)
@pytest.mark.parametrize("size", [10**13, 2**63 - 1, 10**30])
def test_sizes_that_do_not_fit(made: Callable[[int], Any], said: str, size: int) -> None:
    with pytest.raises(ValueError, match=rf"^{said}={size} would need about \S+ GiB.*; at most \d+ fits into half"):
        made(size)


def test_pairs_of_a_group_are_counted_too() -> None:
    world = Judged([[0.2, 0.8]])
    with pytest.raises(ValueError, match="group_size=2000000 would need about"):
        world.rollout(world.init([0]), 2_000_000, 0, fields=("pair_scores",))


def test_what_would_fit_fits_and_one_more_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "_memory", lambda: 2 * 8 * 600)  # room for 600 numbers
    check_room(600, group_size=100)
    with pytest.raises(ValueError, match=r"group_size=101 would need .* with prompts=3; at most 100 fits"):
        check_room(606, group_size=101, prompts=3)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: Bandit([[0.2], [0.3, 0.4]]), "must be real numbers, in rows of one length, not [[0.2], [0.3, 0.4]]"),  # type: ignore[arg-type]
        (lambda: Bandit([0.2 + 1j, 0.5]), "must be real numbers"),
        (lambda: Bandit(means=[10**400, 1], law="normal"), "must be real numbers"),
        (lambda: Bandit(["a", "b"]), "must be real numbers"),  # type: ignore[list-item]
        (lambda: Bandit([0.5, 0.5], logits=[1j, 0]), "initial logits must be real numbers"),
        (lambda: Agents(skill=[[0.0], [0.0, 1.0]]), "skill must be real numbers"),  # type: ignore[arg-type]
        (lambda: Judged([[0.0, np.nan]]), "utility must be finite, not [[0.0, nan]]"),
        (lambda: Turns(5), "unknown task 5; known: dialogue, search, steps"),  # type: ignore[arg-type]
        (lambda: ToyLM(5), "unknown task 5; known: "),  # type: ignore[arg-type]
        (lambda: Agents([], skill=[0.0, 1.0]), "unknown orchestra []; known: "),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_what_is_no_table_of_numbers_or_no_name(made: Callable[[], World], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        made()
