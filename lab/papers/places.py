"""Where else a headline is looked at: on fewer runs, at the learning rates that were best in the first place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import lab
from lab.papers.measure import Array

if TYPE_CHECKING:
    from lab.methods import Variant
    from lab.studies.fair import Comparison

__all__ = ["elsewhere", "final"]


def elsewhere(first: Comparison, learn: Callable[[str, float], Array]) -> Comparison:
    """The same methods in another place.

    Args:
        first: The comparison in which each had its own best learning rate.
        learn: (name, that learning rate) -> what is judged at the end of each run [n].
    """
    from lab.studies.fair import Comparison

    return Comparison(first.metric, first.lr, {name: learn(name, lr) for name, lr in first.lr.items()}, {}, first.curve)


def final(
    world: Any, variant: str | Variant, lr: float, *, metric: str, seeds: Sequence[int], steps: int, **settings: Any
) -> Array:
    """A metric of each run at its last step [n]; `settings` as in `lab.train`."""
    trace = lab.train(
        world, variant, lr=lr, seeds=seeds, steps=steps, measure=[metric], every=max(steps - 1, 1), **settings
    )
    return trace.frame.filter(step=steps - 1).sort("seed")[metric].to_numpy()
