"""`python -m tests.mutants`: which small changes of the sources no quick test notices.

Each test's lines are recorded once (coverage with contexts); a change of a line is then tried on the tests that walk
it, quickest first, in a forked process with the changed source in place of its own.
Lines that run at import, and compiled kernels, are tried on all tests of their room.
"""

from __future__ import annotations

import argparse
import importlib.abc
import importlib.util
import os
import random
import signal
import subprocess
import sys
import time
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
    "simulators/bandit": ["tests/simulators"],
    "lab/logs": ["tests/logs"],
}
LIMIT = 90  # seconds of one change; a change that makes the tests hang is noticed
ENOUGH = 60  # tests tried on a change, those of the fewest lines first


def recorded(room: str) -> dict[str, dict[int, list[str]]]:
    """Which tests walk each line of a room's files: {file: {line: [test, ...]}}."""
    from coverage import CoverageData

    KEPT.mkdir(parents=True, exist_ok=True)
    data = KEPT / f"{room.replace('/', '-')}.coverage"
    command = [
        sys.executable, "-m", "pytest", "-q", "-m", "not slow", "-p", "no:cacheprovider", *ROOMS[room],
        f"--cov={room}", "--cov-context=test", "--cov-report=",
    ]  # fmt: skip
    subprocess.run(command, cwd=ROOT, env={**os.environ, "COVERAGE_FILE": str(data)}, check=True)
    found = CoverageData(str(data))
    found.read()
    lines = {}
    for path in found.measured_files():
        known = found.contexts_by_lineno(path)
        lines[str(Path(path).relative_to(ROOT))] = {
            line: [name.split("|")[0] for name in names] for line, names in known.items()
        }
    return lines


def chosen(room: str, share: dict[str, dict[int, list[str]]], mutant: Mutant) -> list[str]:
    """The tests that a change is tried on."""
    named = share.get(mutant.path, {}).get(mutant.line, [])
    if not named or "" in named or "kernel" in mutant.path or mutant.path.endswith("step.py"):
        return ROOMS[room]
    weight = {test: sum(test in of for lines in share.values() for of in lines.values()) for test in set(named)}
    return sorted(weight, key=lambda test: (weight[test], test))[:ENOUGH]


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


def survivors(work: list[tuple[Mutant, list[str]]], jobs: int) -> list[Mutant]:
    """The changes that all their tests pass on; each is tried in a forked process, `jobs` at a time."""
    left, running, found = work[::-1], {}, []
    while left or running:
        while left and len(running) < jobs:
            mutant, tests = left.pop()
            child = os.fork()
            if child == 0:
                os._exit(_passes(mutant, tests))
            running[child] = mutant, time.monotonic() + LIMIT
        for child, (mutant, end) in list(running.items()):
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                found += [mutant] if os.waitstatus_to_exitcode(status) == 0 else []
                del running[child]
            elif time.monotonic() > end:
                os.kill(child, signal.SIGKILL)
        time.sleep(0.02)
    return found


def _passes(mutant: Mutant, tests: list[str]) -> int:
    import pytest

    os.environ["NUMBA_CACHE_DIR"] = str(KEPT / f"numba-{os.getpid()}") if "simulators" in mutant.path else ""
    if not os.environ["NUMBA_CACHE_DIR"]:
        del os.environ["NUMBA_CACHE_DIR"]
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1), os.dup2(quiet, 2)
    sys.meta_path.insert(0, _Changed(mutant))
    return int(pytest.main(["-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", "-p", "no:cov", *tests]))


def tried(room: str, sample: int, seed: int, jobs: int) -> tuple[int, list[Mutant]]:
    """How many of a room's changes were tried, and those that survive."""
    paths = sorted(p.relative_to(ROOT) for p in (ROOT / room).rglob("*.py"))
    every = [m for path in paths for m in mutants(str(path), (ROOT / path).read_text())]
    some = every if sample <= 0 else random.Random(seed).sample(every, min(sample, len(every)))
    lines = recorded(room)
    same = [(Mutant(m.path, 0, "no change", (ROOT / m.path).read_text()), chosen(room, lines, m)) for m in some[:1]]
    if not survivors(same, 1):
        raise SystemExit(f"{room}: the tests fail without any change; mend that first")
    return len(some), survivors([(m, chosen(room, lines, m)) for m in some], jobs)


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
    all_tried = all_killed = 0
    for room in asked.rooms:
        count, left = tried(room, asked.sample, asked.seed, asked.jobs)
        all_tried, all_killed = all_tried + count, all_killed + count - len(left)
        print(f"{room}: {count - len(left)} of {count} changes noticed", flush=True)
        for m in left:
            print(f"  {m.path}:{m.line}: {m.what}: {(ROOT / m.path).read_text().splitlines()[m.line - 1].strip()}")
    print(f"{all_killed} of {all_tried} ({all_killed / max(all_tried, 1):.0%}) changes noticed")


if __name__ == "__main__":
    main()
