"""Other rules in the place of registered ones, for a while: what would be seen without them?"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from types import MappingProxyType
from typing import Any, TypeVar

from lab.errors import UnknownNameError
from lab.registry import KINDS, STAND_INS, Rule, find, fold, inspected

__all__ = ["FURTHER", "cached", "replaced"]

T = TypeVar("T")

#: Kinds of things that are no rules: kind -> a function (name, name of another) -> the other under the first name.
FURTHER: dict[str, Callable[[str, Any], Any]] = {}


@contextmanager
def replaced(others: Mapping[str, str | Mapping[str, Any] | Callable[..., Any]]) -> Iterator[None]:
    """Inside the block, other rules stand in for registered ones: what would be seen without them?

    >>> with replaced({"advantage:ngrpo": "grpo"}):
    ...     find("advantage", "ngrpo").equation == find("advantage", "grpo").equation
    True

    Only what the calling thread starts is touched; whoever uses the lab beside it sees the real rules.

    Args:
        others: "kind:name" of a rule -> the name of another of its kind; or options at which the rule itself is held;
            or a function with the contract of its kind. Options and fields that only the rule itself knows are then
            ignored. Of `lab.distances` "distance:name" and "canonicalisation:name" -> the name of another.

    Raises:
        UnknownNameError: No such kind, rule or option. InputError: A function breaks the contract.
    """
    standing = dict(STAND_INS.get())
    for key, other in others.items():
        kind, _, name = key.partition(":")
        # rules are known once the folder of their kind is imported
        import_module(f"lab.{KINDS[kind].home}" if kind in KINDS else "lab.distances")
        if kind not in KINDS and kind not in FURTHER:
            known = [*KINDS, *FURTHER]
            raise UnknownNameError("kind of rule", kind, known, 'write "kind:name", such as "advantage:grpo"')
        made = _stand_in(find(kind, name), other) if kind in KINDS else FURTHER[kind](name, other)
        standing[kind, fold(made.name)] = made
    token = STAND_INS.set(standing)
    try:
        yield
    finally:
        STAND_INS.reset(token)


def _stand_in(rule: Rule, other: str | Mapping[str, Any] | Callable[..., Any]) -> Rule:
    """The other rule under the name of `rule`."""
    held: Mapping[str, Any] = other if isinstance(other, Mapping) else {}
    rule.check_options(held)
    by = rule if isinstance(other, Mapping) else find(rule.kind, other) if isinstance(other, str) else None
    if by is None:
        fields, required, options = inspected(rule.kind, other)  # type: ignore[arg-type]
        by = Rule(rule.name, rule.kind, other, fields=fields, required=required, options=options)  # type: ignore[arg-type]
    unread = tuple(f for f in rule.fields if f not in by.fields and f not in ("logp_ref", "scores"))
    ignored = {*rule.options} - {*by.options} | {*held, *unread}

    @functools.wraps(by.function)
    def function(*inputs: Any, **given: Any) -> Any:
        return by.function(*inputs, **{k: v for k, v in given.items() if k not in ignored}, **held)

    own = {
        name: value for name, value in rule.options.items() if name != "weights"
    }  # a rule that has them adds rewards
    merged = MappingProxyType({**own, **by.options})
    read = (*by.fields, *unread)
    return replace(by, name=rule.name, function=function, paper=rule.paper, options=merged, fields=read)


def cached(function: Callable[..., T]) -> Callable[..., T]:
    """Decorator: `functools.cache`, but what was computed while rules were `replaced` is kept apart."""

    @functools.lru_cache(maxsize=64)
    def kept(_: frozenset[Any], *args: Hashable, **options: Hashable) -> T:
        return function(*args, **options)

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> T:
        return kept(frozenset((key, rule.function) for key, rule in STAND_INS.get().items()), *args, **options)

    return call
