"""Which prompts take part in an update: filters on the rewards of their groups.

>>> from lab import sampling
>>> sampling.keep("uniform", [[0, 0, 0], [0, 1, 0], [1, 1, 1]])
array([False,  True, False])
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lab.advantages.door import as_rewards
from lab.registry import find, rules
from lab.walk import import_all

__all__ = ["keep", "names"]

import_all(__name__, __path__)


def keep(name: str, rewards: ArrayLike, **options: Any) -> NDArray[np.bool_]:
    """Which prompts the filter `name` keeps.

    Args:
        name: A registered filter (see `names`).
        rewards: Rewards [P, G], [P, G, K] or [S, P, G, K]; components are added.
        **options: The filter's options.

    Returns:
        True where the prompt stays in the update: [P] or [S, P].

    Raises:
        UnknownNameError: No such filter or option. InputError: rewards that are no numbers or have a wrong shape.
    """
    rule = find("filter", name)
    rule.check_options(options)
    result: NDArray[np.bool_] = rule.function(as_rewards(rewards).sum(axis=-1), **{**rule.options, **options})
    return result


def names() -> list[str]:
    """Names of all filters."""
    return list(rules("filter"))
