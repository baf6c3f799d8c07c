"""Compare the lab with golden files: `python -m tests.golden DIR` (by default the copies in tests/golden/files)."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.golden import maps
from tests.golden.compare import Tally, UnknownOutputError

HERE = Path(__file__).parent / "files"


def run_file(path: Path) -> Tally:
    """Compare every output of every case of one file; an output that nobody knows is a miss."""
    tally = Tally()
    try:
        cases = json.loads(path.read_text(encoding="utf-8"))["cases"]
    except (OSError, ValueError, KeyError, TypeError) as reason:
        tally.miss(path.name, f"not a golden file ({reason!r}); it must be JSON with a list 'cases'")
        return tally
    compare = maps.of(path.stem)
    if compare is None:
        tally.miss(path.name, f"nothing compares this file; known are {', '.join(maps.known())}")
        return tally
    for index, case in enumerate(cases):
        tally.cases += 1
        where = f"{path.name} case {index}" + (f" ({case['options']['edge']})" if case["options"].get("edge") else "")
        try:
            compare(tally, where, case)
        except UnknownOutputError as reason:
            tally.miss("unknown", str(reason))
        except Exception as reason:
            tally.miss(where, f"{type(reason).__name__}: {reason}")
    return tally


def main(arguments: list[str]) -> int:
    """Print one line per file and every miss; 1 if there is any, or nothing to compare."""
    folder = Path(arguments[0]) if arguments else HERE
    files = sorted(folder.glob("*.json"))
    if not files:
        print(f"no golden files (*.json) in {folder}")
        return 1
    failed = 0
    for path in files:
        tally = run_file(path)
        verdict = f"{len(tally.misses)} MISSES" if tally.misses else "agrees"
        counts = f"{tally.cases:4} cases {tally.outputs:5} outputs"
        print(f"{path.name:24} {counts}  worst error {tally.worst:8.2g} of its allowance  {verdict}")
        for miss in tally.misses:
            print(f"    {miss}")
        failed += bool(tally.misses)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
