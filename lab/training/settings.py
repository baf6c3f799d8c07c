"""The settings of a training run, declared once: names, defaults, what is allowed, and the words beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

from lab.errors import InputError, UnknownNameError, check_number
from simulators.declared import OneOf, Range, Setting
from simulators.declared import settings_of as settings_made_of

if TYPE_CHECKING:
    from simulators.records import World

__all__ = ["OPTIMIZERS", "SUITED", "Settings", "declared", "settings_of", "wanted"]

OPTIMIZERS = ("sgd", "momentum", "adam")

#: Settings that some world of the lab has values of its own for.
SUITED = frozenset(("evaluate", "group_size", "lr", "optimizer"))


class _Above(Range):
    """Numbers above `low`, which is not among them."""

    def __contains__(self, value: float) -> bool:
        return value != self.low and super().__contains__(value)

    def __str__(self) -> str:
        return f"above {self.low}"


class _Below(Range):
    """Numbers from `low` to `high`, which is not among them."""

    def __contains__(self, value: float) -> bool:
        return value != self.high and super().__contains__(value)

    def __str__(self) -> str:
        return f"from {self.low} to below {self.high}"


@dataclass(frozen=True)
class Settings:
    """Everything that decides a training run beside the world and the variants. `lab.train` takes each by name.

    Attributes:
        steps: Number of batches of rollouts.
        seeds: Number of runs n (seeds 0 to n - 1), or their seeds.
        group_size: Rollouts per prompt G.
        lr: Learning rate of ascent on the mean objective (1/(P·G)) Σ w ∇log π; where a policy has several blocks of
            parameters, one for all of them or one for each by name, {"policy": 0.1, "critic": 0.5}.
        measure: "basic", "full" (with the exact gradient), names from `lab.metrics()`, or None.
        optimizer: "sgd", "momentum" or "adam", for all blocks or one for each by name.
        momentum: First decay of "momentum" and "adam".
        max_grad_norm: Scale larger gradients down to this norm; None: only where the variant asks for it.
        epochs: Gradient steps per batch of rollouts.
        every: Measure every so many steps (and at the last one).
        reward_weights: Weight of each reward component [K]; None: ones.
        evaluate: Try held-out problems every so many steps, and at the last one, in a world that has them: greedy,
            pass_at_1, pass_at_8; 0: never.
        reference_rollouts: At each measured step, rollouts of a reference gradient of the step's prompts, in a world
            that knows no exact one: cosine_reference and others, each with its standard error; 0: none.

    Raises:
        InputError, UnknownNameError: A value that is not allowed, by name.
    """

    steps: Annotated[int, Range(0), "Steps"] = 300
    seeds: Annotated[int | Sequence[int], "Seeds", 'A number of runs, or their seeds: "3,5,9" or "10-19".'] = 16
    group_size: Annotated[int, Range(1, slider=(2, 32)), "Group size", "Rollouts per prompt."] = 8
    lr: Annotated[
        float | Mapping[str, float],
        Range(0, slider=(0, 100, 0.5)),
        "Learning rate",
        "Of ascent on the mean objective.",
    ] = 1.0
    measure: Annotated[str | Sequence[str] | None, "Measurements", "basic, full, none, or names joined by commas."] = (
        "basic"
    )
    optimizer: Annotated[str | Mapping[str, str], OneOf(OPTIMIZERS), "Optimizer", "sgd, momentum or adam."] = "sgd"
    momentum: Annotated[float, _Below(0, 1), "Momentum", "First decay of momentum and adam."] = 0.9
    max_grad_norm: Annotated[float | None, _Above(0), "Largest gradient norm", "Larger ones are scaled down."] = None
    epochs: Annotated[
        int,
        Range(1, slider=(1, 4)),
        "Passes per batch",
        "Gradient steps per batch of rollouts; with one, clips and ratios do nothing.",
    ] = 1
    every: Annotated[int, Range(1), "Measured every", "So many steps, and at the last one."] = 1
    reward_weights: Annotated[
        Sequence[float] | None, "Reward weights", "One for each reward component, joined by commas."
    ] = None
    evaluate: Annotated[int, Range(0), "Held-out problems", "Tried every so many steps; 0: never."] = 0
    reference_rollouts: Annotated[
        int, Range(0), "Reference rollouts", "Of a gradient to compare with, where none is exact."
    ] = 0

    def __post_init__(self) -> None:
        for name, setting in declared().items():
            value = getattr(self, name)
            for one in value.values() if setting.each and isinstance(value, Mapping) else (value,):
                if isinstance(setting.domain, OneOf) and one not in setting.domain:
                    raise UnknownNameError(name, one, setting.domain.options)
            if not setting.takes(value):
                raise InputError(f"{name}={value!r}; it must be {wanted(setting)}")
        _check_weights(self.reward_weights)

    @classmethod
    def values(cls, settings: Settings) -> dict[str, Any]:
        """The settings by name, of a `Settings` or of what has them as its own."""
        return {each.name: getattr(settings, each.name) for each in fields(cls)}


@cache
def declared() -> dict[str, Setting]:
    """What is declared of each setting of a run: its default, its values, the words beside it."""
    return settings_made_of(Settings)


def settings_of(world: World, changes: Mapping[str, Any], settings: Settings | None = None) -> Settings:
    """The settings of a run in a world.

    Args:
        world: The world.
        changes: Settings by name; those left out, or None where a world may have a value of its own, are taken from
            `settings`.
        settings: All settings; None: for each the value that suits the world, else its default.

    Raises:
        UnknownNameError: There is no setting of that name.
        InputError: A value that is not allowed, or that the world cannot do.
    """
    from lab.world_registry import resolved

    changes = {name: value for name, value in changes.items() if value is not None or name not in SUITED}
    if settings is not None and not isinstance(settings, Settings):
        raise InputError(f"settings={settings!r}; it must be a lab.Settings or an experiment.Config")
    given = {} if settings is None else Settings.values(settings)
    chosen = resolved(world, {**given, **changes})
    for name in chosen:
        if name not in declared():
            suited = "" if name in changes else f" that suits world {world.name!r},"
            raise UnknownNameError(f"setting of a run{suited}", str(name), declared())
    return Settings(**chosen)


def wanted(setting: Setting) -> str:
    """What a value of a setting must be, in words."""
    finite = setting.wanted.replace("a number", "a finite number") if setting.kind is float else setting.wanted
    named = ", or one for each block by name" if setting.each else ""
    return finite + named + (", or None" if setting.default is None else "")


def _check_weights(weights: Any) -> None:
    if weights is not None and (isinstance(weights, str) or not isinstance(weights, Iterable)):
        raise InputError(f"reward_weights={weights!r}; it must be a list of numbers, one for each reward component")
    for k, weight in enumerate(() if weights is None else weights):
        check_number(f"reward_weights[{k}]", weight, lambda x: abs(x) < float("inf"), "a finite number")
