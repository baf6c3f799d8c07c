"""`python -m tests.mutants`: which small changes of the sources no quick test notices.

Each test's lines are recorded once (coverage with contexts); a change of a line is then tried on the tests that walk
it, quickest first, in a forked process with the changed source in place of its own.
Lines that run at import, and compiled kernels, are tried on all tests of their room.
"""

from __future__ import annotations

import argparse
import importlib.abc
import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.mutants.changes import Mutant, mutants

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "build" / "mutants"
#: What is changed -> the tests that answer for it.
ROOMS = {
    "lab/advantages": ["tests/rules", "tests/golden", "tests/methods"],
    "lab/objectives": ["tests/objectives", "tests/rules", "tests/golden", "tests/methods"],
    "lab/training": ["tests/train", "tests/experiment"],
    "simulators/bandit": [
        *(
            f"tests/simulators/test_{name}.py"
            for name in ("bandit", "bandit_families", "bandit_laws", "bandit_truth", "stride", "sizes")
        )
    ],
    "lab/logs": ["tests/logs"],
}
EXAMPLES = ("battery.py",)  # tests of rules themselves: other numbers in them are other examples
LIMIT = 90  # seconds of one change at least; a change that makes the tests hang is noticed
PATIENCE = 4  # times what the room's tests take without a change
LINE = ["-q", "-m", "not slow", "-p", "no:cacheprovider", "--timeout", "0"]  # of pytest; a test is given all the time
ENOUGH = 60  # tests tried on a change, those of the fewest lines first


def recorded(room: str) -> tuple[dict[str, dict[int, list[str]]], float]:
    """Which tests walk each line of a room's files, {file: {line: [test, ...]}}, and the seconds they all take.

    Kept until a file of the room or of its tests changes.
    """
    kept = KEPT / f"{room.replace('/', '-')}.json"
    newest = max(path.stat().st_mtime for place in (room, "tests") for path in (ROOT / place).rglob("*.py"))
    if not kept.exists() or kept.stat().st_mtime < newest:
        kept.write_text(json.dumps(_record(room)), encoding="utf-8")
    lines, seconds = json.loads(kept.read_text(encoding="utf-8"))
    return {path: {int(line): tests for line, tests in of.items()} for path, of in lines.items()}, seconds


def _record(room: str) -> tuple[dict[str, dict[int, list[str]]], float]:
    from coverage import CoverageData

    KEPT.mkdir(parents=True, exist_ok=True)
    data = KEPT / f"{room.replace('/', '-')}.coverage"
    command = [
        sys.executable,
        "-m",
        "pytest",
        *LINE,
        *ROOMS[room],
        f"--cov={room}",
        "--cov-context=test",
        "--cov-report=",
    ]
    start = time.monotonic()
    if subprocess.run(command, cwd=ROOT, env={**os.environ, "COVERAGE_FILE": str(data)}, check=False).returncode:
        raise SystemExit(f"{room}: the tests fail without any change; mend that first")
    seconds = time.monotonic() - start
    found = CoverageData(str(data))
    found.read()
    lines = {}
    for path in found.measured_files():
        known = found.contexts_by_lineno(path)
        lines[str(Path(path).relative_to(ROOT))] = {
            line: [name.split("|")[0] for name in names] for line, names in known.items()
        }
    return lines, seconds


def chosen(room: str, share: dict[str, dict[int, list[str]]], mutant: Mutant) -> list[str]:
    """The tests that a change is tried on."""
    named = share.get(mutant.path, {}).get(mutant.line, [])
    if not named or "" in named or _compiled(mutant):
        return ROOMS[room]
    weight = {test: sum(test in of for lines in share.values() for of in lines.values()) for test in set(named)}
    return sorted(weight, key=lambda test: (weight[test], test))[:ENOUGH]


