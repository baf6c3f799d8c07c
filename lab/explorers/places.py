"""The worlds as the explorers that train offer them: their main settings, what suits them, who can train there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from lab.explorers.kept import kept
from lab.explorers.properties import Choice, Flag, Number, Property, Scenes, Whole
from lab.training.train import Refusal, refused
from lab.world_registry import declaration, fixed, names, suited, world
from simulators.declared import Declared, OneOf, Range, Setting
from simulators.records import World

#: Properties of a run, which the settings of a world must not be taken for.
OF_RUNS = ("world", "variants", "group_size", "lr", "steps", "runs", "epochs", "seed")


@dataclass(frozen=True)
class Place:
    """A world as explorers offer it.

    Attributes:
        here: its declaration.
        settings: setting of the world -> property that sets it; the others keep their defaults.
        suits: values of the other properties with which a first picture is there in a second or two.
    """

    here: Declared
    settings: Mapping[str, str] = field(default_factory=dict)
    suits: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What the list of worlds calls it."""
        return self.here.label


def setter(setting: Setting, name: str, group: str = "World") -> Property:
    """The property that sets a setting, under a name, with its control under a heading."""
    words: dict[str, Any] = {"name": name, "label": setting.label, "help": setting.help or None,
                             "default": setting.default, "group": group}  # fmt: skip
    if isinstance(setting.domain, OneOf):
        return Choice(options=setting.domain.options, names=setting.domain.words, **words)
    if isinstance(setting.domain, Range) and setting.domain.offered:
        low, high, *step = setting.domain.offered
        if setting.kind is int:
            return Whole(low=int(low), high=int(high), **words)
        return Number(low=low, high=high, step=step[0] if step else (high - low) / 100, **words)
    return Flag(**words)


def _settings() -> Iterator[tuple[Declared, Setting, str]]:
    """The settings that worlds show, with their property: shared by worlds that offer the same, else of its own."""
    taken: dict[str, Property] = dict.fromkeys(OF_RUNS, Property(name="", default=None))
    for here in sorted(map(declaration, names()), key=lambda here: here.heavy):
        for setting in map(here.settings.__getitem__, here.shown):
            alike = replace(setter(setting, ""), default=None, help=None)
            own = setting.name if taken.setdefault(setting.name, alike) == alike else f"{here.name}-{setting.name}"
            yield here, setting, own


@lru_cache(maxsize=2)
def _places(edition: tuple[tuple[str, int], ...]) -> dict[str, Place]:
    known = [name for name, _ in edition]
    settings: dict[str, dict[str, str]] = {name: {} for name in known}
    suits: dict[str, dict[str, Any]] = {name: {} for name in known}
    defaults: dict[str, Any] = {}
    for here, setting, own in _settings():
        settings[here.name][setting.name] = own
        if defaults.setdefault(own, setting.default) != setting.default:
            suits[here.name][own] = setting.default
    for name in known:
        suits[name] |= {key: value for key, value in suited(name).items() if key in OF_RUNS}
        suits[name] |= {settings[name].get(key, key): value for key, value in declaration(name).page.items()}
    return {name: Place(declaration(name), settings[name], suits[name]) for name in known}


def places() -> Mapping[str, Place]:
    """Every world by name, a user's own included."""
    return _places(tuple((name, id(declaration(name).maker)) for name in names()))


def place(name: str) -> Place:
    """The world of that name."""
    return places()[name]


def properties(among: Collection[str] = (), default: str = "bandit") -> list[Property]:
    """The choice of a world and the main settings of each, of these worlds or of all."""
    among, known = among or tuple(places()), places()
    named = {name: known[name].label for name in among}
    found: dict[str, Property] = {
        "world": Choice(name="world", label="World", options=list(named), names=named, default=default)
    }
    for here, setting, own in _settings():
        if here.name not in among:
            continue
        worlds = [name for name in among if own in known[name].settings.values()]
        when: dict[str, Collection[Any]] = {"world": worlds}
        if setting.when:
            when[known[here.name].settings[setting.when.setting]] = setting.when.values
        each = found.setdefault(own, replace(setter(setting, own), when=when))
        found[own] = replace(each, help=each.help if each.help == (setting.help or None) else None)
    return list(found.values())


def scenes(properties: Sequence[Property]) -> Scenes:
    """What suits each world that these properties offer, of these properties."""
    known = {each.name for each in properties}
    offered = next(each.options for each in properties if isinstance(each, Choice) and each.name == "world")
    return {"world": {w: {k: v for k, v in place(w).suits.items() if k in known} for w in offered}}


def given(state: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the state's world; those that do not matter beside the others are left out."""
    at = place(state["world"])
    found = {name: state[own] for name, own in at.settings.items()}
    when = {name: at.here.settings[name].when for name in found}
    return {name: value for name, value in found.items() if (w := when[name]) is None or found[w.setting] in w.values}


def made(state: Mapping[str, Any]) -> World:
    """The world of a state."""
    return world(state["world"], **given(state))


def group_size(state: Mapping[str, Any]) -> int:
    """Rollouts per prompt: the world's own where it knows no other."""
    name = state["world"]
    return int(suited(name)["group_size"] if "group_size" in fixed(name) else state["group_size"])


def about(name: str) -> str:
    """What a world is, in a sentence."""
    return declaration(name).about


@kept(256)
def closed(name: str, settings: Mapping[str, Any], variants: Sequence[str] | None, size: int) -> dict[str, Refusal]:
    """Variants that cannot train in a world, kept for a second look."""
    return refused(world(name, **settings), variants, group_size=size, tried=not declaration(name).heavy)
