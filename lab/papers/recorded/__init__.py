"""The ledger that ships with the lab: every claim over seeds 0 to 4, beside its counter-experiment.

A file per paper, `<slug>.json`, an entry per claim. An entry is stale once the code that its measurement ran has
changed, or its criterion has. `advlab claims --stale` names such entries, `advlab claims --record` measures them again.

>>> from lab.papers import recorded
>>> recorded.read()["ngrpo.1"].verdict
'holds'
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.errors import InputError
from lab.files import write
from lab.papers.record import BLIND, CLAIMS, NOT_SHOWN

if TYPE_CHECKING:
    import polars as pl

__all__ = ["HERE", "SEEDS", "Entry", "Run", "read", "save", "stale"]

#: Where the files are.
HERE = Path(__file__).parent
SEEDS = range(5)


@dataclass(frozen=True)
class Run:
    """A claim measured with one seed.

    Attributes:
        seed: Of all its random numbers.
        value: The headline number.
        interval: Its 95% interval; None where it is exact.
        border: See `lab.papers.record.Measurement`.
        verdict: See `lab.papers.record.Result`.
        without: Value of the counter-experiment; None where there is none.
        failed: Whether the counter-experiment failed, as it must.
        seconds: Wall-clock time of the claim and its counter-experiment.
    """

    seed: int
    value: float
    interval: tuple[float, float] | None
    border: float | None
    verdict: str
    without: float | None
    failed: bool | None
    seconds: float

    @property
    def room(self) -> float | None:
        """Share of the way from the value to what it must not cross that is beyond doubt, 0 to 1.

        0: the interval touches or crosses it, or an exact value is as large as it may be. None: no such number.
        """
        if self.border is None:
            return None
        if self.interval is None:
            return max(0.0, 1 - abs(self.value / self.border)) if self.border else None
        way = self.value - self.border
        doubt = self.value - self.interval[0] if way > 0 else self.interval[1] - self.value
        return max(0.0, 1 - doubt / abs(way)) if way else 0.0


@dataclass(frozen=True)
class Entry:
    """A claim in the record.

    Attributes:
        id: Identifier of the claim.
        criterion: When it holds, as it stood.
        fingerprint: Of the code that ran (`lab.papers.recorded.sources`).
        day: When it was measured (UTC, ISO 8601).
        versions: Of Python and of the packages that compute.
        runs: A measurement per seed.
        detail: Further numbers of the first, as in `lab.papers.record.Measurement`.
        reach: Names of the functions that ran, by module.
    """

    id: str
    criterion: str
    fingerprint: str
    day: str
    versions: Mapping[str, str]
    runs: tuple[Run, ...]
    detail: tuple[Mapping[str, Any], ...]
    reach: Mapping[str, str]

    @property
    def verdict(self) -> str:
        """That of all seeds; where they differ a headline is not shown, and another claim is what the worst says."""
        found = {run.verdict for run in self.runs}
        if len(found) == 1:
            return found.pop()
        return NOT_SHOWN if self.id.endswith(".headline") else "fails" if "fails" in found else BLIND

    @property
    def failed(self) -> bool | None:
        """Whether the counter-experiment failed with every seed, None where there is none."""
        found = [run.failed for run in self.runs if run.failed is not None]
        return all(found) if found else None

    @property
    def frame(self) -> pl.DataFrame:
        """The further numbers of the first run as a Polars frame."""
        import polars as pl

        return pl.DataFrame(list(self.detail), infer_schema_length=None)

    @property
    def room(self) -> float | None:
        """The least `Run.room`."""
        return min((run.room for run in self.runs if run.room is not None), default=None)


def read(folder: Path = HERE) -> dict[str, Entry]:
    """All entries by claim, in the order of the files' names.

    Raises:
        InputError: A file is damaged.
    """
    found: dict[str, Entry] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            entries = [_entry(row) for row in json.loads(path.read_text(encoding="utf-8"))]
        except (ValueError, TypeError, KeyError) as reason:
            raise InputError(f"{path} is damaged ({reason}); remove it and run `advlab claims --record`") from None
        found |= {entry.id: entry for entry in entries}
    return found


def save(slug: str, entries: Iterable[Entry], folder: Path = HERE) -> None:
    """Write the entries of one paper, those of claims that are gone left out; a field or a seed a line."""
    order = {claim.id: claim.order for claim in CLAIMS.values() if claim.paper == slug}
    kept = sorted((e for e in entries if e.id in order), key=lambda e: order[e.id])
    text = "[" + ",\n".join(map(_lines, kept)) + "]\n"
    write(folder / f"{slug}.json", lambda file: file.write(text.encode()))


def stale(entries: Mapping[str, Entry]) -> dict[str, str]:
    """Claims that have no entry of the present code, each with the reason, and entries whose claim is gone."""
    from lab.papers.recorded.sources import fingerprint

    found = {}
    for claim in CLAIMS.values():
        entry = entries.get(claim.id)
        if entry is None:
            found[claim.id] = "it is not in the record"
        elif entry.criterion != claim.criterion:
            found[claim.id] = "its criterion has changed"
        elif entry.fingerprint != fingerprint(entry.reach):
            found[claim.id] = "code that it runs has changed"
    return found | {name: "there is no such claim any more" for name in entries if name not in CLAIMS}


def _entry(row: dict[str, Any]) -> Entry:
    runs = [Run(**{**run, "interval": run["interval"] and tuple(run["interval"])}) for run in row["runs"]]
    return Entry(**{**row, "runs": tuple(runs), "detail": tuple(row["detail"])})


def _lines(entry: Entry) -> str:
    reach = ",\n".join(f"{_text(module)}: {_text(names)}" for module, names in entry.reach.items())
    texts = {name: _spread(value) for name, value in asdict(entry).items()} | {"reach": f"{{\n{reach}\n}}"}
    return "{" + ",\n".join(f"{_text(name)}: {text}" for name, text in texts.items()) + "}"


def _spread(value: Any) -> str:
    if isinstance(value, tuple):
        return "[\n" + ",\n".join(map(_text, value)) + "\n]"
    return _text(value)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
