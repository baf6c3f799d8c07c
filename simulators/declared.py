"""How a world is declared: once, beside its class. Its maker's signature is the table of its settings.

>>> def lengths(prompts: Annotated[int, Range(2, 4096, slider=(2, 32)), "Prompts"] = 16):
...     '''How long to respond.'''
>>> HERE = Declared(lengths, label="how long to respond", provides=("lengths",), run={"lr": 0.4}, shown=("prompts",))

A room is a package of `simulators` with such a `HERE`. What is heavy is imported inside the maker.
"""

from __future__ import annotations

import inspect
import math
import sys
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral, Real
from types import SimpleNamespace, UnionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulators.records import World

__all__ = ["Declared", "OneOf", "Range", "Setting", "When", "settings_of"]


@dataclass(frozen=True)
class Range:
    """Numbers that a setting can have, both ends included.

    Attributes:
        low: The least.
        high: The most; infinite: any finite number.
        slider: The part of them that a page offers, (low, high) or (low, high, step); all of them by default.
    """

    low: float = -math.inf
    high: float = math.inf
    slider: tuple[float, ...] = ()

    def __contains__(self, value: float) -> bool:
        return abs(value) <= sys.float_info.max and self.low <= value <= self.high

    @property
    def offered(self) -> tuple[float, ...]:
        """What a page offers: (low, high) or (low, high, step); nothing where there is no end."""
        return self.slider or (tuple(self.ends) if len(self.ends) == 2 else ())

    @property
    def ends(self) -> list[float]:
        """Those of its ends that are numbers."""
        return [end for end in (self.low, self.high) if math.isfinite(end)]

    def __str__(self) -> str:
        if len(self.ends) == 2:
            return f"from {self.low} to {self.high}"
        return f"of at least {self.low}" if self.ends == [self.low] else "that is finite"


@dataclass(frozen=True)
class OneOf:
    """Texts that a setting can have.

    Attributes:
        of: The texts, or a function that finds them where they are defined.
        words: What a page calls them, where it is not the text itself.
        several: A list of them is taken too, or several joined by "+".
    """

    of: Iterable[str] | Callable[[], Iterable[str]]
    words: Mapping[str, str] = field(default_factory=dict)
    several: bool = False

    @property
    def options(self) -> list[str]:
        """The texts."""
        return list(self.of() if callable(self.of) else self.of)

    def __contains__(self, value: Any) -> bool:
        parts = value.split("+") if self.several and isinstance(value, str) else value
        listed = list(parts) if self.several and isinstance(parts, list | tuple) else [value]
        return bool(listed) and all(part in self.options for part in listed)

    def __str__(self) -> str:
        return f"one of {', '.join(self.options)}" + (', or several joined by "+"' if self.several else "")


@dataclass(frozen=True)
class When:
    """Where a setting matters.

    Attributes:
        setting: Another setting of the world.
        of: Its values beside which this one has a meaning, or a function that finds them.
    """

    setting: str
    of: Iterable[Any] | Callable[[], Iterable[Any]]

    @property
    def values(self) -> list[Any]:
        """Those values."""
        return list(self.of() if callable(self.of) else self.of)


@dataclass(frozen=True)
class Setting:
    """One setting of a world, as its maker's signature has it.

    Attributes:
        name: Name of the parameter.
        default: Its default.
        kind: int, float, bool or str; None where the annotation says none of these.
        domain: Its values; None: all of its kind.
        label: Words beside a widget.
        help: A sentence on request.
        when: Where it matters; None: always.
        each: Whether several of them by name may be given too.
    """

    name: str
    default: Any
    kind: type | None = None
    domain: Range | OneOf | None = None
    label: str = ""
    help: str = ""
    when: When | None = None
    each: bool = False

    @property
    def wanted(self) -> str:
        """What a value must be, in words; empty where anything may be given."""
        noun = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}.get(self.kind or object)
        if isinstance(self.domain, OneOf):
            return str(self.domain)
        return " ".join(map(str, filter(None, (noun, self.domain)))) if noun else ""

    @property
    def words(self) -> str:
        """Label and help in one."""
        return f"{self.label}. {self.help}" if self.help else f"{self.label}."

    @property
    def shows(self) -> bool:
        """Whether a page can offer it: it has a slider, a choice, or is yes or no."""
        offered = self.domain.offered if isinstance(self.domain, Range) else self.domain
        return bool(offered) or self.kind is bool

    def takes(self, value: Any) -> bool:
        """Whether it can have this value."""
        if self.each and isinstance(value, Mapping):
            named = all(isinstance(key, str) and not isinstance(one, Mapping) for key, one in value.items())
            return bool(value) and named and all(map(self.takes, value.values()))
        if value is None or self.kind is None:
            return self.kind is None or self.default is None
        if isinstance(self.domain, OneOf):
            return value in self.domain
        return self._of_kind(value) and (self.domain is None or value in self.domain)

    def _of_kind(self, value: Any) -> bool:
        if self.kind in (int, float):
            return isinstance(value, Integral if self.kind is int else Real) and not isinstance(value, bool)
        return isinstance(value, self.kind or object)


