"""What a check of an exercise says."""

import numpy as np
import pytest

from lab.exercises import check


@pytest.mark.parametrize(
    ("answer", "right", "good"),
    [
        (0.333, 1 / 3, True),
        (0.35, 1 / 3, False),
        (1000.02, 1000.0, False),
        ([1, 2], np.array([1.0, 2.0]), True),
        ([1, 2, 3], np.array([1.0, 2.0]), False),
        (1.0, np.array([1.0, 1.0]), False),
        ("the median", "the median", True),
        ("the mean", "the median", False),
        ("seven", 7, False),
        (7, lambda n: n > 6, True),
        (6, lambda n: n > 6, False),
        (np.nan, 0.0, False),
    ],
)
def test_numbers_arrays_texts_and_tests(capsys, answer, right, good):
    check(answer, right, "count again")
    assert capsys.readouterr().out == ("right\n" if good else "not yet: count again\n")


def test_nothing_is_said_before_it_is_tried_and_a_tolerance_is_absolute(capsys):
    check(None, 1.0, "count again")
    assert capsys.readouterr().out == ""
    check(1000.4, 1000.0, "count again", within=0.5)
    assert capsys.readouterr().out == "right\n"
