"""`advlab lint`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from lab.cli.lists import AsJson
from lab.cli.screen import plain, table
from lab.errors import InputError

__all__ = ["lint"]


def lint(
    function: Annotated[str, typer.Argument(metavar="MODULE:FUNCTION", help="Or a file, my_rewards.py:score.")],
    examples: Annotated[Path, typer.Argument(help="JSON lines with prompt, completions, columns; or a training log.")],
    sizes: Annotated[
        list[int] | None, typer.Option("--size", help="Group size; repeat it. 4, 8, 16 by default.")
    ] = None,
    fail_on: Annotated[str, typer.Option(help="alarm, warning or note: exit status 1 from there on.")] = "",
    as_json: AsJson = False,
) -> None:
    r"""Try a reward function on answers that nobody should be paid for, before it trains anything.

    Empty answers, the prompt repeated, the format without content, every answer at once, look-alike characters, very
    long answers; what it does with them, how many levels its rewards have, and how many groups would teach nothing.

    \b
    Examples:
      advlab lint my_rewards.py:score examples.jsonl
      advlab lint my_package.rewards:accuracy runs/completions --fail-on alarm
    """
    from lab.linting.report import SIZES, lint
    from lab.linting.sources import examples_of, function_of
    from lab.logs.findings.contract import SEVERITIES

    if fail_on and fail_on not in SEVERITIES:
        raise InputError(f"--fail-on {fail_on}; it must be one of {', '.join(SEVERITIES)}")
    found = lint(function_of(function), examples_of(examples), sizes or SIZES)
    if as_json:
        print(json.dumps(found.facts(), indent=2))
    else:
        print(plain(f"{found.function}(), called as {found.style} does, {found.scores.height} sampled answers"))
        table(["", "finding"], [(f.severity, f) for f in found.findings] or [("", "nothing stands out")])
    if fail_on and found.worst and SEVERITIES.index(found.worst) <= SEVERITIES.index(fail_on):
        raise typer.Exit(1)
