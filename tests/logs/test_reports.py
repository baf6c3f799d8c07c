"""Logs of the kinds that users report: each gets its right answer, and nothing else above a note.

The logs in `reports/` are made up, in the layout of the trainer.
"""

from pathlib import Path
from typing import NamedTuple

import pytest

import lab
from lab.logs import RolloutTable
from lab.logs.diagnosis import Diagnosis

REPORTS = Path(__file__).parent / "reports"


class Answer(NamedTuple):
    """What must be said: findings above a note, words of the findings and notes, words that must not be there."""

    worse: dict[str, str]
    words: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    rule: tuple[str, str] | None = ("grpo@trl", "float32")


ANSWERS = {
    "eval_fewer_generations": Answer(
        {}, ("16 rows of step 2", "evaluation", "eval_reward"), ("phantom", "groups of 2")
    ),
    "interleaved": Answer(
        {"advantages.mixed": "alarm"},
        ("rows of different prompts", "8 groups of one prompt"),
        ("equal rewards", "phantom"),
    ),
    "uneven_groups": Answer(
        {"advantages.batch": "warning"},
        ("1 of 3 groups have 3 rollouts instead of 4", "over all rollouts of a step", "1 group of equal rewards"),
        ("phantom", "rounding"),
        ("grpo@trl-none", "float64"),
    ),
    "nan_advantage": Answer(
        {"advantages.not_finite": "alarm", "policy.not_finite": "alarm"},
        ("64 of 64 advantages are NaN", "The gradient norm is NaN in 1 of 1 steps"),
        ("no advantages",),
        None,
    ),
    "advantage_spike": Answer(
        {"advantages.out_of_scale": "alarm"},
        ("rollout 0 in group 3 of step 1 is -7428",),
        (),
        ("grpo@trl-none", "float32"),
    ),
    "inverted": Answer({"advantages.inverted": "alarm"}, ("inverted signs", "grpo@trl"), ("grpo_passk",)),
    "one_ulp_apart": Answer(
        {"signal.rounding": "warning"},
        ("rounding alone", "at most 6.0e-08", "advantages of 1.1"),
        ("cancel in them", "parts differ", "equal rewards"),
        ("grpo@rlhf-book", "float32"),
    ),
    "bf16_advantage": Answer({}, ("grpo@trl in bfloat16",), ("No rule",), ("grpo@trl", "bfloat16")),
    "weights_of_two_scales": Answer(
        {},
        ("Reward weights from the means in trainer_state.json: 5.0, 0.01",),
        ("nothing tells",),
        ("grpo@trl", "float64"),
    ),
    "constant_component": Answer(
        {"signal.idle_part": "warning"}, ("The reward far never differs within a group",), (), ("grpo@trl", "float64")
    ),
    "solved_and_hopeless": Answer(
        {"signal.silent": "warning"}, ("(87.5%) have equal rewards", "37.5% solved, 50.0% never right")
    ),
    "empty_answers": Answer(
        {"rewards.identical": "alarm", "rewards.empty": "alarm"},
        ("33.3% solved", "100.0% of the completions are one and the same, '<answer></answer>'", "it was 1.6%"),
    ),
    "between_the_files": Answer(
        {"policy.entropy": "alarm", "policy.gradient_spike": "alarm", "policy.kl": "alarm"},
        ("2 of 60 steps have rollouts", "(33, 47)", "900, where 0.2 is usual", "from 1.086 to 0.003", "to 81 nats"),
    ),
    "healthy": Answer({}, ("Nothing in this log looks wrong", "A loss of 0 is normal")),
    "verl": Answer({}, ("1 of 2 groups (50.0%) have equal rewards",), ("TRL",), None),
    "ms_swift": Answer({}, (), ("NaN advantages",), None),
    "wandb": Answer({}, ("each of the 2 groups has different rewards",), (), ("grpo@openrlhf", "float32")),
}


def said(found: Diagnosis) -> str:
    return " ".join([*map(str, found.findings), *found.table.notes])


@pytest.mark.parametrize("name", ANSWERS)
def test_a_report_gets_its_answer(name: str) -> None:
    answer, found = ANSWERS[name], lab.diagnose(REPORTS / name)
    assert {f.kind: f.severity for f in found.findings if f.severity != "note"} == answer.worse
    for words in answer.words:
        assert words in said(found)
    for words in answer.never:
        assert words not in said(found)
    by = found.estimator
    assert (None if by is None else (by.rule, by.precision)) == answer.rule


def test_the_groups_of_a_report_with_evaluations() -> None:
    table: RolloutTable = lab.load(REPORTS / "eval_fewer_generations")
    assert (table.group_size, table.frame.height, table.evaluation.height) == (8, 176, 16)
    assert table.evaluation["step"].unique().to_list() == [2]
    assert table.evaluation.group_by("group").len()["len"].unique().to_list() == [2]
    assert table.prompts_per_step == {1: 8, 2: 6, 3: 8}


def test_what_reports_say_of_their_groups() -> None:
    table = lab.load(REPORTS / "uneven_groups")
    assert (table.group_size, table.at(1).present.sum(-1).tolist()) == (None, [[4, 3, 4]])
    found = lab.diagnose(REPORTS / "advantage_spike").findings[0]
    assert found.rows.rows() == [(1, 3, 0, pytest.approx(0.35), pytest.approx(-7428, abs=1))]
    assert found.first_step == 1
