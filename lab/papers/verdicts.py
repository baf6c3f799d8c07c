"""Last verdicts on disk: `runs/claims.json`, what each claim said when it was last measured on this machine."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.files import write
from lab.papers.record import BLIND, CLAIMS, NOT_SHOWN, REVERSED, SHOWN, Result

__all__ = ["FILE", "Remembered", "read", "remember"]

#: Name of the file in the folder of runs.
FILE = "claims.json"
_FORMAT = "advantage-lab claims 1"
_VERDICTS = ("holds", "fails", BLIND, SHOWN, NOT_SHOWN, REVERSED)
_LARGEST = 4_000_000  # bytes
_ONE_WRITER = threading.Lock()


@dataclass(frozen=True)
class Remembered:
    """A verdict with the seed that it was measured with, and when (UTC, ISO 8601)."""

    result: Result
    seed: int
    when: str


def read(folder: str | Path = "runs") -> tuple[dict[str, Remembered], str]:
    """The last verdicts by claim, and a note on what could not be read ("" if nothing).

    A claim that is gone, or whose sentence or criterion has changed since, is left out. No file is no verdicts; a
    damaged file is no verdicts and a note, and the next `remember` replaces it.

    Args:
        folder: The folder of runs.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        return {}, ""
    try:
        if path.stat().st_size > _LARGEST:
            return {}, f"{path} is ignored: it is larger than any list of verdicts"
        stored = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(stored, dict) or stored.get("format") != _FORMAT or not isinstance(stored["claims"], list):
            return {}, f"{path} is ignored: it holds no verdicts of this lab"
    except (OSError, ValueError, KeyError, RecursionError) as reason:
        return {}, f"{path} is ignored: {reason}"
    entries = [_entry(row) for row in stored["claims"]]
    damaged = entries.count(None)
    note = f"{path}: {damaged} damaged verdict(s) ignored" if damaged else ""
    return {e.result.id: e for e in entries if e is not None and _current(e.result)}, note


def remember(results: Iterable[Result], seed: int = 0, folder: str | Path = "runs") -> str:
    """Keep the verdicts in the folder's file, whole or not at all; those of other claims stay.

    Args:
        results: What was measured.
        seed: With which seed.
        folder: The folder of runs; made where it is missing.

    Returns:
        Why nothing was kept, "" if all is well: a folder that can't be written to loses no measurement.
    """
    when = datetime.now(UTC).isoformat(timespec="seconds")
    with _ONE_WRITER:
        known = read(folder)[0] | {r.id: Remembered(r, seed, when) for r in results}
        rows = [{**e.result.asdict(), "seed": e.seed, "when": e.when} for e in known.values()]
        text = json.dumps({"format": _FORMAT, "claims": rows}, indent=1, ensure_ascii=False, allow_nan=False)
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            write(Path(folder) / FILE, lambda file: file.write(text.encode("utf-8")))
        except OSError as reason:
            return f"verdicts are not kept: {reason}"
    return ""


def _current(result: Result) -> bool:
    claim = CLAIMS.get(result.id)
    return claim is not None and (claim.sentence, claim.criterion) == (result.sentence, result.criterion)


def _entry(row: Any) -> Remembered | None:
    """A row of the file, None where anything about it is not as it was written."""
    try:
        given = {f.name: row[f.name] for f in fields(Result) if f.name != "without"}
        low, high = (float(x) for x in given["interval"])
        given |= {"interval": (low, high), "value": float(given["value"]), "seconds": float(given["seconds"])}
        given["without"] = None if row.get("without") is None else float(row["without"])
        entry = Remembered(Result(**given), int(row["seed"]), str(row["when"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    numbers = (low, high, given["value"], entry.result.seconds, given["without"] or 0.0)
    texts = [getattr(entry.result, f.name) for f in fields(Result) if f.type == "str"]
    sound = all(map(math.isfinite, numbers)) and all(isinstance(t, str) for t in texts)
    return entry if sound and entry.result.verdict in _VERDICTS else None
