"""GCPO's ratios by hand and at their edges."""

import numpy as np
import pytest

from lab import advantages
from lab.advantages.gcpo import win_ratios

SCORES = np.array([[3.0, 1, 2], [2, 0, 2]])


def test_ratios_by_hand() -> None:
    assert win_ratios(SCORES) * 3 == pytest.approx(np.array([[3, 1, 1], [1, 3, 1]]))
    assert advantages.compute("gcpo", SCORES) * 9 == pytest.approx(np.array([[4, -2, -2], [-2, 4, -2]]))


def test_pairs_do_not_touch_each_other_and_an_odd_prompt_gets_nothing() -> None:
    scores = np.random.default_rng(0).integers(0, 4, (5, 6))
    found = advantages.compute("gcpo", scores)
    assert np.array_equal(found[2:4], advantages.compute("gcpo", scores[2:4]))
    assert not found[4].any()


def test_one_trace_teaches_nothing() -> None:
    assert not advantages.compute("gcpo", [[1.0], [0.0]]).any()


def test_an_unscored_trace_wins_against_nobody() -> None:
    found = advantages.compute("gcpo", np.where([[1, 1, 0], [1, 1, 1]], SCORES, np.nan), missing="skip")
    assert found[0, 2] == 0
    assert found[0, :2] == pytest.approx([1 / 3, -1 / 3])
    assert found[1] == pytest.approx([1 / 6 - 1 / 3 - 1 / 6 + 1 / 3 - 1 / 6, 1 / 3, -1 / 6])


def test_longer_right_traces_show_as_a_negative_tendency() -> None:
    from lab.advantages.gcpo import length_tendency

    advantage = np.array([[0.5, -0.5], [0.5, -0.5]])
    assert length_tendency(advantage, np.array([[100, 10], [10, 100]])) == pytest.approx([-0.0225, 0.0225])
