"""Tables and progress bars in a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from lab.text import printable as plain

__all__ = ["interval", "plain", "progress_bar", "table"]

_WIDE = 200  # columns of a table that nobody looks at in a terminal


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; what stands in it is shown as it is, never obeyed."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    drawn = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        drawn.add_row(*(plain(cell) for cell in row))
    Console(markup=False, emoji=False, highlight=False, width=None if sys.stdout.isatty() else _WIDE).print(drawn)


def interval(mean: float | None, low: float | None, high: float | None) -> str:
    """A mean with half its interval: "0.901 ± 0.002"; a dash where it is undefined."""
    if mean is None:
        return "–"
    return f"{mean:.3g}" if low is None or high is None else f"{mean:.3g} ± {(high - low) / 2:.2g}"


@contextmanager
def progress_bar(words: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr while the block runs; yields a function of (done, total)."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(words, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
