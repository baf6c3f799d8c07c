"""How a reward function is called, told by its parameters, and what it answers, whatever that is.

Three kinds are known: TRL's `f(completions, **columns)`, which takes lists; verl's `compute_score(data_source,
solution_str, ground_truth, extra_info)`; and a plain `f(text, **columns)` whose first parameter is the answer.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

from lab.errors import InputError
from lab.text import listed, printable

__all__ = ["Answer", "Example", "RewardFunction"]


@dataclass(frozen=True)
class Example:
    """A prompt with what is known of its answers.

    Attributes:
        prompt: Text, or a conversation as a list of messages.
        completions: Answers sampled from a policy.
        right: An answer that deserves the full reward; None: the best paid of the sampled ones stands for it.
        columns: What else the reward function reads, by name.
    """

    prompt: Any
    completions: tuple[str, ...] = ()
    right: str | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, given: Any, place: int) -> Example:
        """From a mapping with `prompt`, and where they are known `completions`, `right` and further columns.

        Raises:
            InputError: It has no prompt, or answers that are no texts.
        """
        if not isinstance(given, Mapping) or "prompt" not in given:
            raise InputError(f"example {place} has no 'prompt'; an example is a mapping such as {{'prompt': 'What is 2 "
                             "+ 2?', 'completions': ['4', '5'], 'answer': '4'}")  # fmt: skip
        texts = given.get("completions", ())
        right = given.get("right")
        answers = [*([texts] if isinstance(texts, str) else texts), *([] if right is None else [right])]
        if wrong := [a for a in answers if not isinstance(a, str)]:
            raise InputError(f"example {place} has the answer {printable(repr(wrong[0]))[:60]}; answers are texts")
        further = {name: value for name, value in given.items() if name not in ("prompt", "completions", "right")}
        return cls(given["prompt"], tuple(answers if right is None else answers[:-1]), right, further)

    @property
    def words(self) -> str:
        """The prompt as text: of a conversation its last message."""
        if isinstance(self.prompt, str):
            return self.prompt
        last = self.prompt[-1] if self.prompt else {}
        return str(last.get("content", "") if isinstance(last, Mapping) else last)


@dataclass(frozen=True)
class Answer:
    """What a reward function said to one answer.

    Attributes:
        score: The reward; NaN where it gave none.
        seconds: Time of the call.
        kind: "number", "none" (it leaves the rollout out), "not finite", "no number" or "raised".
        said: What came instead of a number.
    """

    score: float
    seconds: float
    kind: str = "number"
    said: str = ""


class RewardFunction:
    """A reward function with one way of calling it.

    Args:
        function: The function, `async` or not.

    Attributes:
        style: "trl", "verl" or "plain".

    Raises:
        InputError: It cannot be called, or takes nothing.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        if not callable(function):
            raise InputError(f"a reward function is wanted, not {printable(repr(function))[:60]}")
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)
        self._parameters = inspect.signature(function).parameters
        if not self._parameters:
            raise InputError(f"{self.name}() takes nothing; a reward function takes the answer that it judges")
        known = {"completions": "trl", "solution_str": "verl"}
        self.style = next((known[name] for name in self._parameters if name in known), "plain")

    def __call__(self, example: Example, text: str) -> Answer:
        """Its reward of one answer to an example; what it raises is part of the answer."""
        given = self._given(example, [text])
        start = time.perf_counter()
        try:
            said = self._called(given, text)
        except Exception as error:
            return Answer(math.nan, time.perf_counter() - start, "raised", f"{type(error).__name__}: {error}")
        return _read(self._only(said), time.perf_counter() - start)

    def together(self, example: Example) -> list[Answer] | None:
        """The rewards of all sampled answers in one call, as TRL makes it; None where it takes one at a time."""
        if self.style != "trl":
            return None
        try:
            said = list(self._called(self._given(example, example.completions), ""))
        except Exception as error:
            return [Answer(math.nan, 0.0, "raised", f"{type(error).__name__}: {error}")]
        return [_read(each, 0.0) for each in said]

    def _called(self, given: Mapping[str, Any], text: str) -> Any:
        said = self.function(text, **given) if self.style == "plain" else self.function(**given)
        return asyncio.run(_awaited(said)) if inspect.isawaitable(said) else said

    def _only(self, said: Any) -> Any:
        """The reward of the one answer that was given."""
        if self.style == "verl" and isinstance(said, Mapping):
            return said.get("score", said)
        if self.style == "trl":
            return said[0] if isinstance(said, Sequence) and len(said) == 1 else said
        return said

    def _given(self, example: Example, texts: Sequence[str]) -> dict[str, Any]:
        """Its arguments by name.

        Raises:
            InputError: It asks for something that the example does not have.
        """
        has = dict(example.columns)
        if self.style == "trl":
            talk = not isinstance(example.prompt, str)
            answers = [[{"role": "assistant", "content": t}] if talk else t for t in texts]
            has = {name: [value] * len(texts) for name, value in has.items()}
            has |= {"prompts": [example.prompt] * len(texts), "completions": answers}
        elif self.style == "verl":
            has = (
                {"data_source": "", "extra_info": {}, "ground_truth": example.right} | has | {"solution_str": texts[0]}
            )
        else:
            has = {"prompt": example.prompt} | has
        wanted = dict(list(self._parameters.items())[1:] if self.style == "plain" else self._parameters)
        if any(p.kind is p.VAR_KEYWORD for p in wanted.values()):
            return has
        bare = [
            n for n, p in wanted.items() if p.default is p.empty and p.kind is not p.VAR_POSITIONAL and n not in has
        ]
        if bare:
            columns = listed(["prompt", "completions", *example.columns])
            raise InputError(f"{self.name}() asks for {bare[0]!r}, which the examples do not have; they have {columns}")
        return {name: has[name] for name in wanted if name in has}


async def _awaited(said: Any) -> Any:
    return await said


def _read(said: Any, seconds: float) -> Answer:
    if said is None:
        return Answer(math.nan, seconds, "none", "None")
    item = said.item() if hasattr(said, "item") and getattr(said, "size", getattr(said, "numel", None)) == 1 else said
    if not isinstance(item, Real):
        return Answer(math.nan, seconds, "no number", printable(repr(said))[:80])
    score = float(item)
    return Answer(score, seconds) if math.isfinite(score) else Answer(math.nan, seconds, "not finite", str(score))
