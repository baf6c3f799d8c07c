"""Making the record: claims measured with every seed, a process per paper, each paper saved as soon as it is known.

Where code has changed and the first seed gives the very numbers that it gave before, to the last bit, only the shape of
the code is new: what other seeds gave stays.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lab.executors import Processes, halted
from lab.papers.record import CLAIMS, PAPERS, Claim, Measurement
from lab.papers.recorded import HERE, SEEDS, Entry, Run, read, save, stale
from lab.papers.recorded.reach import Reach, reached
from lab.papers.recorded.sources import fingerprint

__all__ = ["Found", "measure", "record"]

PACKAGES = ("numpy", "numba", "polars", "torch")


class Found(NamedTuple):
    """What was measured of one paper: its entries, and why other claims have none."""

    slug: str
    entries: list[Entry]
    lacking: dict[str, str]


def record(
    names: Iterable[str],
    folder: Path = HERE,
    *,
    again: bool = False,
    jobs: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, str]:
    """Measure those of the claims that are stale in the record, or have no place in it, and enter them.

    It may be stopped at any time: what is missing then is measured by the next call.

    Args:
        names: Identifiers of claims.
        folder: Of the record.
        again: All of them with every seed, whatever stands in the record.
        jobs: Papers at once, each a process; None: one per core.
        progress: Called with (claims done, claims in all), first with 0 done.

    Returns:
        Claims that could not be measured, each with the reason.
    """
    known, wanted = read(folder), set(names)
    if again:
        known |= {name: replace(known[name], fingerprint="") for name in wanted & known.keys()}
    due = stale(known)
    for slug in {path.stem for path in folder.glob("*.json")}:
        _enter(Found(slug, [], {}), known, folder)
    papers = _by_paper([name for name in CLAIMS if name in wanted and name in due], known)
    asked = [{name: known.get(name) for name in paper} for paper in papers]
    done, total = 0, sum(map(len, papers))
    lacking: dict[str, str] = {}
    report = progress or (lambda done, total: None)
    report(done, total)
    with closing(Processes(jobs).map(measure, asked, lambda: None)) as results:
        for found in results:
            if found is not None:
                _enter(found, known, folder)
                lacking |= found.lacking
                done += len(found.entries) + len(found.lacking)
                report(done, total)
    return lacking


def _by_paper(names: Sequence[str], known: Mapping[str, Entry]) -> list[list[str]]:
    """Claims paper by paper, first those that take longest, or that nobody knows of how long they take."""
    papers = [list(group) for _, group in groupby(sorted(names, key=_slug), key=_slug)]

    def seconds(paper: list[str]) -> float:
        return sum(run.seconds for name in paper for run in known[name].runs) if known.keys() >= {*paper} else np.inf

    return sorted(papers, key=seconds, reverse=True)


def _slug(name: str) -> str:
    return name.partition(".")[0]


def _enter(found: Found, known: dict[str, Entry], folder: Path) -> None:
    known |= {entry.id: entry for entry in found.entries}
    if found.slug in PAPERS:
        save(found.slug, (entry for entry in known.values() if _slug(entry.id) == found.slug), folder)
    else:
        (folder / f"{found.slug}.json").unlink(missing_ok=True)


def measure(claims: Mapping[str, Entry | None]) -> Found | None:
    """Entries of claims of one paper, given what the record has of each; None where whoever wants them is to end."""
    import lab

    lab.variants()  # what is imported later would be taken for what the first claim ran
    lab.worlds()
    entries: dict[str, Entry] = {}
    lacking: dict[str, str] = {}
    kept: set[str] = set()
    for seed in SEEDS:
        for name, known in claims.items():
            if halted():
                return None
            if name in kept or name in lacking:
                continue
            try:
                run, found, reach = _measured(CLAIMS[name], seed, watched=seed == SEEDS[0])
            except Exception as error:  # a claim that cannot be measured stops no other
                lacking[name] = f"{type(error).__name__}: {error}"
                entries.pop(name, None)
            else:
                before = entries.get(name) or _entry(CLAIMS[name], found, reach)
                entries[name] = replace(before, runs=(*before.runs, run))
                if known is not None and _same(entries[name], known):
                    entries[name] = replace(entries[name], runs=(run, *known.runs[1:]))
                    kept.add(name)
    return Found(_slug(next(iter(claims))), [*entries.values()], lacking)


def _same(entry: Entry, known: Entry) -> bool:
    """Whether a first run is that of a known entry but for the code and the time that it took."""
    if not known.fingerprint or len(entry.runs) != 1 or len(known.runs) != len(SEEDS):
        return False
    first = replace(known.runs[0], seconds=entry.runs[0].seconds)
    same = replace(known, fingerprint=entry.fingerprint, day=entry.day, reach=entry.reach, runs=(first,))
    return repr(entry) == repr(same)


def _measured(claim: Claim, seed: int, watched: bool) -> tuple[Run, Measurement, Reach]:
    """One measurement beside its counter-experiment, and what it ran where that is watched."""

    def both() -> tuple[Measurement, Measurement | None]:
        return claim.measure(seed), claim.measure_without(seed)

    start = time.perf_counter()
    (found, without), reach = reached(both) if watched else (both(), {})
    seconds = round(time.perf_counter() - start, 2)
    other, failed = (None, None) if without is None else (float(without.value), not without.holds)
    interval = None if found.interval is None else found.bounds
    border = None if found.border is None else float(found.border)
    verdict = claim.verdict(found, without)
    return Run(seed, float(found.value), interval, border, verdict, other, failed, seconds), found, reach


def _entry(claim: Claim, found: Measurement, reach: Reach) -> Entry:
    """An entry that has no run yet."""
    day = datetime.now(UTC).date().isoformat()
    versions = {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES}
    detail = tuple({name: _short(value) for name, value in row.items()} for row in found.detail)
    return Entry(claim.id, claim.criterion, fingerprint(reach), day, versions, (), detail, reach)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _short(value: Any) -> Any:
    """A number of a table with six digits, fit for JSON; what is no number is no entry of it."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value
