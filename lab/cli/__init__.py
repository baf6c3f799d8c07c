"""The command line, `advlab`. What is heavy is imported inside the commands, so that `--help` answers at once."""

from __future__ import annotations

import sys

import typer

from lab.cli import compare, dashboard, lists, runs
from lab.cli.screen import plain
from lab.errors import LabError

__all__ = ["app", "main"]

app = typer.Typer(
    name="advlab",
    help="Advantage Lab: see what group-relative reinforcement learning does with rewards.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for command in (
    runs.run,
    runs.show,
    compare.compare,
    lists.worlds,
    lists.variants,
    lists.claims,
    lists.bench,
    dashboard.app,
):
    app.command()(command)


def main() -> None:
    """Run `advlab`; an error of the lab is one line on stderr and exit status 2."""
    try:
        app()
    except (LabError, OSError) as error:
        print(plain(f"advlab: {error}"), file=sys.stderr)
        sys.exit(2)
