"""Reward rules: they score or change the rewards of a whole group before any advantage is computed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lab.advantages.door import as_rewards
from lab.errors import MissingFieldError
from lab.registry import find, rules
from lab.walk import import_all

__all__ = ["apply", "names"]

import_all(__name__, __path__)


def apply(name: str, rewards: ArrayLike, **fields_and_options: Any) -> NDArray[Any]:
    """Rewards after the rule `name`.

    Args:
        name: A registered reward rule (see `names`).
        rewards: Rewards [P, G], [P, G, K] or [S, P, G, K].
        **fields_and_options: Fields that the rule reads (`mask`, ...) and its options by name.

    Returns:
        Rewards [..., P, G, K]; of a rule that remembers earlier steps, those of the first.

    Raises:
        UnknownNameError: No such rule or option. MissingFieldError: a field that it reads is not given.
    """
    rule = find("reward", name)
    rule.check_options(fields_and_options)
    absent = [f for f in rule.required if fields_and_options.get(f) is None]
    if absent:
        raise MissingFieldError(f"reward rule {name!r} reads {', '.join(absent)}; pass {absent[0]}=")
    given, array = {**rule.options, **fields_and_options}, as_rewards(rewards)
    if rule.memory is None:
        return np.asarray(rule.function(array, **given))
    if array.ndim == 4:
        return np.asarray(rule.function(array, memory=rule.memory(len(array)), **given)[0])
    given |= {f: np.asarray(given[f])[None] for f in rule.fields if given.get(f) is not None}
    return np.asarray(rule.function(array[None], memory=rule.memory(1), **given)[0])[0]


def names() -> list[str]:
    """Names of all reward rules."""
    return list(rules("reward"))
