"""POLAR as a reward model by name; what it is made of needs torch and is imported when it is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lab.reward_models.door import find, reward_model
from simulators.bigrams.fitters import FITTERS
from simulators.bigrams.tables import Policies

if TYPE_CHECKING:
    from lab.reward_models.polar import Discriminator

__all__ = ["polar"]


@reward_model("polar", paper="polar", equation="loss = −log σ(r(A₁, A₂) − r(A₁, B₁))", data=Policies,
              reads=("reference_response",), note="learns from policies; scores beside a reference")  # fmt: skip
def polar(
    comparisons: Policies, seeds: Sequence[int], *, hidden: int = 64, batch: int = 64, steps: int = 400,
    lr: float = 4e-3,
) -> Discriminator:  # fmt: skip
    """Learns to tell policies apart; see `lab.reward_models.polar.polar`."""
    from lab.reward_models.polar import polar as fitted

    return fitted(comparisons, seeds, hidden=hidden, batch=batch, steps=steps, lr=lr)


FITTERS["polar"] = lambda policies, seeds: find("polar").function(policies, seeds)
