"""The flags of a run's settings, made from their one declaration, and what is read from them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any

import typer

from lab.errors import InputError
from lab.training.settings import SUITED, declared
from simulators.declared import Setting

__all__ = ["flagged", "values"]


def flagged(*, without: Collection[str] = (), **defaults: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorator: a command with one flag for each setting of a run, in the place of its `**given`.

    Args:
        without: Settings that the command decides by itself.
        **defaults: Values that they have in this command, where it is not what suits the world or the run's own.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command, eval_str=True)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        flags = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=defaults.get(name),
                              annotation=_flag(setting, name in defaults))
            for name, setting in declared().items() if name not in without
        ]  # fmt: skip
        command.__signature__ = signature.replace(parameters=[*own[:3], *flags, *own[3:]])  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in (*own, *flags)}
        return command

    return decorate


def _flag(setting: Setting, given: bool) -> Any:
    """The flag of a setting: its type, and what `--help` says of it; Typer names a default that is given."""
    suited = "the world's, else " if setting.name in SUITED else ""
    default = "" if given or setting.default is None else f" [default: {suited}{setting.default}]"
    kind = setting.kind if setting.kind in (int, float) and not setting.each else str
    named = ' Or one for each block of parameters: "policy=…,critic=…".' if setting.each else ""
    return Annotated[kind | None, typer.Option(help=setting.words + named + default)]


def values(given: Mapping[str, Any]) -> dict[str, Any]:
    """The flags that were given, those that are lists read from their text."""
    of_blocks = dict.fromkeys((name for name, setting in declared().items() if setting.each), _of_each)
    read = {"seeds": _seeds, "measure": _measure, "reward_weights": _weights, **of_blocks}
    return {key: read.get(key, _same)(value) for key, value in given.items() if value is not None}


def _same(value: Any) -> Any:
    return value


def _seeds(text: str) -> int | list[int]:
    if text.strip().lstrip("-").isdecimal():
        return int(text)
    seeds: list[int] = []
    for part in text.split(","):
        ends = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        if not ends:
            raise InputError(f'--seeds {text!r}; write a number of runs, such as 64, or seeds: "3,5,9" or "10-19"')
        seeds += range(int(ends[1]), int(ends[2] or ends[1]) + 1)
    return seeds


def _measure(text: str) -> Any:
    return None if text == "none" else [name.strip() for name in text.split(",")] if "," in text else text


def _of_each(text: Any) -> Any:
    """A value, or one for each block: "0.1", "policy=0.1,critic=0.5"."""
    from lab.config import options_of, value_of

    if not isinstance(text, str):
        return text  # the command's own default
    return options_of(f":{text}")["options"] if "=" in text else value_of(text)


def _weights(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise InputError(f'--reward-weights {text!r}: {error}; write numbers, as in "1,0.5"') from None
