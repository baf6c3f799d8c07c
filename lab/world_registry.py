"""Worlds by name, with settings that fit into a file, an address or a command line; a user's own among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

from lab import reward_models  # noqa: F401  # their names are settings of a world
from lab.errors import InputError, MissingExtraError, UnknownNameError, nearest
from lab.registry import fold
from simulators.declared import Declared, OneOf
from simulators.rooms import declare, declared

if TYPE_CHECKING:
    import polars as pl

    from simulators.records import World

__all__ = ["declaration", "fixed", "made", "names", "resolved", "settings", "suited", "world", "worlds"]

Maker = TypeVar("Maker", bound=Callable[..., Any])


def names() -> list[str]:
    """The names of all worlds: the lab's, then those declared since."""
    return list(declared())


def declaration(name: str) -> Declared:
    """What is declared of the world of that name.

    Raises:
        UnknownNameError: No such world.
    """
    found = {fold(known): here for known, here in declared().items()}.get(fold(name))
    if found is None:
        raise UnknownNameError("world", name, declared(), "see `advlab worlds` or lab.worlds()")
    return found


def settings(name: str) -> dict[str, Any]:
    """The settings of a world with their defaults.

    Raises:
        UnknownNameError: No such world.
    """
    return {setting.name: setting.default for setting in declaration(name).settings.values()}


@overload
def world(name: str, /, **given: Any) -> World: ...
@overload
def world(maker: Maker, /) -> Maker: ...
@overload
def world(**declared: Any) -> Callable[[Maker], Maker]: ...
def world(name: Any = None, /, **given: Any) -> Any:
    """The world of that name; or, above a class or a function that makes one, the declaration of a world of one's own.

    >>> import lab
    >>> lab.world("bandit", prompts=2, arms=4)
    Bandit(prompts=2, heads=1, arms=4, law=bernoulli)

    Args:
        name: One of `lab.worlds()`; or what is declared, where it stands as `@lab.world`.
        **given: The world's settings, the others keep their defaults; of `@lab.world(...)` what
            `simulators.declared.Declared` holds: name, label, run, shown, ...

    Raises:
        UnknownNameError: No such world, or it has no such setting.
        InputError: A setting has a value that the world cannot use.
        MissingExtraError: The world needs a package that is not installed.
    """
    if isinstance(name, str):
        return _called(declaration(name), given)
    return (lambda maker: _declared(maker, given)) if name is None else _declared(name, given)


def worlds() -> pl.DataFrame:
    """All worlds: name, label, what they are, what they provide, their settings with defaults, what suits a run."""
    import polars as pl

    rows = [
        {
            "name": name, "label": here.label, "about": here.about, "provides": list(here.provides),
            "components": list(here.components), "settings": _listed(settings(name)), "run": _listed(here.suits()),
            "fixed": list(here.fixed),
        }
        for name, here in declared().items()
    ]  # fmt: skip
    texts = dict.fromkeys(("provides", "components", "fixed"), pl.List(pl.String))
    return pl.DataFrame(rows, schema_overrides=texts)


def suited(world: World | str, /, **given: Any) -> dict[str, Any]:
    """What suits a run in a world where it is not given: lr, optimizer, group_size, evaluate and the like.

    Args:
        world: A world, or its name. A class of one's own may have it as `suits = {"lr": 4.0}`.
        **given: Settings of the world, where it is a name.
    """
    if isinstance(world, str):
        return dict(declaration(world).suits(**given))
    here = declared().get(world.name)
    return {**(here.suits() if here else {}), **getattr(world, "suits", {})}


def fixed(world: World | str) -> tuple[str, ...]:
    """Those of the `suited` settings that a world cannot do otherwise."""
    here = declared().get(declaration(world).name if isinstance(world, str) else world.name)
    return here.fixed if here else ()


def resolved(world: World | str, given: Mapping[str, Any], /, **of_world: Any) -> dict[str, Any]:
    """The settings of a run: those given, and for the others what suits the world.

    Args:
        world: A world, or its name.
        given: Settings of the run that were chosen; what is left out is not among them.
        **of_world: Settings of the world, where it is a name.

    Raises:
        InputError: One of those given is fixed in this world, and is another one.
    """
    suits = suited(world, **of_world)
    name = world if isinstance(world, str) else world.name
    for key in fixed(world):
        if given.get(key, suits[key]) != suits[key]:
            raise InputError(f"{key}={given[key]!r}; world {name!r} knows {key}={suits[key]!r} alone, leave it out")
    return {**suits, **given}


def made(world: World | str) -> World:
    """A world as it is, or the one of that name with its defaults."""
    return _called(declaration(world), {}) if isinstance(world, str) else world


def _called(here: Declared, given: Mapping[str, Any]) -> World:
    """The world with these settings, each checked against its declaration first."""
    for key, value in given.items():
        setting = here.settings.get(key)
        if setting is None:
            raise UnknownNameError(f"setting of world {here.name!r},", key, here.settings,
                                   f"it has {', '.join(here.settings) or 'none'}")  # fmt: skip
        if not setting.takes(value):
            near = nearest(value, setting.domain.options, 1) if isinstance(setting.domain, OneOf) else []
            offer = f"; nearest: {near[0]!r}" if near else ""
            raise InputError(f"world {here.name!r}: {key}={value!r}; it must be {setting.wanted}{offer}")
    try:
        found = here.maker(**given)
        if found.name != here.name:
            found.name = here.name  # a maker of one's own may return a world of the lab
        return found
    except ModuleNotFoundError as missing:
        if here.extra is None:
            raise
        raise MissingExtraError(f"world {here.name!r}", str(missing.name), here.extra) from None
    except MemoryError as error:
        raise InputError(f"world {here.name!r} does not fit into memory ({error}); make it smaller") from None
    except (TypeError, ValueError) as error:
        raise InputError(f"world {here.name!r}: {error}") from None


def _declared(maker: Any, facts: Mapping[str, Any]) -> Any:
    """Declare a world of one's own; what its class says of itself needs not be said again."""
    said = {"name": "name", "provides": "provides", "components": "components", "scores": "scores", "run": "suits"}
    of_class = {
        fact: getattr(maker, key) for fact, key in said.items() if isinstance(maker, type) and hasattr(maker, key)
    }
    try:
        here = declare(Declared(maker, **{"shown": _showable(maker), **of_class, **facts}))
    except (TypeError, ValueError) as error:
        raise InputError(f"world {getattr(maker, '__name__', maker)!r}: {error}") from None
    if isinstance(maker, type):
        setattr(maker, "name", here.name)  # noqa: B010  # a type checker knows no name of any class
    return maker


def _showable(maker: Any) -> tuple[str, ...]:
    """Settings that a page can offer: those with a slider, a choice or yes and no."""
    return tuple(name for name, setting in Declared(maker).settings.items() if setting.shows)


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in values.items())
