"""The lab's explorers, found by being there: each file that has a function `explorer` is one.

>>> explorer("collapse").title
'When does a group teach nothing?'
"""

from __future__ import annotations

import ast
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import UnknownNameError

if TYPE_CHECKING:
    from lab.explorers.contract import Explorer

__all__ = ["explorer", "names"]


@cache
def names() -> tuple[str, ...]:
    """Names of the explorers, as addresses and `lab.explore` take them."""
    found = []
    for file in sorted(Path(__file__).parent.glob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "explorer" for node in tree.body):
            found.append(file.stem.replace("_", "-"))
    return tuple(name for name in found if name != "--init--")


def explorer(name: str) -> Explorer:
    """The explorer of that name, with the worlds and rules that are known by now.

    Raises:
        UnknownNameError: There is no such explorer.
    """
    known = name.strip().lower().replace("_", "-").replace(" ", "-")
    if known not in names():
        raise UnknownNameError("explorer", name, names())
    made: Explorer = import_module(f"lab.explorers.{known.replace('-', '_')}").explorer()
    return made
