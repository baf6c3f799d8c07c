"""Bradley and Terry's reward model of responses: a small network whose margin is the log-odds of a preference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lab.reward_models.door import reward_model
from simulators.learned_reward.annotators import Comparisons

__all__ = ["bradley_terry"]


@reward_model("bradley-terry", paper="preference-substrate", equation="loss = −log σ(r(chosen) − r(rejected))")
def bradley_terry(
    comparisons: Comparisons, seeds: Sequence[int], *, hidden: int = 64, lr: float = 3e-3, weight_decay: float = 0.0,
    batch: int = 64, epochs: int = 5,
) -> Any:  # fmt: skip
    """One hidden layer of SiLUs on pairs, see `simulators.learned_reward.fitting.fit`.

    Args:
        comparisons: S sets of pairs [S, N, D], or one for all.
        seeds: [S].
        hidden: Width.
        lr: Learning rate of AdamW.
        weight_decay: Of AdamW.
        batch: Pairs per step.
        epochs: Passes over the pairs.

    Returns:
        S models, responses [S, ..., D] -> scores [S, ...].

    Source: Bradley and Terry 1952; the preference-substrate card.
    """
    from simulators.learned_reward.fitting import fit

    return fit(comparisons, seeds, hidden=hidden, lr=lr, weight_decay=weight_decay, batch=batch, epochs=epochs)
