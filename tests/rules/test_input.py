"""What the doors refuse, and what they say."""

from typing import Any

import numpy as np
import pytest

import lab
from lab import advantages
from lab.errors import InputError, MissingFieldError, UnknownNameError

R = np.array([[0.0, 1.0, 0.5, 0.0], [1.0, 1.0, 0.0, 0.5], [0.0, 0.0, 0.0, 0.0]])


@pytest.mark.parametrize(
    ("rewards", "said"),
    [
        ([], "none of them empty"),
        (3.0, r"\[G\], \[P, G\]"),
        (None, r"shape \(\)"),
        (np.ones((1, 1, 1, 1, 1)), r"\(1, 1, 1, 1, 1\)"),
        (["a", "b"], "must be numbers"),
        ([10**400, 1], "must be numbers"),
        ([1j, 2.0], "must be numbers"),
        ([[1, 2], [3]], "must be numbers"),
        (np.zeros((2, 0)), "none of them empty"),
    ],
)
def test_rewards_of_a_wrong_shape_or_kind(rewards: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        advantages.compute("grpo", rewards)


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("grpo", {"weights": [1, 2]}, "one per reward component"),
        ("grpo", {"weights": ["a"]}, "must be numbers"),
        ("grpo", {"weights": [10**400]}, "must be numbers"),
        ("grpo", {"weights": [np.nan]}, "finite"),
        ("grpo", {"precision": "float16"}, "'float64' or 'float32'"),
        ("grpo", {"missing": "drop"}, "'error' or 'skip'"),
        ("grpo", {"eps": "x"}, "eps='x'; it must be a number, such as 0.0001"),
        ("grpo", {"eps": None}, "eps=None; it must be a number"),
        ("grpo", {"eps": np.nan}, "eps=nan"),
        ("grpo", {"eps": True}, "eps=True"),
        ("grpo", {"ddof": 1.5}, "ddof=1.5; it must be a whole number"),
        ("grpo", {"scale": 3}, "scale=3; it must be a text"),
        ("grpo", {"scale": "prompt"}, "'group', 'batch' or 'none'"),
        ("grpo", {"single": "one"}, "'zero' or 'raw'"),
        ("mc-grpo", {"rescale": 1}, "rescale=1; it must be True or False"),
        ("mc-grpo", {"eps": 0.0}, "eps=0.0 gives nan at p=0, g=0, where the rewards are"),
        ("ngrpo", {"n_virtual": -1}, "at least 0"),
        ("gpg", {"f_norm": 0.0}, "f_norm=0.0 gives"),
        ("bnpo", {"low": -1.0, "high": 0.2}, r"outside \[low, high\]"),
        ("bnpo", {"low": 1.0, "high": 1.0}, "low=1, high=1; low must be below high"),
        ("gdpo", {"batch_norm": "all"}, "'none', 'rollout' or 'token'"),
        ("opo", {"mask": np.ones((3, 5))}, r"\(3, 5\)"),
        ("opo", {"mask": np.ones((3, 4, 2, 2))}, r"\[\.\.\., P, G, T\]"),
        ("opo", {"mask": np.full((3, 4, 2), 0.5)}, "neither 0 nor 1"),
        ("opo", {"mask": np.full((3, 4, 2), np.nan)}, "neither 0 nor 1"),
        ("remax", {"greedy_rewards": np.ones(5)}, r"one per prompt is needed: \(3,\)"),
        ("remax", {"greedy_rewards": np.ones((3, 2))}, "one per prompt"),
        ("remax", {"greedy_rewards": [np.nan, 0, 0]}, "finite"),
    ],
)
def test_fields_and_options_that_can_not_be_used(name: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        advantages.compute(name, R, **given)


def test_options_may_be_numpy_numbers() -> None:
    assert np.array_equal(advantages.compute("grpo", R, eps=np.float32(0.5), ddof=np.int64(0)),
                          advantages.compute("grpo", R, eps=0.5, ddof=0))  # fmt: skip


def test_unknown_names_come_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown advantage rule 'grop'; nearest: .*'grpo'"):
        advantages.compute("grop", R)
    with pytest.raises(UnknownNameError, match="nothing similar"):
        advantages.compute("xyzzy", R)
    with pytest.raises(UnknownNameError, match=r"'ep'; nearest: 'eps'; grpo accepts ddof=1, eps=0\.0001"):
        advantages.compute("grpo", R, ep=1)
    with pytest.raises(UnknownNameError, match="greedy_rewards"):
        advantages.compute("grpo", R, greedy_rewards=[1, 2, 3])
    with pytest.raises(UnknownNameError, match="nearest: 'clip_high'"):
        lab.variant("grpo", clip_hihg=0.3)
    with pytest.raises(KeyError):
        lab.variant("ppo")


def test_names_ignore_case_and_kind_of_dash() -> None:
    for name in ("DR_GRPO", "dr-grpo", " Dr_Grpo "):
        assert advantages.rule(name).name == "dr_grpo"
    assert advantages.names() == list(dict.fromkeys(advantages.names()))
    assert all("@" not in name for name in advantages.names(presets=False))


def test_a_field_that_is_not_given() -> None:
    with pytest.raises(MissingFieldError, match=r"'remax' reads greedy_rewards.*pass greedy_rewards="):
        advantages.compute("remax", R)
    with pytest.raises(TypeError):
        advantages.compute("remax", R, greedy_rewards=None)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"eps": "x"}, InputError),
        ({"clip_high": "wide"}, InputError),
        ({"kl": "k4"}, UnknownNameError),
        ({"kl_beta": -1.0}, InputError),
        ({"refill": 1.5}, InputError),
        ({"max_grad_norm": 0.0}, InputError),
    ],
)
def test_options_of_a_variant_are_checked_at_once(given: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        lab.variant("dapo", **given)


def test_a_fixed_clip_may_be_switched_off() -> None:
    assert lab.variant("ppo_clip@verl", dual_clip=None).options["objective"]["dual_clip"] is None


def test_explain_names_the_place_that_is_not_there() -> None:
    with pytest.raises(InputError, match="prompt=7"):
        advantages.explain("grpo", R, prompt=7)
