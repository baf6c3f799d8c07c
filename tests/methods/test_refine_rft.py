"""MRN and the rewards for brief thinking."""

import numpy as np
import pytest

import lab
from lab.errors import InputError
from lab.rewards.thinking import soft_overlong, think_length


def test_the_variant_weighs_each_response_by_its_length() -> None:
    variant = lab.variant("refine-rft")
    mask = np.arange(4) < np.array([[[1], [4]]])
    options = variant.options["objective"]
    weights = lab.objectives.weights(variant.objective, np.zeros((1, 2, 4)), [[1.0, -1.0]], mask=mask, **options)
    assert weights[0, 0] == pytest.approx([0.5, 0, 0, 0])
    assert weights[0, 1] == pytest.approx([-0.125] * 4)


def test_brief_thinking_is_one_more_reward() -> None:
    mask = np.arange(12) < np.array([[3, 10, 11, 12]])[..., None]
    scored = lab.rewards.apply("short-thinking", np.zeros((1, 4, 2)), mask=mask, limit=10)
    assert scored.shape == (1, 4, 3)
    assert scored[0, :, 2].tolist() == [1, 1, 0, 0]


def test_no_thinking_at_all_is_not_rewarded() -> None:
    assert think_length(np.array([np.nan, 15.0])).tolist() == [0, 1]


def test_a_ramp_needs_a_width() -> None:
    with pytest.raises(InputError, match="cache=0 tokens"):
        soft_overlong(np.array([1.0]), 50, 0)
