"""The state of an explorer: one list of typed properties, written to and read from an address.

An explorer names its properties once. Each knows its default, which values it takes and how it is written into an
address, so a link, a question, a reset and the code all come from the same list; each home of explorers draws the
widgets that edit them. A value that cannot be read falls back to the default, and the reader is told which and why.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from lab.errors import InputError

#: Name of a property -> one of its values -> values of other properties that suit it.
Scenes = Mapping[str, Mapping[Any, Mapping[str, Any]]]

RUN = "Run"  # heading of what decides how much is drawn and trained


class Among(frozenset[Any]):
    """For `when`: the lists that hold one of these items at least."""

    def __contains__(self, chosen: object) -> bool:
        return isinstance(chosen, list | tuple) and not self.isdisjoint(chosen)


LIST_MARK = "~"  # between the items of a list: a character that addresses leave as it is


@dataclass(frozen=True, kw_only=True)
class Property:
    """One named value of an explorer's state.

    Args:
        name: name in the address and in the state; also the key of its widget.
        default: value when the address does not say.
        label: words beside the widget; the name when empty.
        help: a sentence shown on request.
        group: heading under which its control stands.
        drawn: whether it has a control; without one it is set in the picture, by a question or by an address.
        when: where it matters, as names of other properties with the values that they must have; elsewhere it is
            neither asked for nor written into the address.
    """

    name: str
    default: Any
    label: str = ""
    help: str | None = None
    group: str = ""
    drawn: bool = True
    when: Mapping[str, Collection[Any]] = field(default_factory=dict)

    def matters(self, values: Mapping[str, Any]) -> bool:
        """Whether it has a meaning beside these values of the other properties."""
        return all(values[name] in allowed for name, allowed in self.when.items())

    def read(self, text: str) -> Any:
        """Value written in an address; raises ValueError that says what would be right."""
        raise NotImplementedError

    def write(self, value: Any) -> str:
        """Text of a value for the address; `read` gives the value back."""
        return str(value)

    def usable(self, value: Any) -> Any:
        """The value, or the default where a widget was left empty."""
        return self.default if value is None else value

    def checked(self, value: Any) -> Any:
        """A value from Python, as an address would bring it.

        Raises:
            InputError: It is not one of this property's.
        """
        try:
            return self.read(self.write(value))
        except ValueError as error:
            raise InputError(str(error)) from None
        except (TypeError, AttributeError):
            raise InputError(f"{self.name}={value!r}: a value like {self.default!r} was expected") from None


@dataclass(frozen=True, kw_only=True)
class Whole(Property):
    """A whole number in `low`..`high` (both included), edited by a slider or, `typed`, a field."""

    low: int
    high: int
    step: int = 1
    typed: bool = False

    def read(self, text: str) -> int:
        expected = f"a whole number from {self.low} to {self.high}"
        try:
            value = int(text)
        except ValueError:
            raise ValueError(f"{self.name}={text}: {expected} was expected") from None
        if not self.low <= value <= self.high:
            raise ValueError(f"{self.name}={text}: {expected} was expected")
        return value


def seed(default: int = 0) -> Whole:
    """The seed of all random numbers: a whole number that stands in every address."""
    help_text = "The same seed gives the same random numbers, for every variant."
    return Whole(
        name="seed", default=default, label="Seed", low=0, high=2**31 - 1, typed=True, help=help_text, group=RUN
    )


@dataclass(frozen=True, kw_only=True)
class Number(Property):
    """A number in `low`..`high`, edited by a slider with steps of `step` (or a field, `typed`)."""

    low: float
    high: float
    step: float
    typed: bool = False
    format: str | None = None

    def read(self, text: str) -> float:
        expected = f"a number from {self.low:g} to {self.high:g}"
        try:
            value = float(text)
        except ValueError:
            raise ValueError(f"{self.name}={text}: {expected} was expected") from None
        if not (math.isfinite(value) and self.low <= value <= self.high):
            raise ValueError(f"{self.name}={text}: {expected} was expected")
        return value

    def write(self, value: float) -> str:
        return f"{value:.12g}"


@dataclass(frozen=True, kw_only=True)
class Flag(Property):
    """Yes or no, edited by a toggle; `yes` or `no` in the address."""

    def read(self, text: str) -> bool:
        if text not in ("yes", "no"):
            raise ValueError(f"{self.name}={text}: yes or no was expected")
        return text == "yes"

    def write(self, value: bool) -> str:
        return "yes" if value else "no"


@dataclass(frozen=True, kw_only=True)
class Choice(Property):
    """One of `options` (text or numbers); `names` gives the words shown where they differ.

    With few options a row of buttons, otherwise a list to pick from.
    """

    options: Sequence[Any]
    names: Mapping[Any, str] = field(default_factory=dict)

    def read(self, text: str) -> Any:
        for option in self.options:
            if str(option) == text:
                return option
        raise ValueError(f"{self.name}={text}: one of {_listed(self.options)} was expected")

    def shown(self, option: Any) -> str:
        """The words for an option."""
        return self.names.get(option, str(option))


@dataclass(frozen=True, kw_only=True)
class Choices(Property):
    """Some of `options`, in the order chosen; at least `least`, at most `most`."""

    options: Sequence[Any]
    names: Mapping[Any, str] = field(default_factory=dict)
    least: int = 1
    most: int = 8

    def read(self, text: str) -> list[Any]:
        known = {str(option): option for option in self.options}
        wanted = [part for part in text.split(LIST_MARK) if part]
        unknown = [part for part in wanted if part not in known]
        if unknown:
            raise ValueError(f"{self.name}: {_listed(unknown)} not known; known are {_listed(self.options)}")
        if not self.least <= len(set(wanted)) <= self.most:
            raise ValueError(f"{self.name}: from {self.least} to {self.most} were expected")
        return [known[part] for part in dict.fromkeys(wanted)]

    def write(self, value: Sequence[Any]) -> str:
        return LIST_MARK.join(str(item) for item in value)

    def usable(self, value: Sequence[Any] | None) -> Sequence[Any]:
        return self.default if value is None or len(value) < self.least else value


@dataclass(frozen=True, kw_only=True)
class Text(Property):
    """A line of text, shortened by nobody: an address with more than `most` characters is refused."""

    default: str = ""
    most: int = 400
    placeholder: str = ""

    def read(self, text: str) -> str:
        if len(text) > self.most or not text.isprintable():
            raise ValueError(f"{self.name}: a line of at most {self.most} characters was expected")
        return text


@dataclass(frozen=True, kw_only=True)
class Files(Property):
    """Files that a reader hands over in the browser; the value is the name under which `take` keeps them.

    They stand in no address: a link to them would show them to others.
    """

    default: str = ""
    take: Callable[[Mapping[str, bytes]], str]
    endings: Sequence[str]
    most: int

    def read(self, text: str) -> str:
        return ""

    def write(self, value: str) -> str:
        return ""


@dataclass(frozen=True, kw_only=True)
class Rewards(Property):
    """Rewards of a few groups, [prompt][rollout][component]; dragged in the picture, their control is the shape.

    In the address rollouts stand between `_`, components between `~`, prompts between `__`: `1_0_0.5__0_0_1`.
    """

    prompts: int = 3
    rollouts: int = 16
    components: int = 3
    most: int = 64
    largest: float = 1e6

    def read(self, text: str) -> list[list[list[float]]]:
        try:
            value = [
                [[float(r) for r in cell.split(LIST_MARK)] for cell in group.split("_")] for group in text.split("__")
            ]
        except ValueError:
            raise ValueError(f"{self.name}={text[:60]}: numbers such as 1_0_0.5 were expected") from None
        sizes = {len(group) for group in value}
        counts = {len(cell) for group in value for cell in group}
        if len(sizes) > 1 or len(counts) > 1:
            raise ValueError(f"{self.name}: all groups need as many rollouts, all rollouts as many rewards")
        if not all(abs(r) <= self.largest for group in value for cell in group for r in cell):
            raise ValueError(f"{self.name}: finite numbers up to {self.largest:g} in magnitude were expected")
        shape = (len(value), sizes.pop(), counts.pop())
        self._fits(*shape)
        return value

    def _fits(self, prompts: int, rollouts: int, components: int) -> None:
        within = prompts <= self.prompts and rollouts <= self.rollouts and components <= self.components
        if not within or prompts * rollouts * components > self.most:
            raise ValueError(
                f"{self.name}: {prompts} prompts, {rollouts} rollouts, {components} rewards; at most {self.prompts}, "
                f"{self.rollouts}, {self.components} and {self.most} numbers in all were expected"
            )

    def fitted(self, value: list[list[list[float]]]) -> Any:
        """Rewards from elsewhere, cut to the shape that a link can hold."""
        sizes = len(value), len(value[0]), len(value[0][0])
        return self.reshaped(value, *map(min, sizes, (self.prompts, self.rollouts, self.components)))

    def reshaped(self, value: list[list[list[float]]], prompts: int, rollouts: int, components: int) -> Any:
        """The rewards cut or grown to a shape; what is new repeats the last one. Rollouts give way to the limit."""
        cells = [[cell[:components] + cell[-1:] * (components - len(cell)) for cell in group] for group in value]
        size = min(rollouts, self.most // (prompts * components))
        groups = [group[:size] + group[-1:] * (size - len(group)) for group in cells]
        return groups[:prompts] + groups[-1:] * (prompts - len(groups))

    def write(self, value: Sequence[Sequence[Sequence[float]]]) -> str:
        return "__".join("_".join(LIST_MARK.join(f"{r:.12g}" for r in cell) for cell in group) for group in value)


@dataclass(frozen=True, kw_only=True)
class Numbers(Property):
    """A row of numbers in `low`..`high`, at most `most`; edited in the picture. In the address: `1_0_0.5`."""

    drawn: bool = False
    low: float
    high: float
    most: int = 64

    def read(self, text: str) -> list[float]:
        expected = f"numbers from {self.low:g} to {self.high:g}, such as 1_0_0.5, were expected"
        try:
            value = [float(part) for part in text.split("_")]
        except ValueError:
            raise ValueError(f"{self.name}={text[:60]}: {expected}") from None
        if len(value) > self.most or not all(self.low <= number <= self.high for number in value):
            raise ValueError(f"{self.name}={text[:60]}: at most {self.most} {expected}")
        return value

    def write(self, value: Sequence[float]) -> str:
        return "_".join(f"{number:.12g}" for number in value)


def _listed(options: Sequence[Any]) -> str:
    """Options as a sentence lists them, shortened after a dozen."""
    shown = [str(option) for option in options[:12]]
    return ", ".join(shown) + (", …" if len(options) > 12 else "")


def parse(
    properties: Sequence[Property], query: Mapping[str, str], scenes: Scenes = MappingProxyType({})
) -> tuple[dict[str, Any], list[str]]:
    """Reads a state from the names and texts of an address.

    Args:
        properties: what the state consists of.
        query: names and texts as they stand in the address.
        scenes: values that stand in for the defaults beside a value of another property.

    Returns:
        The value of every property, and a sentence for each part that could not be read.
    """
    values = {each.name: each.default for each in properties}
    known = {each.name: each for each in properties}
    for name, scene in scenes.items():
        chosen = {str(value): suits for value, suits in scene.items()}
        values |= chosen.get(query.get(name, known[name].write(values[name])), {})
    notes = []
    for name, text in query.items():
        if name not in known:
            notes.append(f"{name}: there is no such setting here")
            continue
        try:
            values[name] = known[name].read(text)
        except ValueError as error:
            notes.append(str(error))
    return values, notes


def written(properties: Sequence[Property], values: Mapping[str, Any]) -> dict[str, str]:
    """The whole state as names and texts for the address, defaults included; what does not matter is left out."""
    return {each.name: each.write(values[each.name]) for each in properties if each.matters(values)}
