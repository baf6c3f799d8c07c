"""VPL as a reward model by name; what it is made of needs torch and is imported when it is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lab.reward_models.door import reward_model
from simulators.learned_reward.users import Users

if TYPE_CHECKING:
    from lab.reward_models.vpl import Personal

__all__ = ["vpl"]


@reward_model("vpl", paper="vpl", equation="loss = −log σ(r(c, z) − r(r, z)) + w · KL(q(z | own pairs) ‖ N(0, I))",
              data=Users, reads=("chosen", "rejected"),
              note="scores for a user, who is known by what it has compared")  # fmt: skip
def vpl(
    comparisons: Users, seeds: Sequence[int], *, latent: int = 4, hidden: int = 64, context: int = 8,
    targets: int = 8, batch: int = 64, steps: int = 800, lr: float = 2e-3, kl: float = 1e-2, anneal: str = "none",
    sphere: bool = False,
) -> Personal:  # fmt: skip
    """Infers from some pairs of a user how it ranks others; see `lab.reward_models.vpl.vpl`."""
    from lab.reward_models.vpl import vpl as fitted

    return fitted(comparisons, seeds, latent=latent, hidden=hidden, context=context, targets=targets, batch=batch,
                  steps=steps, lr=lr, kl=kl, anneal=anneal, sphere=sphere)  # fmt: skip
