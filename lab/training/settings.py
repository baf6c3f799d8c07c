"""Numbers of a training run that are not part of the variant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.errors import UnknownNameError, check_number, check_whole
from lab.world_registry import resolved

if TYPE_CHECKING:
    from simulators.records import World

__all__ = ["Settings", "settings_of"]


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


def settings_of(world: World, given: Mapping[str, Any]) -> Settings:
    """The settings of a run in a world; those that are None take what suits the world, else their defaults.

    Raises:
        InputError: A value out of range, or one that the world cannot do.
    """
    chosen = resolved(world, {key: value for key, value in given.items() if value is not None})
    known = [each.name for each in fields(Settings)]
    for key in chosen:
        if key not in known:
            raise UnknownNameError(f"setting of a run that suits world {world.name!r},", key, known)
    return Settings(**chosen)
