"""The ledger: what the claims said when they were last measured, in this process or, with a folder, before it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from lab import papers
from lab.papers import verdicts
from lab.papers.record import Measurement, Result

if TYPE_CHECKING:
    import polars as pl

__all__ = ["OPEN", "Ledger"]

#: Verdict of a claim that has not been measured.
OPEN = "not measured yet"


class Ledger:
    """Results by claim and seed; a claim that was measured again has its last result.

    Args:
        folder: Where last verdicts are remembered (`lab.papers.verdicts`), such as "runs"; None: nowhere.

    Attributes:
        note: What could not be read or kept, "" if nothing.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self._found: dict[tuple[str, int], tuple[Result, Measurement | None]] = {}
        self._folder, self.note = folder, ""
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

    def frame(self, seed: int = 0) -> pl.DataFrame:
        """One row per claim of the catalogue, measured or not.

        Columns paper (name of the method), slug, id, place (in its paper, from 1), kind, sentence, value, low, high,
        criterion, published (the paper's own figure), verdict (as in `Result`, or `OPEN`), seconds, without (value of
        the counter-experiment).
        """
        import polars as pl

        rows = []
        for paper in papers.catalogue():
            for place, claim in enumerate(paper.claims, start=1):
                found = self.result(claim.id, seed)
                numbers = (found.value, *(found.interval or (None, None))) if found else (None, None, None)
                verdict, *last = (found.verdict, found.seconds, found.without) if found else (OPEN, None, None)
                rows.append((paper.short, paper.slug, claim.id, place, claim.kind, claim.sentence, *numbers,
                             claim.criterion, claim.published, verdict, *last))  # fmt: skip
        text, number = pl.String, pl.Float64
        schema = {
            "paper": text, "slug": text, "id": text, "place": pl.Int64, "kind": text, "sentence": text, "value": number,
            "low": number, "high": number, "criterion": text, "published": text, "verdict": text, "seconds": number,
            "without": number,
        }  # fmt: skip
        return pl.DataFrame(rows, schema=schema, orient="row")
