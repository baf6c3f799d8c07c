"""`advlab variants`, `advlab claims` and `advlab bench`."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab.cli.screen import plain, progress_bar, table

if TYPE_CHECKING:
    from lab.papers.record import Result

__all__ = ["bench", "claims", "variants", "worlds"]

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


def claims(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[SLUG]...", help="Papers or claims; all by default.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random numbers.")] = 0,
    full: Annotated[bool, typer.Option("--full", help="Five seeds, each claim also without what it is about.")] = False,
    as_json: AsJson = False,
) -> None:
    r"""Measure the claims of the papers again; exit status 1 if any fails.

    With --full, a claim that holds without its method as well "does not distinguish", and counts as failed. A claim
    that needs a package which is not installed neither holds nor fails.

    \b
    Examples:
      advlab claims mc-grpo
      advlab claims gdpo.2 --seed 3 --json
    """
    from lab import papers

    with progress_bar("Measuring claims") as progress:
        seeds = range(seed, seed + 5) if full else (seed,)
        found = [papers.claims(*(names or ()), seed=one, counter=full, progress=progress) for one in seeds]
    results = [result for of_seed in found for result in of_seed]
    if as_json:
        print(json.dumps([result.asdict() for result in results], indent=2, ensure_ascii=False))
    else:
        rows = [(r.id, r.verdict, _value(r), _number(r.without), r.sentence, f"{r.seconds:.1f}") for r in results]
        table(["claim", "verdict", "value [95%]", "without", "sentence", "seconds"], rows)
        headlines = [r for r in results if r.kind == "headline"]
        print(f"{sum(r.holds for r in results)} of {len(results) - len(headlines)} hold.")
        for verdict, number in Counter(r.verdict for r in headlines).items():
            print(f"{number} of {len(headlines)} headlines: {verdict}.")
        reasons = Counter(r.reason for r in results if isinstance(r, papers.Unmeasured))
        for reason, number in reasons.items():
            print(f"{number} could not be measured: {reason}")
    if any(result.verdict in ("fails", papers.BLIND) for result in results):
        raise typer.Exit(1)


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


def _value(result: Result) -> str:
    if result.value is None or result.interval is None:
        return ""
    low, high = result.interval
    return f"{result.value:.4g}" if low == high else f"{result.value:.4g} [{low:.4g}, {high:.4g}]"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _measured(benchmarks: Any, names: Any) -> list[dict[str, Any]]:
    with progress_bar("Measuring") as progress:
        progress(0, 1)
        return list(benchmarks.run(names))


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
