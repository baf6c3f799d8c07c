"""Whether a variant fits a world: what its rules read and weigh, and what the world has."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from contextlib import contextmanager
from typing import Any

from lab.errors import InputError, MissingFieldError, worlds_with
from lab.methods import Variant
from lab.registry import FIELDS, KINDS, Rule
from simulators.records import World, adopted

__all__ = ["check_components", "fields_read", "lacking", "named", "scores_weighed", "world_of"]


def world_of(given: Any) -> World:
    """A world, or an object with the methods of one, as a world; InputError names what it lacks."""
    try:
        return adopted(given)
    except TypeError as refusal:
        raise InputError(str(refusal)) from None


@contextmanager
def named(world: World) -> Iterator[None]:
    """What a world refuses to sample is an InputError that names the world."""
    try:
        yield
    except ValueError as refusal:
        raise InputError(f"world {world.name!r}: {refusal}") from refusal


def lacking(world: World, rule: Rule) -> list[str]:
    """Fields that a rule needs and the world does not provide."""
    return [f for f in rule.required if not FIELDS[f].everywhere and f not in world.provides]


def fields_read(world: World, variant: Variant) -> tuple[str, ...]:
    """Fields that the rules read and the world has to fill; those that every world has are left out.

    Raises:
        MissingFieldError: A rule needs a field that the world does not provide.
    """
    wanted: set[str] = set()
    for rule in filter(None, map(variant.rule, KINDS)):
        wanted |= {f for f in rule.fields if f in world.provides}
        absent = lacking(world, rule)
        if absent:
            has = ", ".join(sorted(world.provides)) or "no optional field"
            raise MissingFieldError(
                f"variant {variant.name!r}: {rule.kind} rule {rule.name!r} reads {', '.join(absent)}; "
                f"world {world.name!r} provides {has} ({worlds_with(absent)})"
            )
    return tuple(sorted(f for f in wanted if not FIELDS[f].everywhere))


def scores_weighed(world: World, variant: Variant) -> tuple[str, ...]:
    """The world's scores on whose gradient the objective's weights act; none of them: log π.

    Raises:
        MissingFieldError: The world does not have one of them.
    """
    objective = variant.rule("objective")
    assert objective is not None
    names: tuple[str, ...] = tuple(objective.extras.get("scores", ()))
    absent = [n for n in names if n not in world.scores]
    if absent:
        raise MissingFieldError(
            f"variant {variant.name!r}: objective {objective.name!r} takes the gradient of {', '.join(absent)}; "
            f"world {world.name!r} has that of log π alone ({worlds_with(absent)})"
        )
    return names


def check_components(world: World, variant: Variant, number: int, weights: Sized | None) -> None:
    """Refuse to combine the gradients of a single reward component, and weights that are not one for each.

    Raises:
        InputError: There is nothing to combine, or there are more or fewer weights than components.
    """
    if number < 2:
        raise InputError(
            f"variant {variant.name!r}: combining rule {variant.combine!r} combines the gradients of several reward "
            f"components; world {world.name!r} gives one, so there is nothing to combine"
        )
    if weights is not None and len(weights) != number:
        raise InputError(f"{len(weights)} weights for {number} reward components; one each is needed")
