"""What a call runs: the functions of the lab and of its worlds, by module."""

from __future__ import annotations

import functools
import gc
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, TypeVar

from lab.papers.recorded.sources import ROOT, functions

__all__ = ["Reach", "reached"]

#: Names of functions by module, one space between them.
Reach = Mapping[str, str]
T = TypeVar("T")
_OURS = (f"{ROOT / 'lab'}/", f"{ROOT / 'simulators'}/")
_RECORD = __name__.rpartition(".")[0]


def reached(call: Callable[[], T]) -> tuple[T, Reach]:
    """The answer of a call and what it ran, on every thread that it started; nothing that was computed before is used.

    What is compiled is not seen to run; `lab.papers.recorded.sources` finds it by its name.
    """
    _forget()
    codes: set[CodeType] = set()

    def seen(frame: FrameType, event: str, argument: Any) -> None:
        codes.add(frame.f_code)

    before = sys.gettrace(), threading.gettrace()
    threading.settrace(seen)
    sys.settrace(seen)
    try:
        answer = call()
    finally:
        sys.settrace(before[0])
        threading.settrace(before[1])
    return answer, _by_module(codes)


def _forget() -> None:
    """Empty the caches of the lab and of its worlds: what is kept would not be seen to run."""
    for each in gc.get_objects():
        if type(each) is functools._lru_cache_wrapper:  # asking its `__class__` would wake lazy modules
            module = str(each.__module__)
            if module.startswith(("lab.", "simulators.")) and not module.startswith(_RECORD):
                each.cache_clear()


def _by_module(codes: set[CodeType]) -> Reach:
    found: dict[str, set[str]] = {}
    for code in codes:
        if code.co_filename.startswith(_OURS):
            parts = Path(code.co_filename).relative_to(ROOT).with_suffix("").parts
            module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found.setdefault(module, set()).add(code.co_qualname.split(".<locals>")[0])
    kept = {module: sorted(names & functions(module)) for module, names in sorted(found.items())}
    return {module: " ".join(names) for module, names in kept.items() if names and not module.startswith(_RECORD)}
