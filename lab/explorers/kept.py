"""Answers that are kept for a second look, and how far the work on them is.

A home of explorers that runs a picture beside its page hands over who is told how far the work is and who may stop it
(`watched_by`); a door that can tell and stop is called with `**watched()`.
"""

from __future__ import annotations

import functools
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import polars as pl

from lab.registry import KINDS, rules
from lab.world_registry import declaration, names

__all__ = ["in_parts", "kept", "watched", "watched_by"]

T = TypeVar("T")
P = TypeVar("P")

_WATCH: ContextVar[Mapping[str, Any] | None] = ContextVar("watch", default=None)


@contextmanager
def watched_by(progress: Callable[[int, int], None], stop: Callable[[], bool]) -> Iterator[None]:
    """Inside the block, doors that are called with `**watched()` tell `progress(done, total)` and ask `stop()`."""
    token = _WATCH.set({"progress": progress, "stop": stop})
    try:
        yield
    finally:
        _WATCH.reset(token)


def watched() -> dict[str, Any]:
    """`progress` and `stop` for a door that takes both; nothing where nobody watches."""
    return dict(_WATCH.get() or {})


def in_parts(door: Callable[[P], pl.DataFrame], parts: Sequence[P]) -> pl.DataFrame:
    """The rows of every part, one after the other: between them it is told how far it is, and asked whether to stop.

    Args:
        door: Gives the rows of a part.
        parts: What a study is made of: its variants, its seeds. The first is always done.
    """
    tell, stop = watched().get("progress", lambda done, total: None), watched().get("stop", bool)
    tell(0, len(parts))
    frames = list[pl.DataFrame]()
    for part in parts:
        if frames and stop():
            break
        frames.append(door(part))
        tell(len(frames), len(parts))
    return pl.concat(frames)


def kept(most: int = 32) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Decorator: the last `most` answers are kept, each computed once, whoever asks; what was stopped is not kept.

    Args:
        most: How many answers are kept.
    """

    def decorate(function: Callable[..., T]) -> Callable[..., T]:
        answers: OrderedDict[str, T] = OrderedDict()
        locks: dict[str, threading.Lock] = {}
        guard = threading.Lock()

        @functools.wraps(function)
        def asked(*inputs: Any, **options: Any) -> T:
            key = json.dumps([_edition(), inputs, options], sort_keys=True, default=repr)
            with guard:
                lock = locks.setdefault(key, threading.Lock())
            with lock:
                if key not in answers:
                    answer = function(*inputs, **options)
                    if watched().get("stop", bool)():
                        return answer
                    answers[key] = answer
                with guard:
                    answers.move_to_end(key)
                    while len(answers) > most:
                        locks.pop(answers.popitem(last=False)[0], None)
                return answers[key]

        return asked

    return decorate


def _edition() -> int:
    """Another number once a rule or a world was registered anew, as a notebook does."""
    functions = [id(rule.function) for kind in KINDS for rule in rules(kind).values()]
    return hash((*functions, *(id(declaration(name).maker) for name in names())))
