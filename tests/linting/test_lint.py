"""Reward functions with a known fault each: the lint names it, and says nothing of a sound one."""

import json
import math
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import lab
from lab.cli import app
from lab.errors import InputError
from lab.linting.sources import examples_of
from lab.logs.bundles import bundled

EXAMPLES = [
    {"prompt": "What is 2 + 2?", "answer": "4", "completions": [f"<answer>{n}</answer>" for n in (4, 5, 6, 4)]},
    {"prompt": "What is 3 + 4?", "answer": "7", "completions": [f"<answer>{n}</answer>" for n in (7, 1, 2, 3)]},
]


def sound(text: str, answer: str) -> float:
    """1 for a text whose only answer is the right one, in plain characters."""
    return float(re.findall(r"<answer>\s*([0-9]+)\s*</answer>", text) == [answer])


def said(function: Callable[..., Any], examples: list[dict[str, Any]] = EXAMPLES) -> dict[str, str]:
    """Sentence -> severity."""
    return {str(f): f.severity for f in lab.lint(function, examples).findings}


def test_of_a_sound_function_only_what_is_worth_knowing_is_said() -> None:
    found = lab.lint(sound, EXAMPLES)
    assert (found.function, found.style, found.worst) == ("sound", "plain", "note")
    assert found.levels.rows() == [(1.0, 3 / 8), (0.0, 5 / 8)]
    assert found.scores["score"].to_list() == [1, 0, 0, 1, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("function", "sentence", "severity"),
    [
        (lambda text: text != "<answer>5</answer>", "An empty answer is paid like a right answer (1 of 1", "alarm"),
        (lambda text: text != "<answer>5</answer>", "An answer of spaces is paid", "alarm"),
        (lambda text, prompt: sound(text, "4") + (text == prompt), "The prompt repeated is paid like a right", "alarm"),
        (lambda text: float("<answer>" in text and "5" not in text), "The format without content is paid", "alarm"),
        (lambda text: float("4" in text or "7" in text), "The right answer to another prompt is paid", "alarm"),
        (lambda text, answer: float(f">{answer}<" in text), "Every sampled answer one after the other is", "warning"),
        (lambda text, answer: float(text == f"<answer>{answer}</answer>"), "loses reward (2 of 2", "warning"),
        (lambda text, answer: float(f">{answer}<" in text), "A right answer given three times is paid", "note"),
        (lambda text, answer: float(any(c.isdigit() and int(c) == int(answer) for c in text)), "look-alike", "note"),
        (lambda text: 0.25 + 0.75 * ("4" in text) if text else 0.7, "An empty answer is paid more than", "warning"),
        (lambda text: 0.5, "Every sampled answer gets the same reward, 0.5", "alarm"),
        (lambda text, answer: text[0] and sound(text, answer), "It fails on an empty answer: IndexErr", "alarm"),
        (lambda text, answer: math.nan if not text else sound(text, answer), "a reward that is not finite", "alarm"),
        (lambda text, answer: "good" if not text else sound(text, answer), "something that is no number", "alarm"),
        (lambda text, answer: None if not text else sound(text, answer), "It gives None", "note"),
    ],
)  # fmt: skip
def test_a_fault_is_named(function: Callable[..., Any], sentence: str, severity: str) -> None:
    found = said(function)
    assert severity in {found[key] for key in found if sentence in key}, found


def test_a_longer_answer_and_a_reward_that_changes_are_named() -> None:
    answers = ["a" * n for n in (1, 2, 3, 4, 5)]
    found = said(lambda text: len(text) / 10, [{"prompt": "?", "completions": answers}])
    assert found["Longer answers are paid more (rank correlation 1.00 within prompts)."] == "warning"
    turn = iter(range(10_000))
    found = said(lambda text: float(next(turn)), EXAMPLES)
    assert found["8 of 8 sampled answers get another reward when asked a second time."] == "warning"


def test_rewards_that_depend_on_their_neighbours_are_named() -> None:
    def reward(completions: list[str], answer: list[str]) -> list[float]:
        rights = [sound(c, a) for c, a in zip(completions, answer, strict=True)]
        return [r / max(len(rights), 1) for r in rights]

    found = said(reward)
    assert found[
        "3 of 8 sampled answers get another reward when asked in one call with the other answers to the prompt."
    ]


