"""The registry of measurements: each is declared beside the function that computes it, the lab's and a user's own."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from lab.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from lab.registry import Rule
    from simulators.records import World

__all__ = ["INPUTS", "LEVELS", "METRICS", "Metric", "columns", "known", "measurement", "metric"]

F = TypeVar("F", bound=Callable[..., Any])

LEVELS = ("basic", "full")

#: What the function of a measurement may read -> what a world must have for it: one of its methods, or "".
INPUTS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("moment", "policy", "start", "world", "rewards", "advantage", "used", "keep", "gradient"), ""),
        **dict.fromkeys(("basic", "n", "logp_new", "objective", "options"), ""),
        **dict.fromkeys(("truth", "exact_gradient"), "truth"),
        **{"held_out": "evaluate", "against_reference": "reference", "agent_norms": "agents"},
    }
)

#: The number in the name of the first of a kind of which there are as many as the world has.
_FIRST = {"agents": 0, "components": 1}


@dataclass(frozen=True)
class Metric:
    """One measurement of a training step.

    Attributes:
        name: Column of a trace; with "{n}" in it, that of each agent or reward component.
        label: Axis title.
        unit: Unit, "" for a pure number.
        better: "higher", "lower" or "" where neither is good in itself.
        level: "basic" or "full": from which level on it is measured; "asked": only where a setting or its name asks.
        definition: One sentence.
        needs: What a world must have for it: methods ("truth", "gold"), "agents", or several "components" with names;
            "clip test": what the objective must have.
        size: Whether it is at least 0 and has no largest value.
        each: "agents" or "components": there is one for each of them.
        n: Which of them it is; None: all.
        function: What computes it, from those of `INPUTS` that its parameters name: one number for each run [S].
    """

    name: str
    label: str
    unit: str
    better: str
    level: str
    definition: str
    needs: tuple[str, ...]
    size: bool
    each: str
    function: Callable[..., Any]
    n: int | None = None

    @cached_property
    def reads(self) -> tuple[str, ...]:
        """Names of what its function takes."""
        return tuple(inspect.signature(self.function).parameters)

    def numbered(self, n: int) -> Metric:
        """That of the n-th agent or component."""
        texts = {key: getattr(self, key).replace("{n}", str(n)) for key in ("name", "label", "definition")}
        return replace(self, **texts, n=n)

    def called(self, name: str) -> Metric | None:
        """This one, or that of the agent or component whose number stands in the name; None: it is another's name."""
        if name == self.name:
            return self
        found = self.each and re.fullmatch(re.escape(self.name).replace(r"\{n\}", "(0|[1-9][0-9]*)"), name)
        return self.numbered(int(found[1])) if found and int(found[1]) >= _FIRST[self.each] else None

    def found_in(self, world: World, objective: Rule) -> list[Metric]:
        """What of this can be measured in a world, with an objective: itself, one for each agent, or nothing."""
        has = {"clip test": "clipped" in objective.extras, "agents": bool(world.agents),
               "components": len(world.components) > 1}  # fmt: skip
        if not all(has[need] if need in has else world.can(need) for need in self.needs):
            return []
        if not self.each:
            return [self]
        there = range(_FIRST[self.each], _FIRST[self.each] + len(getattr(world, self.each)))
        return [self.numbered(n) for n in there] if self.n is None else [self] * (self.n in there)


#: All measurements by name, in the order of the columns of a trace.
METRICS: dict[str, Metric] = {}


