"""Text from outside, as it may stand in a sentence, a terminal or Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["counted", "listed", "plain", "printable"]

#: Places within `https://`, `www.` and `name@host` where something may stand that keeps them from becoming links.
_ADDRESS = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)|(?<=@)", re.IGNORECASE)


def printable(text: object) -> str:
    """`text` in one line: a line break is a space, whatever else would steer a terminal is shown as �."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "�" for c in str(text))


def listed(values: Iterable[object], limit: int = 12) -> str:
    """`1, 2, 3` and how many more, each `printable`."""
    shown = [printable(v) for v in values]
    return ", ".join(shown[:limit]) + (f" and {len(shown) - limit} more" if len(shown) > limit else "")


def counted(number: int, noun: str) -> str:
    """`1 group`, `3 groups`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def plain(text: object) -> str:
    """Text from outside as Markdown that shows it letter by letter, in one line and without a link.

    Addresses become links after the escapes are read, so a word joiner, which is not seen, stands within them.
    """
    shown = _ADDRESS.sub("\u2060", printable(text))
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>()#+-.!|~$:&" else letter for letter in shown)
