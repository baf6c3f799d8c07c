"""Several variants on the same rollouts, and how unevenly they treat the tokens."""

import numpy as np
import pytest

import lab
from lab.errors import InputError, MissingFieldError
from lab.experiment import by_group_size, replay, side_by_side
from lab.measures.tokens import token_weights, weight_spread
from simulators import Bandit


def test_all_look_at_the_rollouts_of_the_first_ones_policy():
    world = lab.world("hidden-lm")
    moments = side_by_side(world, ["thr", "grpo"], seed=3, step=4, lr=8.0)
    assert list(moments) == ["thr", "grpo"]
    assert np.array_equal(moments["thr"].rollouts.actions, moments["grpo"].rollouts.actions)
    alone = replay(world, "thr", seed=3, step=4, lr=8.0).moment
    assert np.array_equal(alone.weights["logp"], moments["thr"].weights["logp"])
    assert not np.array_equal(moments["thr"].weights["logp"], moments["grpo"].weights["logp"])


def test_credit_per_rollout_is_even_and_credit_per_token_is_not():
    world = lab.world("turns", task="search")
    moments = side_by_side(world, ["grpo", "a2tgpo"], seed=0)
    spread = [weight_spread(token_weights(m, world, variant=v)).row(0, named=True) for v, m in moments.items()]
    assert [row["variant"] for row in spread] == ["grpo", "a2tgpo"]
    assert spread[0]["uneven"] == 0 and spread[1]["uneven"] > 0.5
    assert 0 <= spread[1]["zero"] < 1


def test_bad_input_is_refused():
    world = lab.world("bandit")
    with pytest.raises(InputError, match="step=-1"):
        side_by_side(world, ["grpo"], seed=0, step=-1)
    with pytest.raises(MissingFieldError, match="hidden"):
        side_by_side(world, ["thr"], seed=0)


def test_no_group_size_is_said() -> None:
    with pytest.raises(InputError, match=r"group_sizes=\[\]; it must be a list of group sizes"):
        by_group_size(Bandit([[0.2, 0.8]]), ["grpo"], [])