def measurement(
    name: str | None = None, *, label: str = "", unit: str = "", better: str = "", level: str = "asked",
    needs: str | Sequence[str] = (), size: bool = False, each: str = "",
) -> Callable[[F], F]:  # fmt: skip
    """Declare a measurement: `lab.train(..., measure=[name])` has it, and every list of measurements.

    The decorated function is called at each measured step, before the parameters move, and returns one number for each
    run [S]. Its parameters say what it reads: `moment` (the step: rollouts, rewards, advantages, weights), `policy`,
    `start` (the first policy), `world`, `gradient`, `rewards` (added up [S, P, G]), `advantage`, `used` (advantages,
    0 where a filter dropped the rollout) and `keep` (which it kept, or None) [S, P, G], `truth`, `exact_gradient`, and
    the others of `lab.measures.metric.INPUTS`. Its docstring begins with the definition.

    Args:
        name: Column of a trace; the function's name by default. With `each`, it has "{n}" in it, and the function may
            read `n`.
        label: Axis title; the name by default.
        unit: Unit, "" for a pure number.
        better: "higher", "lower" or "" where neither is good in itself.
        level: "basic" or "full": from which level on it is measured; "asked": only where it is named.
        needs: Methods without which a world does not have it; a world's own measurement needs one of that world.
        size: Whether it is at least 0 and has no largest value, so that an interval ends at 0.
        each: "agents" or "components", where there is one for each of them.

    Raises:
        InputError: The name is that of another measurement, or cannot be a column; or the function reads what there
            is not.
    """

    def declare(function: F) -> F:
        own = name or function.__name__
        about = " ".join((inspect.getdoc(function) or "").split("\n\n")[0].split())
        wanted = (needs,) if isinstance(needs, str) else tuple(needs)
        made = Metric(own, label or own.replace("_", " "), unit, better, level, about, wanted, size, each, function)
        _check(made)
        implied = (each, *(INPUTS[read] for read in made.reads))
        METRICS[own] = replace(made, needs=tuple(dict.fromkeys((*wanted, *filter(None, implied)))))
        return function

    return declare


def _check(made: Metric) -> None:
    """Refuse a declaration that cannot stand beside the others."""
    origin = made.function.__module__, made.function.__qualname__
    there = next((m for m in METRICS.values() if m.called(made.name)), None)
    taken = there is not None and (there.function.__module__, there.function.__qualname__) != origin
    column = made.name.replace("{n}", "0") if made.each else made.name
    if taken or not column.isidentifier() or made.name in ("variant", "seed", "step"):
        raise InputError(f"measurement {made.name!r}; it must be a name that is not taken: letters, digits and _")
    if made.each and (made.each not in _FIRST or "{n}" not in made.name):
        raise InputError(f"measurement {made.name!r}, each={made.each!r}; it must be one of {', '.join(_FIRST)}, and "
                         "the name must have {n} in it")  # fmt: skip
    for read in made.reads:
        if read not in INPUTS or (read == "n" and not made.each):
            raise UnknownNameError(f"what measurement {made.name!r} reads,", read, INPUTS)


def known(name: str) -> bool:
    """Whether there is a measurement of that name."""
    return any(m.called(name) for m in METRICS.values())


def metric(name: str) -> Metric:
    """The measurement of that name.

    Raises:
        UnknownNameError: There is no such measurement.
    """
    for each in METRICS.values():
        if found := each.called(name):
            return found
    raise UnknownNameError("measurement", name, METRICS)


def columns(measure: str | Sequence[str] | None) -> list[str]:
    """Names of what is measured at a level, or of the measurements named; none for None.

    Raises:
        UnknownNameError: The level is neither "basic" nor "full", or there is no such measurement.
    """
    if measure is None:
        return []
    if isinstance(measure, str):
        if measure not in LEVELS:
            raise UnknownNameError("measure", measure, LEVELS, "or give a list of names from lab.metrics()")
        return [m.name for m in METRICS.values() if m.level in ("basic", measure)]
    if not isinstance(measure, Iterable):
        raise InputError(f"measure={measure!r}; it must be 'basic', 'full', names from lab.metrics(), or None")
    order = [m.function for m in METRICS.values()]
    found = {metric(str(name)).name: metric(str(name)) for name in measure}
    return sorted(found, key=lambda name: (order.index(found[name].function), found[name].n or 0))
