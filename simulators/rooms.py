"""What the rooms of this package hold, found by looking into them."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module

from simulators.declared import Declared

__all__ = ["declare", "declared", "providers", "warm"]

_OWN: dict[str, Declared] = {}


def declared() -> Mapping[str, Declared]:
    """Every world by name: those of the rooms, then a user's own."""
    return {here.name: here for here in _rooms().values()} | _OWN


def declare(here: Declared) -> Declared:
    """Enter a world of one's own; declared again, it takes the place of the former one.

    Raises:
        ValueError: A world of the lab has that name.
    """
    if any(here.name == known.name for known in _rooms().values()):
        raise ValueError(f"{here.name!r} is a world of the lab; give yours another name")
    here.settings  # noqa: B018  # a signature that is no table of settings is refused here
    _OWN[here.name] = here
    return here


def providers(field: str) -> list[str]:
    """Names of the worlds that can fill an optional field of `Rollouts`, or have a score of that name, sorted."""
    return sorted(name for name, here in declared().items() if field in (*here.provides, *here.scores))


def warm() -> None:
    """Compile every kernel, or load it from the disk cache, so that the first click is quick."""
    light = [name for name, here in _rooms().items() if here.extra is None]
    for module in ("simulators.reward_laws", *(f"{name}.world" for name in light)):
        getattr(import_module(module), "warm", lambda: None)()


@cache
def _rooms() -> Mapping[str, Declared]:
    """Module of each room with a world -> its declaration."""
    found = {}
    for folder in import_module("simulators").__path__:
        rooms = [m.name for m in pkgutil.iter_modules([folder]) if m.ispkg]
        for name in sorted(rooms):
            if any(m.name == "world" for m in pkgutil.iter_modules([f"{folder}/{name}"])):
                found[f"simulators.{name}"] = getattr(import_module(f"simulators.{name}"), "HERE", None)
    return {name: here for name, here in found.items() if here is not None}
