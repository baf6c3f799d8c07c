"""`advlab diagnose`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab.cli.lists import AsJson
from lab.cli.screen import plain
from lab.errors import InputError

if TYPE_CHECKING:
    from lab.logs.diagnosis import Diagnosis

__all__ = ["Log", "Weight", "diagnose", "given", "show"]

Log = Annotated[
    Path, typer.Argument(metavar="PATH", help="Folder or file of a training log; the trainer is told by it.")
]
Weight = Annotated[list[str] | None, typer.Option("--weight", metavar="REWARD=WEIGHT", help="Of a reward; repeat it.")]


def diagnose(
    path: Log,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report with its pictures there.")] = None,
    fail_on: Annotated[str, typer.Option(help="alarm, warning or note: exit status 1 from there on.")] = "",
    *,
    group_size: Annotated[
        int | None, typer.Option(min=1, help="Rollouts per prompt, where the log is misread.")
    ] = None,
    weight: Weight = None,
    reader: Annotated[str | None, typer.Option(help="The trainer, where the files do not tell it.")] = None,
    details: Annotated[
        bool, typer.Option("--details", help="Definition, threshold and source of each finding.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    r"""Say what went wrong in a training run, with its cause, and what to try.

    \b
    Examples:
      advlab diagnose runs/my-run
      advlab diagnose runs/my-run --html report.html
      advlab diagnose runs/my-run --fail-on alarm --json
    """
    import lab
    from lab.reports.facts import at_least, facts

    if fail_on:
        at_least((), fail_on)
    found = lab.diagnose(lab.load(path, **given(group_size=group_size, weight=weight, reader=reader)))
    print(json.dumps(facts(found), indent=2)) if as_json else show(found, details=details)
    if html is not None:
        from lab.reports.html import report

        report(found, html)
        if not as_json:
            print(f"The report is in {plain(html)}.")
    if fail_on and at_least(found.findings, fail_on):
        raise typer.Exit(1)


def given(*, group_size: int | None, weight: list[str] | None, reader: str | None) -> dict[str, Any]:
    """Corrections of what is inferred, as `lab.load` takes them.

    Raises:
        InputError: A weight is no `REWARD=NUMBER`.
    """
    pairs = {}
    for text in weight or ():
        name, _, number = text.rpartition("=")
        try:
            pairs[name] = float(number)
        except ValueError:
            raise InputError(f"--weight {text}; it must be a reward's name and a number, such as accuracy=2") from None
    columns = {"reward_columns": list(pairs), "reward_weights": list(pairs.values())} if pairs else {}
    return columns | {"group_size": group_size, "reader": reader}


def show(found: Diagnosis, *, details: bool = False) -> None:
    """Print a diagnosis: what was read, then each finding, the worst first."""
    from lab.reports.facts import about, counted, where

    print(plain(f"{found.table.source}: {about(found)}"))
    print(f"{counted(found.findings)}\n")
    for finding in found.findings:
        place = f" ({where(finding)})" if where(finding) else ""
        print(plain(f"{finding.severity.upper()}{place}: {finding}"))
        if finding.check and finding.check.advice and finding.severity != "note":
            print(plain(f"    try: {finding.check.advice}"))
        if finding.check and details:
            for name in ("definition", "threshold", "source"):
                if words := getattr(finding.check, name):
                    print(plain(f"    {name}: {words}"))
    print()
    for note in found.table.notes:
        print(plain(f"  {note}"))
