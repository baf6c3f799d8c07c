"""`advlab claims`: measured again, or what the record that ships with the lab says of them."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.lists import AsJson
from lab.cli.screen import progress_bar, table
from lab.errors import InputError

if TYPE_CHECKING:
    from lab.papers.record import Result

__all__ = ["claims"]


def claims(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[SLUG]...", help="Papers or claims; all by default.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random numbers.")] = 0,
    full: Annotated[bool, typer.Option("--full", help="Five seeds, each claim also without what it is about.")] = False,
    stale: Annotated[
        bool, typer.Option("--stale", help="List what the record of the lab lacks; measure none.")
    ] = False,
    record: Annotated[bool, typer.Option("--record", help="Measure what the record lacks, and enter it.")] = False,
    again: Annotated[
        bool, typer.Option("--all", help="With --record: all with every seed, whatever stands in it.")
    ] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="With --record: papers at once; one per core.")] = None,
    as_json: AsJson = False,
) -> None:
    r"""Measure the claims of the papers again; exit status 1 if any fails.

    With --full, a claim that holds without its method as well "does not distinguish", and counts as failed. A claim
    that needs a package which is not installed neither holds nor fails.

    The lab has a record of all claims over five seeds. --stale names those whose code has changed since, with exit
    status 1 if there are any; --record measures them, with the first seed alone where that gives the very numbers
    it gave before. It may be stopped, and goes on where it was.

    \b
    Examples:
      advlab claims mc-grpo
      advlab claims gdpo.2 --seed 3 --json
      advlab claims --record --jobs 2
    """
    from lab import papers

    if (again or jobs) and not record:
        raise InputError("--all and --jobs say how a record is made; give --record with them")
    if stale or record:
        chosen = {claim.id for claim in papers.select(*(names or ()))}
        lacking = _recorded(chosen, again, jobs) if record else {}
        _print_stale(chosen, lacking, every=not names)
        return
    with progress_bar("Measuring claims") as progress:
        seeds = range(seed, seed + 5) if full else (seed,)
        found = [papers.claims(*(names or ()), seed=one, counter=full, progress=progress) for one in seeds]
    results = [result for of_seed in found for result in of_seed]
    if as_json:
        print(json.dumps([result.asdict() for result in results], indent=2, ensure_ascii=False))
    else:
        _print(results)
    if any(result.verdict in ("fails", papers.BLIND) for result in results):
        raise typer.Exit(1)


def _print(results: list[Result]) -> None:
    from lab.papers import Unmeasured

    rows = [(r.id, r.verdict, _value(r), _number(r.without), r.sentence, f"{r.seconds:.1f}") for r in results]
    table(["claim", "verdict", "value [95%]", "without", "sentence", "seconds"], rows)
    headlines = [r for r in results if r.kind == "headline"]
    print(f"{sum(r.holds for r in results)} of {len(results) - len(headlines)} hold.")
    for verdict, number in Counter(r.verdict for r in headlines).items():
        print(f"{number} of {len(headlines)} headlines: {verdict}.")
    reasons = Counter(r.reason for r in results if isinstance(r, Unmeasured))
    for reason, number in reasons.items():
        print(f"{number} could not be measured: {reason}")


def _recorded(chosen: set[str], again: bool, jobs: int | None) -> dict[str, str]:
    from lab.papers.recorded.making import record

    with progress_bar("Measuring claims") as progress:
        return record(chosen, again=again, jobs=jobs, progress=progress)


def _print_stale(chosen: set[str], lacking: dict[str, str], every: bool) -> None:
    """List what the record lacks of the claims that were chosen, with the reasons why they could not be measured."""
    from lab.papers import recorded

    stale = recorded.stale(recorded.read()) | lacking
    rows = [(name, why) for name, why in stale.items() if every or name in chosen]
    if not rows:
        print(f"The record has {len(chosen)} of {len(chosen)} claims, measured by the present code.")
        return
    table(["claim", "stale, because"], rows)
    print(f"{len(rows)} are stale; `advlab claims --record` measures them, of {len(chosen)}.")
    raise typer.Exit(1)


def _value(result: Result) -> str:
    if result.value is None or result.interval is None:
        return ""
    low, high = result.interval
    return f"{result.value:.4g}" if low == high else f"{result.value:.4g} [{low:.4g}, {high:.4g}]"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
