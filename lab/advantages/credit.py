"""What an advantage rule gives back when it decides more than the advantages."""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import NDArray

__all__ = ["Credit"]


class Credit(NamedTuple):
    """Advantages with what a method decides beside them.

    Attributes:
        advantage: [..., P, G], or [..., P, G, T] for a rule per token.
        keep: Which rollouts take part in the update [..., P, G]; the others leave its denominator too. None: all.
        clip_scale: Factor on the clip range of each token [..., P, G, T]. None: 1.
    """

    advantage: NDArray[Any]
    keep: NDArray[Any] | None = None
    clip_scale: NDArray[Any] | None = None
