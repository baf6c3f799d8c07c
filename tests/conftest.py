"""What every test has: fixed draws in CI, a limit of time, its own cache of compiled code."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
SLOW_TIMEOUT = 900

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as under `advlab`; before NumPy is there

settings.register_profile("default", deadline=None)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "default")

# Two processes that compile one function for different arguments at the same time can leave the
# machine code of one under the name of the other in Numba's cache, so workers do not share it.
if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    os.environ.setdefault("NUMBA_CACHE_DIR", str(ROOT / "build" / f"numba-{worker}"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the repository."""
    return ROOT


@pytest.fixture
def own_rule() -> Iterator[Callable[..., str]]:
    """`own_rule(name, function, **facts)` registers an advantage rule, as a notebook cell does, for one test."""
    from lab import composites, methods, registry

    assert methods.names(), "the lab's own rules are registered first"
    before = {kind: dict(known) for kind, known in registry._RULES.items()}
    several = dict(composites._METHODS)

    def add(name: str, function: Callable[..., Any], **facts: Any) -> str:
        function.__module__, function.__qualname__ = "__main__", name
        registry.register("advantage", name, **facts)(function)
        return name

    yield add
    for kind, known in before.items():
        registry._RULES[kind].clear()
        registry._RULES[kind].update(known)
    composites._METHODS.clear()
    composites._METHODS.update(several)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A worker takes a file at a time, so that each kernel is compiled where it is used; of claims, notebooks one."""
    from xdist.scheduler import LoadFileScheduling

    class ByFileOrPaper(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file, _, test = nodeid.partition("::")
            part = re.search(r"(?:record_says|right_from_wrong)\[([\w-]+)", test)
            return f"{file} {part[1]}" if part else file

    return ByFileOrPaper(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give slow tests more time, unless they name a limit of their own."""
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_TIMEOUT))