@dataclass(frozen=True)
class Declared:
    """A world as everything that lists worlds knows it.

    Attributes:
        maker: Makes the world; its signature is the table of settings, its docstring says what the world is.
        label: A few words for lists.
        provides: Optional fields of `Rollouts` that it fills, as its class has them.
        components: Names of its reward components, as its class has them.
        scores: Names of its scores beside log π, as its class has them.
        run: Settings of a run that suit it where they are not given (lr, optimizer, group_size, evaluate, ...), or a
            function that tells them from the world's own settings.
        fixed: Those of `run` that it cannot do otherwise.
        shown: Settings that a page offers.
        page: Values of a page's properties with which a first picture is there in a second or two.
        dear: Measurements that take longer there than all the rest, so that pages leave them out.
        telling: Fields that every world fills, where rules may read something special from this one.
        unit: What a page calls one action of a response (token, turn, step), where they are worth a look.
        listed: Its responses are few enough for an implied reward.
        heavy: It takes seconds to make.
        extra: The extra of the package that it needs.
        name: What users write; the maker's name by default.
    """

    maker: Callable[..., World]
    label: str = ""
    provides: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    scores: tuple[str, ...] = ()
    run: Mapping[str, Any] | Callable[..., Mapping[str, Any]] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    page: Mapping[str, Any] = field(default_factory=dict)
    dear: tuple[str, ...] = ()
    telling: tuple[str, ...] = ()
    unit: str = ""
    listed: bool = False
    heavy: bool = False
    extra: str | None = None
    name: str = ""

    def __post_init__(self) -> None:
        name = self.name or self.maker.__name__.replace("_", "-")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "label", self.label or name)

    @property
    def about(self) -> str:
        """What it is, in the first words of its maker's docstring."""
        return (inspect.getdoc(self.maker) or "").split("\n\n")[0].replace("\n", " ")

    @cached_property
    def settings(self) -> dict[str, Setting]:
        """Its settings by name, in the maker's order."""
        return settings_of(self.maker)

    def suits(self, **given: Any) -> Mapping[str, Any]:
        """Settings of a run that suit it, beside settings of its own."""
        return self.run(**given) if callable(self.run) else self.run


def settings_of(maker: Callable[..., Any]) -> dict[str, Setting]:
    """The settings of what a function or a class makes, by name, as its signature declares them."""
    return {name: _setting(maker, parameter) for name, parameter in _parameters(maker).items()}


def _parameters(maker: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    found = dict(inspect.signature(maker).parameters)
    for name, parameter in found.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise TypeError(f"{maker.__name__} takes {parameter}; each setting of a world must have a name of its own")
        if parameter.default is parameter.empty:
            raise TypeError(f"{maker.__name__}: setting {name!r} has no default; a world can be made by its name alone")
    return found


def _setting(maker: Callable[..., Any], parameter: inspect.Parameter) -> Setting:
    annotation = _annotation(maker, parameter)
    parts = typing.get_args(annotation) if hasattr(annotation, "__metadata__") else (annotation,)
    union = typing.get_origin(parts[0]) in (typing.Union, UnionType)
    listed = [k for k in (typing.get_args(parts[0]) if union else parts[:1]) if k is not type(None)]
    kinds = [k for k in listed if typing.get_origin(k) is not Mapping]
    words = [part for part in parts[1:] if isinstance(part, str)]
    kind = kinds[0] if len(kinds) == 1 and kinds[0] in (int, float, bool, str) else None
    domain = next((part for part in parts if isinstance(part, Range | OneOf)), None)
    return Setting(
        parameter.name, parameter.default, str if isinstance(domain, OneOf) else kind, domain,
        words[0] if words else parameter.name.replace("_", " ").capitalize(), words[1] if words[1:] else "",
        next((part for part in parts if isinstance(part, When)), None), 0 < len(kinds) < len(listed),
    )  # fmt: skip


def _annotation(maker: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """The annotation of a parameter; the type of its default where there is none that can be read."""
    function = inspect.unwrap(maker.__init__ if isinstance(maker, type) else maker)  # type: ignore[misc]
    written = SimpleNamespace(__annotations__={"it": parameter.annotation})
    try:
        read = typing.get_type_hints(written, getattr(function, "__globals__", {}), include_extras=True)["it"]
    except NameError:
        read = parameter.empty
    return type(parameter.default) if read is parameter.empty else read
