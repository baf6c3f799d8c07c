"""How each golden file maps onto the public doors: one module per file, with a function `compare(tally, where, case)`.

The file `mc-grpo.json` is compared by the module `mc_grpo`; its tolerances stand there with their reasons.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

from tests.golden.compare import Tally

__all__ = ["known", "of"]


def known() -> list[str]:
    """Names of the golden files that can be compared."""
    return sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(__path__) if m.name != "shared")


def of(name: str) -> Callable[[Tally, str, dict[str, Any]], None] | None:
    """The comparison of the golden file `name`, or None."""
    if name not in known():
        return None
    module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    compare: Callable[[Tally, str, dict[str, Any]], None] = module.compare
    return compare
