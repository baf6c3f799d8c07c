"""`advlab variants`, `advlab worlds` and `advlab bench`."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from lab.cli.screen import plain, progress_bar, table

__all__ = ["bench", "variants", "worlds"]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def variants(
    presets: Annotated[bool, typer.Option(help="Show the defaults of other frameworks (name@framework) too.")] = True,
) -> None:
    r"""List the variants that `advlab run` knows.

    \b
    Example:
      advlab variants --no-presets
    """
    from lab.methods import variants as listed

    columns = ["name", "paper", "note"]
    table(columns, listed(presets).select(columns).rows())


def worlds(
    name: Annotated[str | None, typer.Argument(help="One world, whose settings are listed.")] = None,
) -> None:
    r"""List the worlds that `advlab run` knows, or the settings of one of them.

    \b
    Examples:
      advlab worlds
      advlab worlds bandit
    """
    from lab.world_registry import declaration
    from lab.world_registry import worlds as listed

    if name is None:
        rows = [(w["name"], w["about"], ", ".join(w["provides"]), w["run"]) for w in listed().iter_rows(named=True)]
        table(["name", "what it is", "provides", "suits a run"], rows)
        print("`advlab worlds NAME` lists the settings of a world, for `advlab run --world NAME --set KEY=VALUE`.")
        return
    here = declaration(name)
    print(plain(f"{here.name}: {here.about}"))
    rows = [(s.name, "" if s.default is None else s.default, s.wanted, s.words) for s in here.settings.values()]
    table(["setting", "default", "values", "meaning"], rows)
    suits = [f"{key}={value}" + (" (fixed)" if key in here.fixed else "") for key, value in here.suits().items()]
    provided = ", ".join(here.provides) or "rewards alone"
    print(plain(f"Provides {provided}; suited settings of a run: {', '.join(suits) or 'the defaults'}."))


def bench(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Benchmarks; all by default.")] = None,
    as_json: AsJson = False,
) -> None:
    r"""Measure the speed on this machine, beside reference loops.

    \b
    Example:
      advlab bench bandit --json
    """
    from lab import bench as benchmarks

    rows = _measured(benchmarks, names or ())
    if as_json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    columns = ["name", "value", "unit", "reference", "ratio", "runs"]
    table(columns, [[_cell(row[column]) for column in columns] for row in rows])


def _measured(benchmarks: Any, names: Any) -> list[dict[str, Any]]:
    with progress_bar("Measuring") as progress:
        progress(0, 1)
        return list(benchmarks.run(names))


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
