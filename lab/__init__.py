"""Advantage Lab: an instrument for looking at what group-relative reinforcement learning does with rewards.

Public doors, the same in a notebook, in the dashboard and in tests:

    >>> import lab
    >>> lab.advantages.compute("dr_grpo", [0, 0, 0, 1])
    array([-0.25, -0.25, -0.25,  0.75])

Everything is loaded on first use, so `import lab` is quick and loads neither torch nor Streamlit.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab import (
        advantages,
        diagnostics,
        distances,
        experiment,
        figures,
        imports,
        objectives,
        papers,
        reward_models,
        rewards,
        sampling,
        store,
    )  # fmt: skip
    from lab.diagnostics.metrics import metrics
    from lab.diagnostics.your_run import diagnose
    from lab.imports import load
    from lab.papers import claims
    from lab.train import Trace, train
    from lab.variants import Variant, advantage, objective, variant, variants

_MODULES = (
    "advantages", "diagnostics", "distances", "experiment", "figures", "imports", "objectives", "papers",
    "reward_models", "rewards", "sampling", "store",
)  # fmt: skip
_NAMES = {
    "Trace": "lab.train",
    "Variant": "lab.variants",
    "advantage": "lab.variants",
    "claims": "lab.papers",
    "diagnose": "lab.diagnostics.your_run",
    "load": "lab.imports",
    "metrics": "lab.diagnostics.metrics",
    "objective": "lab.variants",
    "train": "lab.train",
    "variant": "lab.variants",
    "variants": "lab.variants",
}

__all__ = [
    "Trace", "Variant", "advantage", "advantages", "claims", "diagnose", "diagnostics", "distances", "experiment",
    "figures", "imports", "load", "metrics", "objective", "objectives", "papers", "reward_models", "rewards",
    "sampling", "store", "train", "variant", "variants",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(importlib.import_module(_NAMES[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"lab.{name}")
    else:
        raise AttributeError(f"module 'lab' has no attribute {name!r}; it has {', '.join(__all__)}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(ModuleType):
    """A door keeps its name where its module is called alike: importing `lab.train` does not hide `lab.train(...)`."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (isinstance(value, ModuleType) and name in _NAMES):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
