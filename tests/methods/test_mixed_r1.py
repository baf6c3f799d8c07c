"""The rewards of Mixed-R1, one kind of task after the other."""

import numpy as np
import pytest

import lab
from lab.errors import InputError
from lab.rewards.mixed import bmas, box_overlap, chart, keeps_format, matching


@pytest.mark.parametrize(
    ("answer", "truth", "reward"),
    [
        (" Yes. ", "yes", 1),
        ("(B)", "b", 1),
        ("B.", "(B)", 1),
        ("no", "yes", 0),
        ("", "yes", 0),
        ("(B) it is because A is wrong", "B", 1),
        ("B. Paris", "B", 1),
        ("B) Paris", "(B)", 1),
        ("b", "B", 1),
        ("A.", "B", 0),
        ("The answer is (c).", "C", 1),
        ("The answer is C", "C", 1),
        ("A cat", "A", 0),
        ("I think (B)", "B", 1),
        ("Paris", "B", 0),
        ("", "B", 0),
        ("(B) Paris", "Paris", 0),
        ("7", "7", 1),
    ],
)
def test_matching(answer: str, truth: str, reward: float) -> None:
    assert matching(answer, truth) == reward


@pytest.mark.parametrize(
    ("answer", "truth", "reward"),
    [("104", "100", 1), ("106", "100", 0), ("1,040", "1000", 1), ("42%", "42", 1), ("0", "0", 1), ("0.1", "0", 0),
     ("red", "Red", 1), ("red", "3", 0), ("-104", "-100", 1)],
)  # fmt: skip
def test_chart(answer: str, truth: str, reward: float) -> None:
    assert chart(answer, truth) == reward


@pytest.mark.parametrize(
    ("box", "reward"),
    [
        ([0, 0, 2, 2], 1),
        ([1, 0, 3, 2], 1 / 3),
        ([2, 2, 3, 3], 0),
        ([2, 2, 0, 0], 0),
        ([0, 0, 2], 0),
        ([0, 0, np.nan, 1], 0),
    ],
)
def test_box_overlap(box: list[float], reward: float) -> None:
    assert box_overlap(box, [0, 0, 2, 2]) == pytest.approx(reward)
    assert box_overlap([1, 1, 1, 1], [1, 1, 1, 1]) == 0


def test_bmas_by_hand_and_at_its_edges() -> None:
    e = np.array([[1.0, 0], [0, 2]])
    assert bmas(e, np.array([[3.0, 0]])) == pytest.approx((0.75, 0.5, 1.0))
    assert bmas(e, np.zeros((0, 2))) == (0, 0, 0)
    assert bmas(-e[:1], e[:1])[0] == pytest.approx(-1)
    with pytest.raises(InputError, match=r"\[n, d\]"):
        bmas(e, np.ones((2, 3)))


def test_format() -> None:
    assert keeps_format("<think>a\nb</think>\n<answer>c</answer>") == 1
    assert keeps_format("<answer>c</answer>") == 0
    assert keeps_format("well, <think>a</think><answer>c</answer>") == 0
    assert keeps_format("<think>a</think><answer>b</answer><answer>c</answer>") == 0
    assert keeps_format("<think>a</think><answer>b</answer> no <answer>c</answer>") == 0
    assert keeps_format("<think>a</think><think>b</think><answer>c</answer>") == 0
    assert keeps_format("<think>a < b</think>\n<answer>x <= 2</answer>\n") == 1


def test_the_total_adds_half_the_format_bit() -> None:
    total = lab.rewards.apply("mixed-r1", np.array([[[1, 1], [0.3, 0]]]))
    assert total.tolist() == [[[1.5], [0.3]]]
    assert lab.rewards.apply("mixed-r1", [[1.0, 0.0]]).tolist() == [[[1], [0]]]
