"""The hybrid reward: which score counts, who is penalised, and what bad input says."""

import numpy as np
import pytest

import lab
from lab.errors import InputError, MissingFieldError
from lab.rewards.hybrid import length_penalty
from simulators import Bandit

REWARDS = np.array([[[1, 0.2, 1], [0, 0.9, 0]], [[1, 0.2, 1], [0, 0.9, 0]]])
MASK = np.arange(4) < np.array([[4, 1], [2, 4]])[..., None]


def test_checkable_prompts_take_the_rule_and_open_ones_the_score() -> None:
    scored = lab.rewards.apply("hybrid-reward", REWARDS, mask=MASK, task=[0, 1])
    assert scored[..., 0].tolist() == [[1, 0], [0.2, 0.9]]
    assert scored[0, 1] == pytest.approx([0, -0.75, 0])
    assert scored[1, 0] == pytest.approx([0.2, -0.5, 0.2])


def test_a_group_without_a_correct_answer_is_not_penalised() -> None:
    assert not length_penalty(np.zeros((1, 3)), np.array([[1, 2, 3]])).any()


def test_correct_answers_are_penalised_only_on_request() -> None:
    score, lengths = np.ones((1, 2)), np.array([[1, 3]])
    assert not length_penalty(score, lengths).any()
    assert length_penalty(score, lengths, everywhere=True).tolist() == [[-0.5, 0]]


def test_open_prompts_need_a_learned_score() -> None:
    with pytest.raises(InputError, match="learned score"):
        lab.rewards.apply("hybrid-reward", REWARDS[..., :1], mask=MASK, task=[0, 1])
    with pytest.raises(MissingFieldError, match="mask"):
        lab.rewards.apply("hybrid-reward", REWARDS)


def test_the_variant_trains_where_there_is_one_reward() -> None:
    world = Bandit(success=np.tile([0.2, 0.8], (3, 1)))
    trace = lab.train(world, "hybrid-reward", steps=60, seeds=2)
    assert trace.frame["value"][-1] > 0.6
