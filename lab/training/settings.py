"""Numbers of a training run that are not part of the variant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lab.errors import check_number, check_whole

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """Numbers of a training run that are not part of the variant.

    Attributes:
        group_size: Rollouts per prompt G.
        lr: Learning rate on the mean objective (1/(P·G)) Σ w ∇log π.
        optimizer: "sgd", "momentum" or "adam".
        momentum: Its first decay.
        max_grad_norm: Norm above which a gradient is scaled down; None: the variant's own, if it has one.
        epochs: Gradient steps per batch of rollouts.
        reward_weights: Weight of each reward component; None: ones.
        evaluate: Try held-out problems every so many steps, and at the last one; 0: never.
        reference_rollouts: Rollouts of a reference gradient at each measured step, in a world that knows no exact one;
            0: there is none.
    """

    group_size: int = 8
    lr: float = 1.0
    optimizer: str = "sgd"
    momentum: float = 0.9
    max_grad_norm: float | None = None
    epochs: int = 1
    reward_weights: tuple[float, ...] | None = None
    evaluate: int = 0
    reference_rollouts: int = 0

    def __post_init__(self) -> None:
        for name, least in (("group_size", 1), ("epochs", 1), ("evaluate", 0), ("reference_rollouts", 0)):
            check_whole(name, getattr(self, name), least)
        check_number("lr", self.lr, lambda x: 0 <= x < np.inf, "a finite number of at least 0")
        check_number("momentum", self.momentum, lambda x: 0 <= x < 1, "a number from 0 to below 1")
        if self.max_grad_norm is not None:
            check_number("max_grad_norm", self.max_grad_norm, lambda x: x > 0, "above 0, or None for no clipping")
        for k, weight in enumerate(() if self.reward_weights is None else self.reward_weights):
            check_number(f"reward_weights[{k}]", weight, lambda x: abs(x) < np.inf, "a finite number")