def _compiled(mutant: Mutant) -> bool:
    """Whether the change is in a file of compiled kernels, whose lines no one sees walked."""
    return "simulators.compiled" in mutant.source


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Serves one module from a changed source."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant
        self.name = mutant.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != self.name:
            return None
        where = str(ROOT / self.mutant.path)
        package = [str(Path(where).parent)] if where.endswith("__init__.py") else None
        return importlib.util.spec_from_file_location(name, where, loader=self, submodule_search_locations=package)

    def create_module(self, spec: Any) -> Any:
        return None

    def exec_module(self, module: Any) -> None:
        exec(compile(self.mutant.source, str(ROOT / self.mutant.path), "exec"), module.__dict__)


def outcomes(work: list[tuple[Mutant, list[str]]], jobs: int, limit: float) -> Iterator[tuple[Mutant, str]]:
    """What became of each change, tried in a forked process, `jobs` at a time: "survives", "noticed", "too long"."""
    left, running = work[::-1], {}
    while left or running:
        while left and len(running) < jobs:
            mutant, tests = left.pop()
            child = os.fork()
            if child == 0:
                os._exit(_passes(mutant, tests))
            running[child] = mutant, time.monotonic() + limit
        for child, (mutant, end) in list(running.items()):
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                del running[child]
                code = os.waitstatus_to_exitcode(status)
                yield mutant, {0: "survives", -signal.SIGKILL: "too long"}.get(code, "noticed")
            elif time.monotonic() > end:
                os.kill(child, signal.SIGKILL)
        time.sleep(0.02)


def _passes(mutant: Mutant, tests: list[str]) -> int:
    import pytest

    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1), os.dup2(quiet, 2)
    sys.meta_path.insert(0, _Changed(mutant))
    line = [*LINE, "-x", "-p", "no:cov", *tests]
    if not _compiled(mutant):
        return int(pytest.main(line))
    with tempfile.TemporaryDirectory(dir=KEPT) as code:  # machine code of its own
        os.environ["NUMBA_CACHE_DIR"] = code
        return int(pytest.main(line))


def tried(room: str, sample: int, seed: int, jobs: int) -> Iterator[tuple[Mutant, str]]:
    """Each change of a room that is tried, and what became of it."""
    paths = sorted(p.relative_to(ROOT) for p in (ROOT / room).rglob("*.py") if p.name not in EXAMPLES)
    every = [m for path in paths for m in mutants(str(path), (ROOT / path).read_text())]
    some = every if sample <= 0 else random.Random(seed).sample(every, min(sample, len(every)))
    lines, seconds = recorded(room)
    limit = max(LIMIT, PATIENCE * seconds)
    same = [(Mutant(m.path, 0, "no change", (ROOT / m.path).read_text()), chosen(room, lines, m)) for m in some[:1]]
    if dict(outcomes(same, 1, limit)) != {same[0][0]: "survives"}:
        raise SystemExit(f"{room}: the tests fail without any change; mend that first")
    yield from outcomes([(m, chosen(room, lines, m)) for m in some], jobs, limit)


def main() -> None:
    """Try the changes and print those that survive."""
    given = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    given.add_argument("rooms", nargs="*", default=list(ROOMS), help=f"of {', '.join(ROOMS)}")
    given.add_argument("--sample", type=int, default=60, help="changes tried in each room; 0: all")
    given.add_argument("--seed", type=int, default=0)
    given.add_argument("--jobs", type=int, default=2)
    asked = given.parse_args()
    os.chdir(ROOT)
    for heavy in ("numpy", "pytest"):  # none that has threads of its own, which a fork would lose
        importlib.import_module(heavy)
    total: Counter[str] = Counter()
    for room in asked.rooms:
        here: Counter[str] = Counter()
        for m, became in tried(room, asked.sample, asked.seed, asked.jobs):
            here[became] += 1
            if became != "noticed":
                line = (ROOT / m.path).read_text().splitlines()[m.line - 1].strip()
                print(f"  {became}: {m.path}:{m.line}: {m.what}: {line}", flush=True)
        print(f"{room}: {_share(here)}", flush=True)
        total += here
    print(_share(total))


def _share(found: Counter[str]) -> str:
    """A change on which the tests never end is noticed as well."""
    killed = found.total() - found["survives"]
    return f"{killed} of {found.total()} ({killed / max(found.total(), 1):.0%}) changes noticed"


if __name__ == "__main__":
    main()
