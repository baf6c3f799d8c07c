"""Reward models by name, as the world knows them; whoever has more enters them here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulators.learned_reward.annotators import Comparisons

__all__ = ["FITTERS", "Fitter"]

#: S sets of comparisons and S seeds -> S reward models, in units of their own.
Fitter = Callable[["Comparisons", Sequence[int]], Any]


def _bradley_terry(comparisons: Comparisons, seeds: Sequence[int]) -> Any:
    from simulators.learned_reward.fitting import fit

    return fit(comparisons, seeds)


#: Name -> how it is fitted.
FITTERS: dict[str, Fitter] = {"bradley-terry": _bradley_terry}
