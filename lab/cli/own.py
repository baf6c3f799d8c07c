"""`--plugins FILE`, which every command takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["with_plugins"]

_HELP = "File of Python with worlds, rules, rewards, figures or log readers of your own; repeat it for several."
Plugins = Annotated[list[Path] | None, typer.Option("--plugins", metavar="FILE", help=_HELP)]


def with_plugins(command: Callable[..., None]) -> Callable[..., None]:
    """The command, with files of one's own that are loaded before it runs."""

    @wraps(command)
    def loading(plugins: list[Path] | None = None, **given: Any) -> None:
        if plugins:
            from lab.plugins import load

            load(*plugins)
        command(**given)

    own = inspect.signature(command, eval_str=True)
    added = inspect.Parameter("plugins", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Plugins)
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own.parameters.values()]
    whole = own.replace(parameters=[*parameters, added])
    loading.__signature__ = whole  # type: ignore[attr-defined]
    loading.__annotations__ = {p.name: p.annotation for p in whole.parameters.values()}
    return loading
