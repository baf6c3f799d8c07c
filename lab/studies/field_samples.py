"""A few rollouts of a world for rules that read more than rewards: its fields, beside rewards set by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lab.errors import InputError, check_whole
from lab.registry import FIELDS, find
from lab.sizes import sized
from lab.world_registry import declaration, names
from simulators.records import World

__all__ = ["FieldSample", "field_source", "field_sources", "field_table", "sample_fields"]

Array = NDArray[Any]


@dataclass(frozen=True)
class FieldSample:
    """Rollouts of a world's first policy.

    Attributes:
        world: name of the world.
        fields: field -> array [P, G, ...], or [P] for a field of the prompt.
        rewards: what the world itself gave them [P, G, K].
        value: expected reward of each prompt, components added [P].
    """

    world: str
    fields: Mapping[str, Array]
    rewards: Array
    value: Array


def field_sources() -> dict[str, frozenset[str]]:
    """World -> fields that a rule can get from its rollouts, for worlds that are quickly made and take any group."""
    found = {name: here for name in names() if not (here := declaration(name)).heavy and not here.fixed}
    fields = {name: frozenset((*here.provides, *here.telling)) for name, here in found.items()}
    return {name: has for name, has in fields.items() if has}


def field_source(rules: Iterable[str]) -> str | None:
    """The world whose fields serve most of the rules that need any, with fewest others; None where it serves none."""
    needed = [need for name in rules if (need := set(find("advantage", name).required))]
    sources = field_sources()
    served = {world: (sum(need <= has for need in needed), -len(has)) for world, has in sources.items()}
    best = max(served, key=lambda world: served[world])
    return best if served[best][0] else None


@sized(8.0, "prompts", "rollouts")
def sample_fields(world: World, *, prompts: int, rollouts: int, seed: int = 0) -> FieldSample:
    """Draw rollouts of the first prompts of a world, at its first policy.

    Args:
        world: one whose name is among `field_sources`.
        prompts: P, at most as many as the world has.
        rollouts: G.
        seed: of the draws.

    Raises:
        InputError: no such source, or more prompts than it has.
    """
    sources = field_sources()
    if world.name not in sources:
        raise InputError(f"world {world.name!r}; fields can be drawn from {', '.join(sources)}")
    if not 1 <= prompts <= world.prompts:
        raise InputError(f"prompts={prompts}; world {world.name!r} has {world.prompts}")
    policy, size = world.init([check_whole("seed", seed, 0)]), check_whole("rollouts", rollouts, 1)
    wanted = sorted(sources[world.name])
    drawn = world.rollout(policy, size, 0, fields=[f for f in wanted if f != "actions"])
    held = {f: x for f in wanted if (x := drawn.get(f)) is not None}
    fields = {f: (x[0] if FIELDS[f].axis("P", x) else x)[:prompts] for f, x in held.items()}
    if "greedy_rewards" in fields:
        fields["greedy_rewards"] = fields["greedy_rewards"].sum(axis=-1)
    value = world.truth(policy, drawn, gradient=False).value
    return FieldSample(world.name, fields, drawn.rewards[0, :prompts], value[0, :prompts])


def field_table(sample: FieldSample) -> pl.DataFrame:
    """The fields of each rollout as text: prompt, rollout (counted from 1), then one column per field.

    Padding is left out, and of a field with an axis beyond tokens (a hidden state) the shape is told.
    """
    shape = sample.rewards.shape[:2]
    mask = sample.fields.get("mask")
    rows = []
    for p, g in np.ndindex(*shape):
        row: dict[str, Any] = {"prompt": p + 1, "rollout": g + 1}
        for name, array in sample.fields.items():
            if name != "mask":
                row[name] = _shown(array[p, g] if array.ndim > 1 else array[p], None if mask is None else mask[p, g])
        rows.append(row)
    return pl.DataFrame(rows)


def _shown(value: Array, real: Array | None) -> str:
    if value.ndim > 1:
        return f"{' × '.join(map(str, value.shape))} numbers"
    kept = value[real] if real is not None and value.shape == real.shape else value
    return ", ".join(f"{x:.3g}" for x in np.atleast_1d(kept))
