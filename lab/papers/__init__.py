"""The catalogue: each paper's facts, published figures and claims, one file per paper.

>>> from lab import papers
>>> papers.run_claim("baselines.check-rloo").verdict
'holds'
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from lab.errors import MissingExtraError, UnknownNameError
from lab.papers.record import (
    BLIND,
    CLAIMS,
    NOT_SHOWN,
    PAPERS,
    REVERSED,
    SHOWN,
    UNMEASURABLE,
    Claim,
    Measurement,
    Paper,
    Result,
    Table,
    Unmeasured,
    add_paper,
    claim,
)
from lab.registry import fold
from lab.walk import import_all

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "BLIND", "NOT_SHOWN", "REVERSED", "SHOWN", "Claim", "Measurement", "Paper", "Result", "Table", "Unmeasured",
    "add_paper", "catalogue", "claim", "claims", "find_claim", "measured", "paper", "run_claim", "select",
    "table",
]  # fmt: skip

import_all(__name__, __path__)


def catalogue() -> list[Paper]:
    """All papers, oldest first (by their first arXiv number)."""
    return sorted(PAPERS.values(), key=lambda p: next(iter(p.arxiv.values()), "9999"))


def paper(slug: str) -> Paper:
    """The paper of that slug.

    Raises:
        UnknownNameError: There is no such paper; the nearest slugs are offered.
    """
    found = PAPERS.get(fold(slug))
    if found is None:
        raise UnknownNameError("paper", slug, PAPERS)
    return found


def find_claim(identifier: str) -> Claim:
    """The claim of that identifier, such as "gdpo.2".

    Raises:
        UnknownNameError: There is no such claim; the nearest identifiers are offered.
    """
    found = CLAIMS.get(fold(identifier))
    if found is None:
        raise UnknownNameError("claim", identifier, CLAIMS)
    return found


def select(*names: str) -> list[Claim]:
    """Claims of the papers and identifiers named, in the order of the catalogue; all of them without a name.

    Raises:
        UnknownNameError: A name is neither a paper's slug nor a claim's identifier.
    """
    wanted = {c.id for name in names for c in _named(name)}
    return [c for p in catalogue() for c in p.claims if not names or c.id in wanted]


def _named(name: str) -> tuple[Claim, ...]:
    if fold(name) in PAPERS:
        return PAPERS[fold(name)].claims
    if fold(name) in CLAIMS:
        return (CLAIMS[fold(name)],)
    raise UnknownNameError("paper or claim", name, [*PAPERS, *CLAIMS])


def measured(identifier: str, seed: int = 0, *, counter: bool = False) -> tuple[Result, Measurement | None]:
    """Measure one claim: its result, and the measurement with its further numbers.

    A claim that needs a package which is not installed is not measured; its result says so.

    Args:
        identifier: Such as "gdpo.2".
        seed: Any whole number of at least 0; verdicts do not depend on it.
        counter: Make its counter-experiment too; where that holds as well, the claim does not distinguish.

    Raises:
        UnknownNameError: There is no such claim.
    """
    chosen = find_claim(identifier)
    said = chosen.id, chosen.paper, chosen.kind, chosen.sentence
    start = time.perf_counter()
    try:
        found = chosen.measure(seed)
        seconds = time.perf_counter() - start
        without = chosen.measure_without(seed) if counter else None
    except MissingExtraError as missing:
        return Unmeasured(*said, None, None, chosen.criterion, UNMEASURABLE, 0.0, reason=str(missing)), None
    verdict, other = chosen.verdict(found, without), None if without is None else float(without.value)
    return Result(*said, float(found.value), found.bounds, chosen.criterion, verdict, seconds, other), found


def run_claim(identifier: str, seed: int = 0, *, counter: bool = False) -> Result:
    """Measure one claim; see `measured`."""
    return measured(identifier, seed, counter=counter)[0]


def claims(
    *names: str, seed: int = 0, counter: bool = False, progress: Callable[[int, int], None] | None = None
) -> list[Result]:
    """Measure claims one after the other.

    Args:
        names: Slugs of papers or identifiers of claims; none means all.
        seed: See `measured`.
        counter: See `measured`.
        progress: Called with (claims done, claims in all), first with 0 done.

    Raises:
        UnknownNameError: Before anything is measured, for a name that is neither.
    """
    chosen = select(*names)
    results: list[Result] = []
    for c in chosen:
        if progress is not None:
            progress(len(results), len(chosen))
        results.append(run_claim(c.id, seed, counter=counter))
    if progress is not None:
        progress(len(results), len(chosen))
    return results


def table(*names: str, seed: int = 0) -> pl.DataFrame:
    """Claims measured, and measured again without what they are about.

    Args:
        names: See `claims`.
        seed: See `measured`.

    Returns:
        A row per claim: id, value, low and high (95%; equal where the value is exact), without (the value of the
        counter-experiment, in which the claim must not hold), published (the paper's own figure), verdict.
    """
    import polars as pl

    found = claims(*names, seed=seed, counter=True)
    rows = [
        (r.id, r.value, *(r.interval or (None, None)), r.without, find_claim(r.id).published, r.verdict) for r in found
    ]
    text, number = pl.String, pl.Float64
    columns = {"id": text, "value": number, "low": number, "high": number, "without": number, "published": text}
    return pl.DataFrame(rows, schema={**columns, "verdict": text}, orient="row")
