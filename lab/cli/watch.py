"""`advlab watch`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.diagnose import Log, Weight, given
from lab.cli.screen import plain
from lab.errors import InputError

if TYPE_CHECKING:
    from lab.logs.diagnosis import Diagnosis

__all__ = ["watch"]


def watch(
    path: Log,
    every: Annotated[float, typer.Option(help="Seconds between two looks at the files.")] = 5.0,
    until: Annotated[str, typer.Option(help="alarm, warning or note: end with status 1 at the first of them.")] = "",
    *,
    group_size: Annotated[int | None, typer.Option(min=1, help="Rollouts per prompt, where it is misread.")] = None,
    weight: Weight = None,
    reader: Annotated[str | None, typer.Option(help="The trainer, where the files do not tell it.")] = None,
) -> None:
    r"""Follow a run that is still training: a line for each change, and every finding once. Ctrl-C ends it.

    \b
    Examples:
      advlab watch runs/my-run
      advlab watch runs/my-run --until alarm
    """
    from lab.logs.watching import watch
    from lab.reports.facts import at_least

    if until:
        at_least((), until)
    with suppress(KeyboardInterrupt):
        _follow(watch(path, every=every, **given(group_size=group_size, weight=weight, reader=reader)), until)


def _follow(changes: Iterator[Diagnosis | InputError], until: str) -> None:
    from lab.reports.facts import about, at_least, counted

    said: set[tuple[str, str]] = set()
    for found in changes:
        if isinstance(found, InputError):
            print(plain(f"not yet: {found}"), flush=True)
            continue
        print(plain(f"{about(found)}; {counted(found.findings)}"), flush=True)
        for note in found.table.notes:
            if note.startswith("Left out"):
                print(plain(f"  {note}"), flush=True)
        for finding in found.findings:
            if finding.severity != "note" and (finding.kind, finding.severity) not in said:
                said.add((finding.kind, finding.severity))
                print(plain(f"  {finding.severity.upper()}: {finding}"), flush=True)
        if until and at_least(found.findings, until):
            raise typer.Exit(1)
