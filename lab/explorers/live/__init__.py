"""Pictures that answer while they are dragged: a JavaScript module each, mounted by every home of explorers alike.

A module has a class `View`: `new View(host)` draws into an element, `view.receive(data, report)` shows new data and
calls `report(change)` when something is let go or chosen. No formula lives there: Python sends what is looked up.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["script", "style"]

_HERE = Path(__file__).parent


def script(module: str, ending: str) -> str:
    """The JavaScript of a module, with the lines that mount its `View` in a home of explorers."""
    return "".join(_HERE.joinpath(f"{name}.js").read_text(encoding="utf-8") for name in ("svg", module)) + ending


def style(module: str) -> str:
    """The style sheet of a module."""
    return _HERE.joinpath(f"{module}.css").read_text(encoding="utf-8")