def test_a_time_that_grows_faster_than_the_answer_is_named() -> None:
    def slow(text: str, answer: str) -> float:
        time.sleep((len(text) / 16_000) ** 3 * 1.01)
        return sound(text[-20:], answer)

    assert any("Its time grows faster than the answer" in each for each in said(slow, EXAMPLES[:1]))


@pytest.mark.parametrize(
    ("rewards", "size", "share"),
    [([1, 0, 0, 0], 2, 0.5), ([1, 0, 0, 0], 4, 0.0), ([1, 0], 4, 2 * 0.5**4), ([0, 0, 0, 0], 4, 1.0)],
)
def test_silent_groups_are_those_that_could_be_drawn(rewards: list[float], size: int, share: float) -> None:
    """Without putting back: of 4 with one right, C(3, 2) of C(4, 2) pairs are equal."""
    examples = [{"prompt": "?", "completions": [f"{i}" for i in range(len(rewards))]}]
    found = lab.lint(lambda text: rewards[int(text)] if text.isdigit() else 0.0, examples, sizes=[size])
    assert found.silent.row(0) == (size, pytest.approx(share))


async def later(completions: list[Any], prompts: list[Any], answer: list[str], **_: Any) -> list[float]:
    return [sound(c[0]["content"], a) for c, a in zip(completions, answer, strict=True)]


def compute_score(data_source: str, solution_str: str, ground_truth: str, extra_info: dict) -> dict[str, float]:
    return {"score": sound(solution_str, ground_truth), "acc": 1.0}


def test_trl_and_verl_functions_are_called_as_their_trainers_do() -> None:
    talk = [{**e, "prompt": [{"role": "user", "content": e["prompt"]}]} for e in EXAMPLES]
    found = lab.lint(later, talk)
    assert found.style == "trl" and found.scores["score"].to_list() == [1, 0, 0, 1, 1, 0, 0, 0]
    told = [{**e, "ground_truth": e["answer"]} for e in EXAMPLES]
    found = lab.lint(compute_score, told)
    assert found.style == "verl" and found.scores["score"].to_list() == [1, 0, 0, 1, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("function", "examples", "words"),
    [(sound, [], "no examples"), (sound, [{"completions": ["4"]}], "example 0 has no 'prompt'"),
     (sound, [{"prompt": "?", "completions": ["4"]}], "sound\\(\\) asks for 'answer', .* they have prompt"),
     (sound, [{"prompt": "?", "completions": [4]}], "answers are texts"), (3, EXAMPLES, "a reward function is wanted"),
     (lambda: 1.0, EXAMPLES, "takes nothing")],
)  # fmt: skip
def test_what_cannot_be_tried_is_said(function: Any, examples: list[Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        lab.lint(function, examples)
    with pytest.raises(InputError, match="sizes"):
        lab.lint(sound, EXAMPLES, sizes=[1])


def test_the_command_reads_a_file_and_fails_where_it_is_asked_to(tmp_path: Path) -> None:
    rewards, examples = tmp_path / "lint_rewards_of_mine.py", tmp_path / "examples.jsonl"
    rewards.write_text("def score(text, answer):\n    return 1.0 if not text else float(answer in text)\n")
    examples.write_text("".join(json.dumps(each) + "\n" for each in EXAMPLES))
    ask = [f"{rewards}:score", str(examples)]
    shown = CliRunner().invoke(app, ["lint", *ask])
    assert shown.exit_code == 0 and "An empty answer is paid like a right answer (2 of 2 examples)." in shown.output
    assert CliRunner().invoke(app, ["lint", *ask, "--fail-on", "alarm"]).exit_code == 1
    facts = json.loads(CliRunner().invoke(app, ["lint", *ask, "--json", "--size", "2"]).output)
    assert facts["style"] == "plain" and [row["group_size"] for row in facts["silent"]] == [2]
    for wrong, words in {
        f"{rewards}:scor": "has no function 'scor'; it has score",
        "nothing": "module:function",
    }.items():
        with pytest.raises(InputError, match=words):
            CliRunner().invoke(app, ["lint", wrong, str(examples)], catch_exceptions=False)


def test_a_log_gives_its_groups_as_examples() -> None:
    found = examples_of(next(iter(bundled().values())))
    assert {"prompt", "completions"} <= found[0].keys() and len(found[0]["completions"]) >= 2
    assert lab.lint(lambda text: float(len(text) > 9), found[:2]).scores.height > 2
