"""Methods that are more than one rule, each registered beside its paper's rule."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from lab.errors import InputError
from lab.registry import KINDS, fold, rules

__all__ = ["method", "methods"]

_METHODS: dict[str, dict[str, Any]] = {}


def method(name: str, **facts: Any) -> None:
    """Register a method of more than one rule: `lab.variant(name)` is made of `facts`, as `lab.Variant` takes them.

    It stands beside its paper's rule. The other rules it names may be registered later.

    Args:
        name: What users write; where a rule of that name exists, the method must use it.
        **facts: Rules by kind, each a name or (name, options); what it asks of the loop; `paper` and `note`.

    Raises:
        InputError: The name belongs to another method, or to a rule that this one does not use.
    """
    module = sys._getframe(1).f_globals.get("__name__", "")
    known, named = _METHODS.get(fold(name)), [fold(f if isinstance(f, str) else f[0]) for f in _chosen_of(facts)]
    rule = any(fold(name) in map(fold, rules(kind)) for kind in KINDS if KINDS[kind].alone)
    if (known is not None and known["module"] != module) or (rule and fold(name) not in named):
        raise InputError(f"variant {name!r} exists already; choose another name for your method")
    _METHODS[fold(name)] = {"name": name, "module": module, "facts": MappingProxyType(facts)}


def _chosen_of(facts: Mapping[str, Any]) -> list[Any]:
    return [facts[kind] for kind in KINDS if facts.get(kind) is not None]


def methods() -> dict[str, Mapping[str, Any]]:
    """Facts of all registered methods by name: those of textbooks, then those of each paper."""
    found = {known["name"]: known["facts"] for known in _METHODS.values()}
    return dict(sorted(found.items(), key=lambda item: item[1].get("paper", "baselines") != "baselines"))
