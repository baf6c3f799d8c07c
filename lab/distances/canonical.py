"""Canonical forms of a reward: what is left of it when that which no policy notices is taken away.

The record and the list; the forms themselves are in `without_model.py` and `with_model.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lab.distances.norms import spread
from lab.errors import InputError, UnknownNameError
from lab.registry import STAND_INS, fold
from simulators.mdp.mdp import MDP

__all__ = ["CANONS", "Canon", "Form", "canon", "canonical_form", "check_world", "distribution", "find", "given"]

Array = NDArray[Any]


class Form(NamedTuple):
    """Canonical forms of N rewards, not yet scaled.

    Attributes:
        values: [N, S*A*S] for kind "full", otherwise [N, S*A].
        reference: The rewards that they were made of, likewise: a form that is rounding beside them is zero.
        kind: How values are spread over next states, see `norms.spread`.
    """

    values: Array
    reference: Array
    kind: str = "full"


@dataclass(frozen=True)
class Canon:
    """A canonicalisation.

    Attributes:
        name: As in the first part of a distance's name.
        function: `function(mdp, rewards [N, S, A, S], *, options) -> Form`.
        equation: In Unicode.
        unchanged: Changes of the reward that it does not see: of "shaping", "offset", "redistribution".
        linear: c(aR1 + bR2) = a c(R1) + b c(R2).
        idempotent: c(c(R)) = c(R).
        level: The form is constant over s', so norms that differ by the weight alone are proportional.
        paper: Slug of the paper's page.
        options: Names and defaults of what else the function takes.
    """

    name: str
    function: Callable[..., Form]
    equation: str
    unchanged: frozenset[str]
    linear: bool
    idempotent: bool
    level: bool
    paper: str
    options: Mapping[str, Any]


#: All canonicalisations by name, in the order of the files that define them.
CANONS: dict[str, Canon] = {}


def canon(
    equation: str, *, unchanged: Iterable[str] = (), linear: bool = True, idempotent: bool = True, level: bool = False,
    paper: str,
) -> Callable[[Callable[..., Form]], Callable[..., Form]]:  # fmt: skip
    """Decorator that adds a function to `CANONS` under its own name and returns it unchanged; see `Canon`."""

    def add(function: Callable[..., Form]) -> Callable[..., Form]:
        parameters = list(inspect.signature(function).parameters.values())[2:]
        options = {p.name: p.default for p in parameters}
        name = function.__name__
        blind = frozenset(unchanged)
        CANONS[name] = Canon(name, function, equation, blind, linear, idempotent, level, paper, options)
        return function

    return add


def find(name: str) -> Canon:
    """The canonicalisation of that name, or what stands in for it; UnknownNameError offers the nearest names."""
    other: Canon | None = STAND_INS.get().get(("canonicalisation", fold(name)))
    if other is not None:
        return other
    for known, found in CANONS.items():
        if fold(known) == fold(name):
            return found
    raise UnknownNameError("canonicalisation", name, CANONS)


def given(name: str, known: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The options, if `name` takes all of them; UnknownNameError otherwise."""
    for option in options:
        if option not in known:
            raise UnknownNameError(f"option of {name!r},", option, known, f"it takes {', '.join(known) or 'none'}")
    return dict(options)


def canonical_form(name: str, mdp: MDP, reward: ArrayLike, **options: Any) -> Array:
    """The canonical form of a reward, not scaled.

    Args:
        name: Of a canonicalisation, such as "val".
        mdp: The world.
        reward: R [..., S, A, S], [S, A] or [S].
        **options: `policy` (val, valpotential), `state_dist` (epic, greedy), `action_dist` (epic, dard).

    Returns:
        C [..., S, A, S].

    Raises:
        UnknownNameError: No such canonicalisation or option.
        ValueError: The reward does not fit the world, or is not finite.
    """
    chosen = find(name)
    rewards = check_world(mdp).rewards(reward)
    flat = rewards.reshape(-1, *mdp.transition.shape)
    form = chosen.function(mdp, flat, **given(chosen.name, chosen.options, options))
    if form.kind == "full":
        return form.values.reshape(rewards.shape)
    return (form.values.reshape(-1, mdp.states, mdp.actions, 1) * spread(mdp, form.kind)).reshape(rewards.shape)


def check_world(mdp: Any) -> MDP:
    """The world, if it is one; InputError otherwise."""
    if not isinstance(mdp, MDP):
        raise InputError(f"rewards are compared in a world, simulators.MDP(transition, discount), not {type(mdp)}")
    return mdp


def distribution(name: str, given: ArrayLike | None, size: int) -> Array:
    """A distribution over `size` things; uniform if None.

    Raises:
        InputError: Another length, negative numbers, or a sum other than 1.
    """
    if given is None:
        return np.full(size, 1 / size)
    array = np.asarray(given, dtype=np.float64)
    if array.shape != (size,) or not (array >= 0).all() or abs(array.sum() - 1) > 1e-8:
        raise InputError(f"{name} must be {size} probabilities that sum to 1, not {array.tolist()}")
    return array
