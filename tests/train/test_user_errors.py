"""Mistakes of a user of `lab.train`: refused before anything is sampled, by name."""

from typing import Any

import numpy as np
import pytest

import lab
from lab.errors import InputError, MissingFieldError, UnknownNameError
from simulators import Bandit, Preferences, Queries

WORLD = Bandit([[0.1, 0.5, 0.9], [0.2, 0.2, 0.3]])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        *[({"steps": v}, "steps=") for v in (-1, 2.5, "x", None, True, np.nan)],
        *[({"seeds": v}, "seeds=") for v in (0, -1, [], [1, 1], [-1], ["a"], 2.5, None, [2**63], True)],
        *[({"group_size": v}, "group_size=") for v in (0, -1, 2.5, "8")],
        *[({"epochs": v}, "epochs=") for v in (0, 1.5, "x")],
        *[({"every": v}, "every=") for v in (0, -1, "x")],
        *[({"threads": v}, "threads=") for v in (0, -1, 1.5, "x")],
        *[({"lr": v}, "lr=.* finite number of at least 0") for v in (-1, np.nan, np.inf, "x")],
        *[({"momentum": v}, "momentum=.* from 0 to below 1") for v in (-0.1, 1, np.nan, "x")],
        *[({"max_grad_norm": v}, "max_grad_norm=.* above 0, or None") for v in (0, -1, np.nan, "x")],
        ({"reward_weights": [np.nan]}, r"reward_weights\[0\]=nan"),
        ({"reward_weights": [1.0, "a"]}, r"reward_weights\[1\]='a'"),
        ({"reward_weights": [1.0, 2.0]}, "2 weights for 1 reward components"),
        ({"options": [1]}, "options="),
        ({"options": {"eps": "x"}}, "eps='x'"),
        ({"variants": []}, "none given"),
        ({"variants": ["grpo", "GRPO"]}, "'grpo' stands twice; give one a label="),
        ({"world": 3}, "world=3; it must be a world, such as simulators.Bandit"),
        ({"variants": "grpo_passk", "group_size": 1}, "needs G >= 2"),
        ({"group_size": 10**13}, "group_size=10{13}, .* this would need about .* GiB; this machine has .* GiB free"),
        ({"world": Preferences(2), "group_size": 8}, "world 'preferences' knows group_size=2 alone"),
        ({"world": Queries(2), "group_size": 2}, "world 'queries': group_size must be at least the 4 objects"),
    ],
)
def test_values_that_can_not_be_used(given: dict[str, Any], said: str) -> None:
    call = {"world": WORLD, "variants": "grpo", "steps": 2, "seeds": 2, **given}
    with pytest.raises(InputError, match=said):
        lab.train(call.pop("world"), call.pop("variants"), **call)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"variants": "grop"}, "unknown variant 'grop'; nearest: .*'grpo'"),
        ({"variants": 3}, "unknown variant 3"),
        ({"measure": "fulll"}, "nearest: 'full'"),
        ({"optimizer": "adamw"}, "nearest: 'adam'"),
        ({"options": {"epz": 1}}, "nearest: 'eps'"),
    ],
)
def test_names_that_nothing_has(given: dict[str, Any], said: str) -> None:
    call = {"variants": "grpo", "steps": 2, "seeds": 2, **given}
    with pytest.raises(UnknownNameError, match=said):
        lab.train(WORLD, call.pop("variants"), **call)


def test_a_field_that_the_world_does_not_have(own_rule) -> None:
    own_rule("by_turn", lambda rewards, *, turn_rewards: rewards)
    said = (
        r"'by_turn' reads turn_rewards; world 'bandit' provides greedy_rewards \(turn_rewards: worlds 'agents', 'turns'"
    )
    with pytest.raises(MissingFieldError, match=said):
        lab.train(WORLD, "by_turn", steps=1, seeds=1)


def test_rewards_outside_the_range_of_a_rule() -> None:
    with pytest.raises(InputError, match=r"bnpo: .* say which range the rewards have with low= and high="):
        lab.train(Bandit(means=[[5.0, 1.0]], law="normal"), "bnpo", steps=1, seeds=1)


@pytest.mark.parametrize("measure", [None, "basic", "full"])
def test_a_rule_that_gives_no_numbers_stops_the_run_and_is_named(own_rule, measure: str | None) -> None:
    own_rule("logarithm", lambda rewards: np.log(rewards - 0.5))
    with np.errstate(invalid="ignore"), pytest.raises(InputError, match=r"variant 'logarithm', step 0.*not finite"):
        lab.train(WORLD, "logarithm", steps=3, seeds=1, measure=measure)


def test_an_error_in_a_rule_stops_all_threads(own_rule) -> None:
    def breaks(rewards):
        raise RuntimeError("own mistake")

    own_rule("breaks", breaks)
    with pytest.raises(RuntimeError, match="own mistake"):
        lab.train(WORLD, ["grpo", "breaks"], steps=10_000, seeds=2)
