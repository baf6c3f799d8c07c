"""Text tasks with verifiable rewards, in a vocabulary of characters where each tag is one character.

A task makes problems (prompt, a worked solution to imitate, the answer) and says whether an answer is right. Every
solution has the form <think>…</think><answer>…</answer>.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from simulators.errors import one_of

__all__ = ["COMPONENTS", "END", "FORM", "TAGS", "TASKS", "Problem", "Task", "marked", "score", "shown", "task"]

COMPONENTS = ("correct", "format", "length")
"""Reward components: right answer, the form of a solution, and 1 − |n − n*|/T for n tokens where the worked solution
has n* (0 for a response that was cut)."""

END = "\n"
TAGS = {"‹": "<think>", "›": "</think>", "«": "<answer>", "»": "</answer>"}
FORM = "Reply with <think>your thought</think><answer>your answer</answer> and nothing else."
_FORM = re.compile("‹[^‹›«»]*›«([^‹›«»]*)»")


class Problem(NamedTuple):
    """One question: what is asked, a solution to imitate, the answer."""

    prompt: str
    solution: str
    answer: str


@dataclass(frozen=True)
class Task:
    """A family of problems.

    Attributes:
        name: short name.
        make: draws one problem.
        words: what is asked, for a model that reads words.
        right: whether an answer solves a problem; equality by default.
    """

    name: str
    make: Callable[[np.random.Generator], Problem]
    words: str
    right: Callable[[Problem, str], bool] = lambda problem, answer: answer == problem.answer

    def problems(self, number: int, seed: int) -> list[Problem]:
        """Up to `number` different problems in random order, fewer where the task has fewer."""
        rng = np.random.default_rng(seed)
        found: dict[str, Problem] = {}
        for _ in range(20 * number):
            if len(found) == number:
                break
            problem = self.make(rng)
            found.setdefault(problem.prompt, problem)
        every = list(found.values())  # the likelier ones first, so that a split of them as they come is no fair one
        return [every[i] for i in rng.permutation(len(every))]


def score(own: Task, problem: Problem, text: str) -> tuple[float, float]:
    """Components correct and format of a response without its end token."""
    form = _FORM.fullmatch(text)
    answers = re.findall("«([^‹›«»]*)»", text)
    return float(len(answers) == 1 and own.right(problem, answers[0])), float(form is not None)


def shown(text: str) -> str:
    """A response as a reader sees it, tags written out."""
    for mark, tag in TAGS.items():
        text = text.replace(mark, tag)
    return text


def marked(text: str) -> str:
    """What a model wrote, as `score` reads it: tags as marks, blanks beside them dropped; a written mark is no tag."""
    for mark in TAGS:
        text = text.replace(mark, "?")
    for mark, tag in TAGS.items():
        text = text.replace(tag, mark)
    return re.sub(r"\s*([‹›«»])\s*", r"\1", text.strip())


def task(name: str) -> Task:
    """The task of that name.

    Raises:
        ValueError: no such task; the nearest names are offered.
    """
    return one_of("task", name, TASKS)


def _solution(thought: str, answer: str) -> str:
    return f"‹{thought}›«{answer}»"


def _arithmetic(rng: np.random.Generator) -> Problem:
    a, b = (int(x) for x in rng.integers(0, 100, 2))
    return Problem(f"{a:02d}+{b:02d}=", _solution(str(a % 10 + b % 10), str(a + b)), str(a + b))


def _sorting(rng: np.random.Generator) -> Problem:
    digits = "".join(str(d) for d in rng.integers(0, 10, 5))
    ordered = "".join(sorted(digits))
    return Problem(f"{digits}:", _solution(ordered[0], ordered), ordered)


def _brackets(rng: np.random.Generator) -> Problem:
    pairs, opened, prompt = {"(": ")", "[": "]", "{": "}"}, "", ""
    for _ in range(6):
        if opened and rng.random() < 0.4:
            prompt, opened = prompt + pairs[opened[-1]], opened[:-1]
        else:
            new = "([{"[rng.integers(3)]
            prompt, opened = prompt + new, opened + new
    closing = "".join(pairs[b] for b in reversed(opened))
    return Problem(f"{prompt}:", _solution(str(len(opened)), closing), closing)


_STEPS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}


def _countdown(rng: np.random.Generator) -> Problem:
    a, b, c = (int(x) for x in rng.integers(1, 10, 3))
    first, second = ("+-*"[i] for i in rng.integers(0, 3, 2))
    expression = f"{a}{first}{b}{second}{c}"
    value = _value(expression)
    numbers = "".join(str(n) for n in sorted((a, b, c)))
    return Problem(f"{numbers},{value:3d}:", _solution(f"{first}{second}", expression), expression)


def _solves(problem: Problem, answer: str) -> bool:
    numbers, target = problem.prompt.rstrip(":").split(",")
    used = sorted(re.findall(r"\d+", answer))
    return used == list(numbers) and _value(answer) == int(target)


def _value(expression: str) -> int | None:
    """Value of sums, differences and products of whole numbers, None for any other text."""
    if not re.fullmatch(r"\d{1,3}([+\-*]\d{1,3}){0,4}", expression):
        return None
    try:
        return _evaluated(ast.parse(expression, mode="eval").body)
    except SyntaxError:  # 007 is no number
        return None


def _evaluated(node: ast.expr) -> int:
    if isinstance(node, ast.BinOp):
        return int(_STEPS[type(node.op)](_evaluated(node.left), _evaluated(node.right)))
    assert isinstance(node, ast.Constant) and isinstance(node.value, int)
    return node.value


_TOOLS = ("add", "max", "min", "sub")


def _tools(rng: np.random.Generator) -> Problem:
    name = _TOOLS[rng.integers(len(_TOOLS))]
    x, y = rng.integers(0, 10, 2)
    call = f'{{"{name}":[{x},{y}]}}'
    return Problem(f"{name} {x} {y}:", _solution(name[0], call), call)


TASKS = {
    own.name: own
    for own in (
        Task("arithmetic", _arithmetic, "Add the two numbers; think of the sum of their last digits."),
        Task(
            "countdown",
            _countdown,
            "Combine the three digits with +, - or * so that they make the number behind the "
            "comma; think of the two signs.",
            _solves,
        ),
        Task("sorting", _sorting, "Sort the digits; think of the smallest one."),
        Task("brackets", _brackets, "Close the brackets that are open; think of how many there are."),
        Task("tools", _tools, "Write the call of the tool as JSON; think of the first letter of its name."),
    )
}
"""Name of a task -> task."""
