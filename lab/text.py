"""Text from outside, as it may stand in a sentence or a terminal."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["listed", "printable"]


def printable(text: object) -> str:
    """`text` in one line: a line break is a space, whatever else would steer a terminal is shown as �."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "�" for c in str(text))


def listed(values: Iterable[object], limit: int = 12) -> str:
    """`1, 2, 3` and how many more, each `printable`."""
    shown = [printable(v) for v in values]
    return ", ".join(shown[:limit]) + (f" and {len(shown) - limit} more" if len(shown) > limit else "")
