"""The text tasks: worked solutions are right, other answers are judged on what they say."""

import numpy as np
import pytest

from simulators.small_lm import tasks
from simulators.small_lm.tasks import TASKS, Problem, score


@pytest.mark.parametrize("name", TASKS)
def test_worked_solutions_are_right_and_of_the_form(name):
    own = tasks.task(name)
    problems = own.problems(200, seed=3)
    assert len({p.prompt for p in problems}) == len(problems) == 200
    assert all(score(own, p, p.solution) == (1.0, 1.0) for p in problems)
    assert own.problems(200, seed=3) == problems != own.problems(200, seed=4)


def test_the_held_out_problems_are_as_hard_as_the_others():
    sizes = np.array([len(p.answer) for p in tasks.task("brackets").problems(2000, seed=0)])
    held = sizes[: len(sizes) // 5].mean()
    assert abs(held - sizes[len(sizes) // 5 :].mean()) < 0.3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("‹9›«19»", (1, 1)),
        ("«19»", (1, 0)),
        ("‹9›«18»", (0, 1)),
        ("‹9›19", (0, 0)),
        ("‹9›«19»«19»", (0, 0)),
        ("‹«19»›«19»", (0, 0)),
        ("", (0, 0)),
    ],
)
def test_answer_and_form_are_judged_apart(text, expected):
    assert score(tasks.task("arithmetic"), Problem("07+12=", "‹9›«19»", "19"), text) == expected


@pytest.mark.parametrize(
    ("answer", "right"),
    [("3+5*2", 1), ("5*2+3", 1), ("2*5+3", 1), ("3+5+5", 0), ("13", 0), ("3+5*2+0", 0), ("35-22", 0), ("3+", 0),
     ("__import__('os')", 0), ("2**9", 0), ("03+5*2", 0)],
)  # fmt: skip
def test_any_way_to_the_target_counts(answer, right):
    own = tasks.task("countdown")
    assert score(own, Problem("235, 13:", "", "3+5*2"), f"‹+*›«{answer}»") == (right, 1)


def test_tags_are_written_out_for_readers():
    assert tasks.shown("‹9›«19»") == "<think>9</think><answer>19</answer>"


def test_an_unknown_task_names_the_near_ones():
    with pytest.raises(ValueError, match="arithmetic"):
        tasks.task("arithmetik")
