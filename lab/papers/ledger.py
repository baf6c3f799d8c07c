"""The ledger: what the record says of each claim, and what the claims said when they were last measured here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab import papers
from lab.papers import verdicts
from lab.papers.record import Claim, Measurement, Result
from lab.papers.recorded import Entry

if TYPE_CHECKING:
    import polars as pl

__all__ = ["OPEN", "Ledger"]

#: Verdict of a claim that is not in the record and has not been measured here.
OPEN = "not measured yet"
_AS_RECORDED = 1e-6  # relative difference that other versions of the packages may make


class Ledger:
    """Results by claim and seed, beside the record; a claim that was measured again has its last result.

    Args:
        folder: Where last verdicts are remembered (`lab.papers.verdicts`), such as "runs"; None: nowhere.
        record: What ships with the lab, `lab.papers.recorded.read()`; None: nothing.

    Attributes:
        note: What could not be read or kept, "" if nothing.
    """

    def __init__(self, folder: str | Path | None = None, record: Mapping[str, Entry] | None = None) -> None:
        self._found: dict[tuple[str, int], tuple[Result, Measurement | None]] = {}
        self._folder, self.note, self.record = folder, "", record or {}
        self._remembered: dict[str, verdicts.Remembered] = {}
        if folder is not None:
            self._remembered, self.note = verdicts.read(folder)

    def measure(
        self,
        identifiers: Iterable[str],
        seed: int = 0,
        *,
        progress: Callable[[int, int], None] | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> None:
        """Measure claims and their counter-experiments one after the other, each entered as soon as it is known.

        Args:
            identifiers: Such as ["gdpo.1", "gdpo.2"].
            seed: See `lab.papers.measured`.
            progress: Called with (claims done, claims in all).
            stop: Asked before each claim; when it says True the rest is left.

        Raises:
            UnknownNameError: Before anything is measured, for an identifier that is none.
        """
        wanted = [papers.find_claim(name).id for name in identifiers]
        for done, name in enumerate(wanted):
            if stop is not None and stop():
                return
            if progress is not None:
                progress(done, len(wanted))
            found = self._found[name, seed] = papers.measured(name, seed, counter=True)
            if self._folder is not None and found[1] is not None:
                self.note = verdicts.remember([found[0]], seed, self._folder)
        if progress is not None:
            progress(len(wanted), len(wanted))

    def result(self, identifier: str, seed: int = 0) -> Result | None:
        """The last result of a claim, None where it was not measured with this seed."""
        found = self._found.get((identifier, seed))
        if found:
            return found[0]
        last = self._remembered.get(identifier)
        return last.result if last and last.seed == seed else None

    def measurement(self, identifier: str, seed: int = 0) -> Measurement | None:
        """The further numbers of the last result, None where there are none or it is only remembered."""
        found = self._found.get((identifier, seed))
        return found[1] if found else None

    def detail(self, identifier: str, seed: int = 0) -> pl.DataFrame | None:
        """What a claim compared, as it was measured here with this seed, or else as it is in the record."""
        found = self.measurement(identifier, seed) or self.record.get(identifier)
        return found.frame if found is not None and found.detail else None

    def frame(self, seed: int = 0) -> pl.DataFrame:
        """One row per claim of the catalogue, recorded, measured here or neither.

        Columns paper (name of the method), slug, id, place (in its paper, from 1), kind ("check" for identities beside
        those of `Result`), sentence, value, low, high, criterion, published (the paper's own figure), verdict (as in
        `Result`, or `OPEN`), seconds, without (value of the counter-experiment); these are of the record's first seed,
        the verdict of all its seeds, or what was measured here where the record has no such claim. Then, of the record,
        least and most (values over its seeds), failed (every counter-experiment failed, as it must), room (see
        `lab.papers.recorded.Run.room`), day; and here (verdict of this seed as measured here), value_here, and differs
        (from the record).
        """
        import polars as pl

        rows = [
            {"paper": paper.short, "slug": paper.slug, "id": claim.id, "place": place, "kind": _kind(claim),
             "sentence": claim.sentence, "criterion": claim.criterion, "published": claim.published,
             **self._said(claim.id, seed)}
            for paper in papers.catalogue()
            for place, claim in enumerate(paper.claims, start=1)
        ]  # fmt: skip
        text, number, yes = pl.String, pl.Float64, pl.Boolean
        schema = {
            "paper": text, "slug": text, "id": text, "place": pl.Int64, "kind": text, "sentence": text, "value": number,
            "low": number, "high": number, "criterion": text, "published": text, "verdict": text, "seconds": number,
            "without": number, "least": number, "most": number, "failed": yes, "room": number, "day": text,
            "here": text, "value_here": number, "differs": yes,
        }  # fmt: skip
        return pl.DataFrame(rows, schema=schema)

    def _said(self, identifier: str, seed: int) -> dict[str, Any]:
        """Numbers and verdicts of a claim, of the record and of here."""
        entry, found = self.record.get(identifier), self.result(identifier, seed)
        here = {"here": found.verdict, "value_here": found.value} if found else {}
        if entry is None:
            return here | (_numbers(found) if found else {"verdict": OPEN})
        values = [run.value for run in entry.runs]
        recorded = {"least": min(values), "most": max(values), "failed": entry.failed, "room": entry.room}
        differs = None if found is None or found.value is None else _differs(found, entry, seed)
        return _numbers(entry.runs[0]) | recorded | here | {
            "verdict": entry.verdict, "day": entry.day, "differs": differs}  # fmt: skip


def _kind(claim: Claim) -> str:
    return "check" if ".check-" in claim.id else claim.kind


def _numbers(found: Any) -> dict[str, Any]:
    """Those of a `Result` or of a run of the record."""
    low, high = found.interval or (found.value, found.value)
    return {"value": found.value, "low": low, "high": high, "verdict": found.verdict, "seconds": found.seconds,
            "without": found.without}  # fmt: skip


def _differs(found: Result, entry: Entry, seed: int) -> bool:
    """Whether a measurement says anything else than the record: another verdict, or another value of the same seed."""
    same = [run.value for run in entry.runs if run.seed == seed]
    near = all(math.isclose(value, found.value or 0.0, rel_tol=_AS_RECORDED, abs_tol=1e-9) for value in same)
    return found.verdict != entry.verdict or not near
