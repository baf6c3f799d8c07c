"""Where the command finds a reward function, by its address, and examples, in a file or a training log."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from lab.errors import InputError
from lab.logs.formats import records
from lab.logs.loading import load
from lab.logs.texts import whole
from lab.text import listed

__all__ = ["examples_of", "function_of"]


def function_of(address: str) -> Callable[..., Any]:
    """The function at `module:function`, of a module that can be imported or a file, `my_rewards.py:score`.

    Raises:
        InputError: No such module or function, or the module fails when it is run.
    """
    module, _, name = address.rpartition(":")
    if not module or not name.isidentifier():
        raise InputError(f"{address!r} names no function; give it as module:function or my_rewards.py:function")
    file = Path(module).expanduser()
    folder = str(file.resolve().parent if module.endswith(".py") else Path.cwd())
    sys.path.insert(0, folder)
    try:
        found = importlib.import_module(file.stem if module.endswith(".py") else module)
    except Exception as reason:
        raise InputError(f"{module} cannot be imported: {type(reason).__name__}: {reason}") from reason
    finally:
        sys.path.remove(folder)
    if not callable(chosen := getattr(found, name, None)):
        own = {n: value for n, value in vars(found).items() if getattr(value, "__module__", "") == found.__name__}
        known = [n for n, value in own.items() if callable(value)]
        raise InputError(f"{module} has no function {name!r}; it has {listed(known) or 'none'}")
    return chosen


def examples_of(path: Path) -> list[dict[str, Any]]:
    """Examples as a file of JSON lines has them, one a line, or the groups of a training log.

    Raises:
        InputError: There is no such file, or it is neither.
    """
    if path.suffix == ".jsonl" and path.is_file():
        (lines,), _ = records([path])
        if any("completions" in line or "right" in line for line in lines):
            return lines
    table = load(path)
    groups = whole(table.frame).group_by("step", "group", maintain_order=True).agg(
        pl.col("prompt").first(), pl.col("completion").alias("completions"),
        *(pl.col(c).first() for c in table.extra_columns),
    )  # fmt: skip
    return groups.drop("step", "group").unique("prompt", maintain_order=True).to_dicts()
