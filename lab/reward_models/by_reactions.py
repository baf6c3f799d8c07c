"""FLR as a reward model by name; what it is made of needs torch and is imported when it is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lab.reward_models.door import reward_model
from simulators.learned_reward.annotators import Comparisons

if TYPE_CHECKING:
    from lab.reward_models.flr import FollowUps

__all__ = ["flr"]


@reward_model("flr", paper="flr", equation="R = mean l(F⁺) − mean l(F⁻)",
              note="each pair is two dialogues: the preferred answer pleased, the other did not")  # fmt: skip
def flr(
    comparisons: Comparisons, seeds: Sequence[int], *, form: str = "log-likelihood", side: str = "difference",
    number: int = 10, epochs: int = 10,
) -> FollowUps:  # fmt: skip
    """A scorer that learns what users say next; see `lab.reward_models.flr.flr`."""
    from lab.reward_models.flr import flr as fitted

    return fitted(comparisons, seeds, form=form, side=side, number=number, epochs=epochs)
