"""Verifiable tasks of the toy language model, each a small machine that reads a response and pays it.

A machine has Q states and starts in state 0. Token v at position t in state q pays payoffs[t, q, v] and leads to
state following[t, q, v]; so the reward of a response is a sum along its path, and because Q is small its expectation
under a policy is exact. Token 0 is the end token. A response is cut after T tokens if it has not ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.random import uniforms
from simulators.records import Floats

__all__ = [
    "COMPONENTS", "END", "TASKS", "Machine", "arithmetic", "brackets", "copy", "length_control", "reverse", "targets",
    "tool_call",
]  # fmt: skip

END = 0
"""The token that ends a response."""

_APART = 2**63  # a step that no training run comes to: questions share no number with the rollouts of any run

COMPONENTS = ("correct", "format", "length")
"""Reward components of every task. `length` is 1 − |n − n*|/T for a response of n tokens before its end token, n* the
length of the shortest right answer; a response that was cut has 0."""


@dataclass(frozen=True, eq=False)
class Machine:
    """The questions of one task and how their responses are scored.

    Attributes:
        name: name of the task.
        tokens: how each token is written [V].
        questions: the prompts as text [P].
        targets: length of the shortest right answer, without the end token [P].
        following: next state of each prompt, position, state and token [P, T, Q, V].
        payoffs: what that token pays [P, T, Q, V, K], components as in `COMPONENTS`.
    """

    name: str
    tokens: tuple[str, ...]
    questions: tuple[str, ...]
    targets: NDArray[np.int64]
    following: NDArray[np.int32]
    payoffs: Floats


def arithmetic(prompts: int, vocabulary: int, length: int, seed: int) -> Machine:
    """Sums modulo m = V − 2, answered as "working = digit": a + b = ? (mod m).

    Tokens: end, "=", and the digits 0 to m − 1. `format` is 1 for any digits, then one "=", one digit and the end;
    `correct` is 1 where that digit is also the sum.
    States: 0 working, 1 after "=", 2 right digit, 3 wrong digit, 4 format lost.

    Raises:
        ValueError: for fewer than 4 tokens, or a length below 3 ("= digit end").
    """
    _at_least("arithmetic", vocabulary, 4, length, 3)
    digits = vocabulary - 2
    terms = _draws(seed, prompts, 2, digits)
    following, payoffs, ends = _tables(prompts, length, 5, vocabulary)
    following[:] = 4
    following[:, :, 0, 1], following[:, :, 0, 2:], following[:, :, 1, 2:] = 1, 0, 3
    following[np.arange(prompts), :, 1, 2 + terms.sum(axis=1) % digits] = 2
    ends[:, :, 2, 0] = ends[:, :, 2:4, 1] = 1
    names = ("end", "=", *map(str, range(digits)))
    questions = tuple(f"{a} + {b} (mod {digits})" for a, b in terms)
    return _machine("arithmetic", names, questions, np.full(prompts, 2), following, payoffs)


def brackets(prompts: int, vocabulary: int, length: int, seed: int) -> Machine:
    """Close the open brackets of the prompt: "(((" is answered by ")))", or by "()x)))".

    Tokens: end, "(", ")", and letters that do nothing. `correct` is 1 where all brackets match at the end, `format`
    where none was closed that had not been opened. Prompt p has 1 + p mod min(4, T − 1) open brackets.
    States: the depth d below T is state (d − opened) mod T; T: too deep to be closed in time; T + 1: format lost.

    Raises:
        ValueError: for fewer than 3 tokens, or a length below 2.
    """
    _at_least("brackets", vocabulary, 3, length, 2)
    opened = 1 + np.arange(prompts) % min(4, length - 1)
    following, payoffs, ends = _tables(prompts, length, length + 2, vocabulary)
    following[:] = np.arange(length + 2)[:, None]
    for p, first in enumerate(opened):
        state = (np.arange(length) - first) % length  # of each depth
        following[p, :, state, 1] = np.append(state[1:], length)[:, None]
        following[p, :, state, 2] = np.append(length + 1, state[:-1])[:, None]
        ends[p, :, state[0], 0] = 1
    ends[:, :, : length + 1, 1] = 1
    names = ("end", "(", ")", *_letters(vocabulary - 3))
    return _machine("brackets", names, tuple("(" * n for n in opened), opened, following, payoffs)


def copy(prompts: int, vocabulary: int, length: int, seed: int) -> Machine:
    """Say the word again: T/2 letters (rounded up, at most T − 1), drawn from all tokens but the end token.

    `correct` is the share of the word's letters that stand in their place, `format` is 1 where the response has as
    many letters as the word. One state.

    Raises:
        ValueError: for fewer than 2 tokens, or a length below 2.
    """
    return _spell("copy", prompts, vocabulary, length, seed, 1)


def reverse(prompts: int, vocabulary: int, length: int, seed: int) -> Machine:
    """Say the word backwards; otherwise like `copy`, with the same words."""
    return _spell("reverse", prompts, vocabulary, length, seed, -1)


def length_control(prompts: int, vocabulary: int, length: int, seed: int) -> Machine:
    """Answer with exactly n letters, any letters: prompt p asks for n = p mod T.

    `correct` is 1 for n letters and the end token, `format` for any response that ends. One state.

    Raises:
        ValueError: for fewer than 2 tokens, or a length below 1.
    """
    _at_least("length", vocabulary, 2, length, 1)
    targets = np.arange(prompts) % length
    following, payoffs, ends = _tables(prompts, length, 1, vocabulary)
    ends[np.arange(prompts), targets, 0, 0] = 1
    ends[..., 1] = 1
    questions = tuple(f"{n} letters" for n in targets)
    return _machine("length", ("end", *_letters(vocabulary - 1)), questions, targets, following, payoffs)


def targets(
    prompts: int, vocabulary: int, length: int, seed: int, *, words: int = 2, needed: int | None = None
) -> Machine:
    """Come near one of several secret words of T letters: enough letters of one word in their places.

    `correct` is 1 where at least `needed` letters (T/2 rounded up by default) agree with one of the `words`; it is paid
    with the letter that completes them. `format` is 1 for any response that ends.
    States: letters that agree with each word so far, as the digits of a number to the base `needed`; the last: enough.

    Raises:
        ValueError: For fewer than 2 tokens, no word, or more letters needed than a response has.
    """
    enough = (length + 1) // 2 if needed is None else needed
    _at_least("targets", vocabulary, 2, length, max(enough, 1))
    if min(words, enough) < 1:
        raise ValueError(f"task 'targets' needs at least one word and one letter, not {words} and {enough}")
    secret = 1 + _draws(seed, prompts, words * length, vocabulary - 1).reshape(prompts, words, length)
    done = enough**words
    digits = np.arange(done)[:, None] // enough ** np.arange(words) % enough
    agrees = secret[..., None] == np.arange(vocabulary)
    counts = digits[:, None] + agrees.transpose(0, 2, 3, 1)[:, :, None]
    reached = (counts >= enough).any(axis=-1)
    following, payoffs, ends = _tables(prompts, length, done + 1, vocabulary)
    following[:, :, :done] = np.where(reached, done, np.minimum(counts, enough - 1) @ enough ** np.arange(words))
    following[:, :, done] = done
    payoffs[:, :, :done, :, 0] = reached
    ends[..., 1] = 1
    letters = ("end", *_letters(vocabulary - 1))
    texts = [" or ".join(" ".join(letters[v] for v in word) for word in several) for several in secret]
    questions = tuple(f"{enough} letters of {text}" for text in texts)
    return _machine("targets", letters, questions, np.full(prompts, enough), following, payoffs)


def _share(kept: NDArray[Any], equal: NDArray[Any], granularity: str) -> Floats:
    """Points of a call with the right name over the most, from how many of three parameters are there and right."""
    whole = 1.0 * (equal == 3)
    if granularity == "coarse":
        return whole
    if granularity == "intermediate":
        return (1 + whole) / 2
    names = 1.0 * (kept == 3) if granularity == "strict" else kept / 3
    return np.asarray(np.where(equal == 3, 1.0, (1 + names + equal) / 5))


def tool_call(prompts: int, vocabulary: int, length: int, seed: int, *, granularity: str = "fine") -> Machine:
    """Call a tool: a frame, a name, and three parameters, one letter each; what follows is not read.

    The first letter is the frame ("a" keeps the format), the second the tool, the next three the values of x, y and z,
    where "a" leaves a parameter out. `correct` is the share of points that ToolRL's matching gives to the call (arXiv
    2504.13958), paid with the last parameter: 0 for a wrong tool, else one for the name, the share of the three
    parameters that are there, and one for each right value, over five. `format` is 1 for the frame, whatever is called.
    States: 0 wrong tool or none yet; 1 + 3m + n right tool, m parameters there, n of them right.

    Args:
        prompts: Number of prompts P.
        vocabulary: Number of tokens V, the end token included.
        length: Most tokens of a response T.
        seed: Draws the true calls; no parameter of theirs is left out.
        granularity: "fine"; "strict": the parameters there count only where all three are; "intermediate": half for the
            name, the rest for a call that is right as a whole; "coarse": all or nothing.

    Raises:
        ValueError: For fewer than 3 tokens, a length below 5, or another granularity.
    """
    _at_least("tool-call", vocabulary, 3, length, 5)
    if granularity not in ("fine", "strict", "intermediate", "coarse"):
        raise ValueError(f"granularity {granularity!r}; it must be 'fine', 'strict', 'intermediate' or 'coarse'")
    tool = 1 + _draws(seed, prompts, 1, vocabulary - 1)[:, 0]
    values = 2 + _draws(seed, prompts, 3, vocabulary - 2, _APART + 1)
    following, payoffs, _ = _tables(prompts, length, 10, vocabulary)
    every = np.arange(prompts)
    payoffs[:, 0, :, 1, 1] = 1
    following[every, 1, :, tool] = 1
    m, n = np.arange(9)[:, None] // 3, np.arange(9)[:, None] % 3
    for t in (2, 3, 4):
        letter = np.arange(vocabulary)
        kept = m + (letter >= 2)
        equal = n + (letter == values[:, t - 2, None])[:, None]
        if t < 4:
            following[:, t, 1:] = 1 + 3 * np.minimum(kept, 2) + np.minimum(equal, 2)
        else:
            payoffs[:, t, 1:, 1:, 0] = _share(np.broadcast_to(kept, equal.shape), equal, granularity)[..., 1:]
    letters = ("end", *_letters(vocabulary - 1))
    questions = tuple(
        f"call {letters[tool[p]]} with x={letters[x]}, y={letters[y]}, z={letters[z]}"
        for p, (x, y, z) in enumerate(values)
    )
    return _machine("tool-call", letters, questions, np.full(prompts, 5), following, payoffs)


def _spell(name: str, prompts: int, vocabulary: int, length: int, seed: int, direction: int) -> Machine:
    _at_least(name, vocabulary, 2, length, 2)
    size = min((length + 1) // 2, length - 1)
    words = 1 + _draws(seed, prompts, size, vocabulary - 1)
    following, payoffs, ends = _tables(prompts, length, 1, vocabulary)
    place = np.arange(size)
    payoffs[np.arange(prompts)[:, None], place, 0, words[:, ::direction], 0] = 1 / size
    ends[:, size, :, 1] = 1
    letters = ("end", *_letters(vocabulary - 1))
    questions = tuple(f"{name}: {' '.join(letters[v] for v in word)}" for word in words)
    return _machine(name, letters, questions, np.full(prompts, size), following, payoffs)


def _tables(prompts: int, length: int, states: int, vocabulary: int) -> tuple[NDArray[np.int32], Floats, Floats]:
    """Empty tables of following states and payoffs, and the payoffs of the end token [P, T, Q, K] as a view."""
    shape = prompts, length, states, vocabulary
    payoffs = np.zeros((*shape, len(COMPONENTS)))
    return np.zeros(shape, np.int32), payoffs, payoffs[:, :, :, END]


def _machine(name: str, tokens: Any, questions: Any, targets: Any, following: Any, payoffs: Any) -> Machine:
    """Add the component that every task shares: how near the length is to the shortest right answer's."""
    length = payoffs.shape[1]
    near = 1 - np.abs(np.arange(length) - targets[:, None]) / length
    payoffs[:, :, :, END, 2] = near[:, :, None]
    return Machine(name, tuple(tokens), questions, targets, following, payoffs)


def _draws(seed: int, prompts: int, number: int, size: int, step: int = _APART) -> NDArray[np.int64]:
    """Integers from 0 to size − 1, [P, number]; steps from `_APART` on belong to the questions."""
    prompt, draw = np.arange(prompts)[:, None], np.arange(number)
    return (uniforms(seed, step=step, prompt=prompt, draw=draw) * size).astype(np.int64)


def _letters(number: int) -> tuple[str, ...]:
    return tuple(chr(ord("a") + i) if i < 26 else f"a{i}" for i in range(number))


def _at_least(name: str, vocabulary: int, fewest: int, length: int, shortest: int) -> None:
    if vocabulary < fewest:
        raise ValueError(f"task {name!r} needs a vocabulary of at least {fewest} tokens, not {vocabulary}")
    if length < shortest:
        raise ValueError(f"task {name!r} needs a length of at least {shortest} tokens, not {length}")


#: Name of a task -> function of (prompts, vocabulary, length, seed) that makes its machine.
TASKS: Mapping[str, Callable[[int, int, int, int], Machine]] = {
    "arithmetic": arithmetic,
    "brackets": brackets,
    "copy": copy,
    "reverse": reverse,
    "length": length_control,
    "targets": targets,
    "tool-call": tool_call,
}
