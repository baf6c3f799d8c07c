"""The command line, `advlab`. What is heavy is imported inside the commands, so that `--help` answers at once."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable

import typer

from lab.cli import claims, compare, dashboard, diagnose, lint, lists, runs, watch
from lab.cli.own import with_plugins
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


def _help(command: Callable[..., None]) -> str:
    r"""The docstring of a command, its examples a line each: what follows a line of \b is not run together."""
    return inspect.cleandoc(command.__doc__ or "").replace("\\b\n", "\b\n")


for command in (
    runs.run,
    runs.show,
    compare.compare,
    lists.worlds,
    lists.variants,
    claims.claims,
    diagnose.diagnose,
    watch.watch,
    lint.lint,
    lists.bench,
    dashboard.app,
):
    app.command(help=_help(command))(with_plugins(command))


def main() -> None:
    """Run `advlab`; a mistake, or what this machine cannot do, is one line on stderr and exit status 2.

    BLAS gets one thread: the lab's matrices are small and several run at once, so that more threads only wait for one
    another (distances between rewards took three times the CPU).
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        app()
    except MemoryError as error:
        _leave(f"this needs more memory than there is ({error or 'no more can be had'}); make it smaller")
    except (LabError, OSError, ValueError, ArithmeticError) as error:
        _leave(str(error))


def _leave(words: str) -> None:
    print(plain(f"advlab: {' '.join(words.splitlines())}"), file=sys.stderr)
    sys.exit(2)
