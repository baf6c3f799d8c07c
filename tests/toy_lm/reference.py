"""A plain Python language model and plain Python referees of its tasks, sharing no code with the simulators."""

from __future__ import annotations

import itertools
import math
import re

from lab.rewards.toolrl import matched
from tests.simulators.reference import softmax

__all__ = ["referee", "respond", "responses"]


def respond(logits: list, uniforms: list[float]) -> tuple[list[int], list[float]]:
    """Tokens and their log-probabilities from logits [T][V][V] of one prompt and one number per position."""
    before, tokens, logp = 0, [], []
    for table, u in zip(logits, uniforms, strict=True):
        chances = softmax(table[before])
        before = next((v for v in range(len(chances)) if sum(chances[: v + 1]) > u), len(chances) - 1)
        tokens.append(before)
        logp.append(math.log(chances[before]))
        if before == 0:
            break
    return tokens, logp


def responses(vocabulary: int, length: int) -> list[tuple[int, ...]]:
    """Every response: up to T − 1 letters and the end token, or T letters; short ones filled up with end tokens."""
    letters = range(1, vocabulary)
    ended = [(*y, *[0] * (length - n)) for n in range(length) for y in itertools.product(letters, repeat=n)]
    return ended + list(itertools.product(letters, repeat=length))


def referee(question: str, tokens: tuple[str, ...], response: tuple[int, ...]) -> list[float]:
    """(correct, format, length) of a response (filled up with end tokens), read from the text alone."""
    ended = 0 in response
    words = [tokens[v] for v in response if v]
    correct, formed, target = _judged(question, words, ended)
    near = 1 - abs(len(words) - target) / len(response) if ended else 0.0
    return [correct, formed, near]


def _judged(question: str, words: list[str], ended: bool) -> tuple[float, float, int]:
    if "mod" in question:
        a, b, m = map(int, re.findall(r"\d+", question))
        formed = ended and len(words) >= 2 and words[-2] == "=" and words.count("=") == 1
        return float(formed and words[-1] == str((a + b) % m)), float(formed), 2
    if question.startswith("("):
        depths = list(itertools.accumulate({"(": 1, ")": -1}.get(w, 0) for w in [*question, *words]))
        formed = ended and min(depths) >= 0
        return float(formed and depths[-1] == 0), float(formed), len(question)
    if question.endswith("letters"):
        number = int(question.split(maxsplit=1)[0])
        return float(ended and len(words) == number), float(ended), number
    if question.startswith("call"):
        return _called(question, words)
    if " letters of " in question:
        number, secrets = question.split(" letters of ")
        agree = [sum(w == x for w, x in zip(words, s.split(), strict=False)) for s in secrets.split(" or ")]
        return float(max(agree) >= int(number)), float(ended), int(number)
    name, word = question.split(": ")
    wanted = word.split()[:: -1 if name == "reverse" else 1]
    placed = sum(w == x for w, x in zip(words, wanted, strict=False))
    return placed / len(wanted), float(ended and len(words) == len(wanted)), len(wanted)


def _called(question: str, words: list[str]) -> tuple[float, float, int]:
    """A tool call read as text, and scored by the rules of the paper as the lab has them for texts."""
    tool, *values = re.findall(r"call (\w+) with x=(\w+), y=(\w+), z=(\w+)", question)[0]
    truth = [{"name": tool, "parameters": dict(zip("xyz", values, strict=True))}]
    given = {k: w for k, w in zip("xyz", words[2:5], strict=False) if w != "a"}
    call = [{"name": words[1], "parameters": given}] if len(words) >= 5 else []
    return matched(truth, call), float(words[:1] == ["a"]), 5
