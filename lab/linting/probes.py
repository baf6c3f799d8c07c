"""Answers that nobody should be paid for, or that should be paid as before: what a policy under training finds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from lab.linting.calls import Example

__all__ = ["LENGTHS", "PROBES", "Probe"]

#: Characters of ever longer answers; a function that gets slow is not asked for the next.
LENGTHS = (1_000, 4_000, 16_000, 64_000)

_FRAME = re.compile(
    r"</?[A-Za-z_][\w-]*>|\\boxed\{|\\[\[\]()]|[{}\[\]]|`{3}\w*|#{2,}|\*\*|^\s*(?:Final )?[Aa]nswer:", re.M
)
_LIKE = str.maketrans({"a": "а", "c": "с", "e": "е", "o": "о", "p": "р", "x": "х"})  # Cyrillic


class Probe(NamedTuple):
    """One way to answer without solving the task, or to solve it and look different.

    Attributes:
        label: What the answer is, in a sentence: "an empty answer".
        wanted: Whether it should be paid like a right answer; None: either can be meant, but it is worth knowing.
        severity: Of what is not as wanted.
        text: From an example, a right answer to it, and one to another example; None where it cannot be made.
    """

    label: str
    wanted: bool | None
    severity: str
    text: Callable[[Example, str, str | None], str | None]


def _all_answers(example: Example, right: str, _: str | None) -> str | None:
    """Every different sampled answer, the right one among them, one after the other."""
    different = list(dict.fromkeys([*example.completions, right]))
    return "\n".join(different) if len(different) > 1 else None


def _frame(example: Example, right: str, _: str | None) -> str | None:
    kept = "".join(match.group() for match in _FRAME.finditer(right))
    return kept if kept.strip() and kept != right.strip() else None


def _alike(example: Example, right: str, _: str | None) -> str | None:
    """Digits at full width and Cyrillic letters: they look the same and are others."""
    changed = "".join(chr(ord(c) + 0xFEE0) if c in "0123456789" else c for c in right).translate(_LIKE)
    return changed if changed != right else None


#: The probes by name.
PROBES: Mapping[str, Probe] = {
    "empty": Probe("an empty answer", False, "alarm", lambda e, right, other: ""),
    "blank": Probe("an answer of spaces", False, "alarm", lambda e, right, other: " \n "),
    "prompt": Probe("the prompt repeated", False, "alarm", lambda e, right, other: e.words or None),
    "frame": Probe("the format without content", False, "alarm", _frame),
    "other": Probe("the right answer to another prompt", False, "alarm", lambda e, right, other: other),
    "all": Probe("every sampled answer one after the other", False, "warning", _all_answers),
    "spaces": Probe("a right answer with spaces and a line break around it", True, "warning",
                    lambda e, right, other: f"  {right} \n"),
    "twice": Probe("a right answer given three times", None, "note", lambda e, right, other: "\n".join([right] * 3)),
    "alike": Probe("a right answer in look-alike characters", None, "note", _alike),
    "long": Probe("a right answer after 4,000 characters of nothing", None, "note",
                  lambda e, right, other: padded(right, LENGTHS[1])),
}  # fmt: skip


def padded(right: str, length: int) -> str:
    """A right answer after `length` characters of words that say nothing."""
    words = "well, let me think. "
    return (words * (length // len(words) + 1))[:length] + "\n" + right


def others(rights: Sequence[str | None]) -> list[str | None]:
    """For each right answer that of another example, one that differs; None where there is none."""
    found = []
    for place, own in enumerate(rights):
        after = [*rights[place + 1 :], *rights[:place]]
        found.append(next((r for r in after if r is not None and r != own), None))
    return found
