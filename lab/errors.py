"""Errors of the lab: each says what was wrong, where, and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from numbers import Real
from typing import Any

__all__ = [
    "InputError",
    "LabError",
    "LabWarning",
    "MissingExtraError",
    "MissingFieldError",
    "UnknownNameError",
    "UnwrittenError",
    "check_number",
    "check_whole",
    "nearest",
    "worlds_with",
]


class LabError(Exception):
    """Base of every error that the lab raises on purpose."""


class LabWarning(UserWarning):
    """Something that the lab does as it was asked, and that is hardly what was meant."""


class InputError(LabError, ValueError):
    """A value that the lab was given cannot be used; the message names it and its place."""


class UnwrittenError(LabError, OSError):
    """A file cannot be written; the message names it and the reason."""


class MissingFieldError(LabError, TypeError):
    """A rule was asked for without a field of the rollouts that it reads."""


class MissingExtraError(LabError, ImportError):
    """Something needs a package that the base installation does not have; the message says how to get it."""

    def __init__(self, what: str, package: str, extra: str) -> None:
        self._given = what, package, extra
        super().__init__(f"{what} needs {package}, which is not installed: pip install 'advantage-lab[{extra}]'")

    def __reduce__(self) -> Any:
        return type(self), self._given


class UnknownNameError(LabError, KeyError):
    """A name that nothing is registered under; the message offers the nearest ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        self.kind, self.name = kind, name
        self._given = kind, name, list(known), hint
        near = nearest(name, self._given[2])
        offer = "nearest: " + ", ".join(repr(n) for n in near) if near else "nothing similar is known"
        super().__init__(f"unknown {kind} {name!r}; {offer}" + (f"; {hint}" if hint else ""))

    def __str__(self) -> str:
        return str(self.args[0])

    def __reduce__(self) -> Any:
        return type(self), self._given


def check_number(name: str, value: Any, holds: Callable[[float], bool], wanted: str) -> float:
    """`value` as a float for which `holds` is true; InputError with the name and what was `wanted` otherwise."""
    try:
        good = not isinstance(value, bool) and isinstance(value, Real) and holds(float(value))
    except OverflowError:
        good = False
    if not good:
        raise InputError(f"{name}={value!r}; it must be {wanted}")
    return float(value)


def check_whole(name: str, value: Any, least: int) -> int:
    """`value` as an int of at least `least`; InputError with the name otherwise."""
    check_number(name, value, lambda x: x.is_integer() and x >= least, f"a whole number of at least {least}")
    return int(value)


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The known names most like `name`, best first (at most `count`)."""
    folded = {str(k).lower().replace("_", "-"): str(k) for k in known}
    wanted = str(name).lower().replace("_", "-")
    close = difflib.get_close_matches(wanted, folded, n=count, cutoff=0.5)
    inside = [f for f in folded if wanted and (wanted in f or f in wanted)]
    begins = [f for f in inside if f.startswith(wanted) or wanted.startswith(f)]
    return [folded[f] for f in list(dict.fromkeys([*begins, *close, *inside]))[:count]]


def worlds_with(fields: Iterable[str]) -> str:
    """Which worlds provide each of the fields, in words: "agent: world 'agents'; actions: every world"."""
    from simulators import providers

    said = []
    for field in fields:
        names = providers(field)
        named = (
            f"world{'s' if len(names) > 1 else ''} {', '.join(map(repr, names))}" if names else "no world of the lab"
        )
        said.append(f"{field}: {'every world' if field in ('actions', 'logp') else named}")
    return "; ".join(said)
