"""The configuration of a run: what it needs to be made again, as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import (  # fmt: skip
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from lab.errors import InputError, UnknownNameError, nearest
from lab.measures.metrics import columns
from lab.methods import options_of, value_of
from lab.plugins import loaded
from lab.sizes import check_memory
from lab.training.settings import Settings, declared, wanted
from lab.world_registry import resolved

__all__ = ["Config", "Named", "options_of", "value_of"]

#: Most files of a run.
MOST_FILES = 1_000_000
_PER_SEED = 64.0  # bytes of a seed in the lists of a run's cells

Count = Annotated[int, Field(ge=1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Model(BaseModel):
    """Unknown names and values of the wrong type are errors, in the lab's words."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, ser_json_inf_nan="constants")


def _spelt_out(given: Any) -> Any:
    if not isinstance(given, str):
        return given
    found = options_of(given)
    return {**found, "label": given.strip()} if found["options"] else found


class _Named(_Model):
    """A name with options.

    Attributes:
        name: Name of a variant or of a world.
        options: Its options by name.
        label: What tables and figures call it; the name by default.
    """

    name: str
    options: dict[str, JsonValue] = Field(default_factory=dict)
    label: str | None = None


#: A name with options; "grpo:eps=1e-6" is read as name grpo, option eps, and labelled so.
Named = Annotated[_Named, BeforeValidator(_spelt_out)]


def _listed(given: Any) -> Any:
    return [given] if isinstance(given, str) else list(given) if isinstance(given, tuple) else given


def _unpacked(given: Any) -> Any:
    return list(given) if isinstance(given, tuple) else given


def _seeds(given: Any) -> Any:
    """A number of runs, or their seeds as a list."""
    if isinstance(given, int) and not isinstance(given, bool) and given >= 1:
        return given
    listed = list(given) if isinstance(given, list | tuple | range) else []
    whole = all(isinstance(s, int) and not isinstance(s, bool) and 0 <= s < 2**63 for s in listed)
    if not (listed and whole and len(set(listed)) == len(listed)):
        raise ValueError("it should be a number of runs, at least 1, or a list of seeds, all different and at least 0")
    return listed


def _numbers(given: Any) -> Any:
    """A value for each block, or one, whole numbers as floats; `Config._allowed` looks at them."""
    if isinstance(given, Mapping):
        return {name: _numbers(value) for name, value in given.items()}
    return float(given) if isinstance(given, int) and not isinstance(given, bool) else given


class Config(_Model, Settings):  # type: ignore[misc]  # both are frozen
    """Everything that decides the rows of a run.

    Args:
        world: World and its settings, such as {"name": "bandit", "options": {"prompts": 16}}, or its name.
        variants: Variants, each a name, "name:option=value,..." or {"name", "options", "label"}.
        **settings: Steps, seeds, learning rate and all else that `lab.Settings` lists.
        block: Seeds that walk together in one cell of work.
        chunk: Steps of one file; at its end the run is saved.
        save_seconds: Seconds after which it is saved within a chunk; a killed run loses no more than these.
        sample_steps: Number of steps, spread over the run, whose rollouts are kept as a sample.
        sample_seeds: Number of seeds, the first ones, whose rollouts are kept.
        plugins: Files of one's own that were loaded (`lab.plugins`); the run goes on only where they are again.

    What is left out takes the value that suits the world (`lab.worlds`), else the default below.

    Raises:
        InputError: An unknown name, a missing one, a value that is out of range, or one that the world cannot do.
        UnknownNameError: No such world.
    """

    world: Named = _Named(name="bandit")
    variants: Annotated[list[Named], Field(min_length=1), BeforeValidator(_listed)]
    seeds: Annotated[int | list[int], PlainValidator(_seeds)] = 16
    lr: Annotated[Any, PlainValidator(_numbers)] = 1.0
    measure: Annotated[str | list[str] | None, BeforeValidator(_unpacked)] = "basic"
    optimizer: Annotated[Any, PlainValidator(_numbers)] = "sgd"
    reward_weights: Annotated[list[Finite] | None, BeforeValidator(_unpacked)] = None
    block: Count = 32
    chunk: Count = 1000
    save_seconds: Annotated[Finite, Field(gt=0)] = 20.0
    sample_steps: Annotated[int, Field(ge=0)] = 5
    sample_seeds: Annotated[int, Field(ge=0)] = 2
    plugins: list[str] = Field(default_factory=loaded)

    def __init__(self, **given: Any) -> None:
        try:
            super().__init__(**_suited(given))
        except ValidationError as error:
            raise InputError(_plain(error)) from None

    @field_validator("*")
    @classmethod
    def _allowed(cls, value: Any, info: ValidationInfo) -> Any:
        setting = declared().get(str(info.field_name))
        if setting is not None and not setting.takes(value):
            raise ValueError(f"it should be {wanted(setting)}")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Config:
        runs = self.seeds if isinstance(self.seeds, int) else len(self.seeds)
        check_memory(f"seeds={runs}", _PER_SEED * runs * len(self.variants))
        files = float(-(-self.steps // self.chunk)) * -(-runs // self.block) * len(self.variants)
        if files > MOST_FILES:
            raise ValueError(f"it would make {files:,.0f} files; take a larger chunk, or fewer of them")
        return self

    @field_validator("measure")
    @classmethod
    def _known(cls, value: Any) -> Any:
        try:
            columns(value)
        except UnknownNameError as error:
            raise ValueError(str(error)) from None
        return value

    @classmethod
    def read(cls, path: str | Path) -> Config:
        """The configuration in a JSON file.

        Raises:
            InputError: It cannot be read, is not JSON, or is not a configuration.
        """
        try:
            given = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path} is damaged, it is not JSON: {error}; put the original back") from None
        if not isinstance(given, Mapping):
            raise InputError(f"{path} is not a configuration: it holds {str(given)[:40]!r}, not names with values")
        try:
            return cls(**given)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None

    def text(self) -> str:
        """The configuration as JSON."""
        return self.model_dump_json(indent=2) + "\n"

    @property
    def numbers(self) -> list[int]:
        """The seeds as a list."""
        return list(range(self.seeds)) if isinstance(self.seeds, int) else self.seeds

    def differences(self, other: Config) -> list[str]:
        """What is not the same in another configuration: "steps: 500, there 300"."""
        ours, theirs = self.model_dump(), other.model_dump()
        return [f"{name}: {ours[name]!r}, there {theirs[name]!r}" for name in ours if ours[name] != theirs[name]]


def _suited(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings given, and for the others what suits the world, where one can be read."""
    world = _spelt_out(given.get("world", "bandit"))
    found = world.model_dump() if isinstance(world, _Named) else world
    if not isinstance(found, Mapping) or not isinstance(found.get("name"), str):
        return dict(given)  # refused by its field
    options = found.get("options", {})
    try:
        return resolved(found["name"], given, **(options if isinstance(options, dict) else {}))
    except UnknownNameError:
        if given.get("plugins"):
            return dict(given)  # a run that is over can be read without the files that it was made with
        raise


def _plain(error: ValidationError) -> str:
    """One sentence per place: what stands there and what should."""
    found: dict[str, list[str]] = {}
    for each in error.errors():
        place = ".".join(str(p) for p in each["loc"] if not re.search(r"[^\w-]|constrained", str(p)))
        found.setdefault(_named(place, each), []).append(_wanted(each))
    return "; ".join(f"{place}: {' or '.join(wanted)}".removeprefix(": ") for place, wanted in found.items())


def _named(place: str, each: Any) -> str:
    return place if not place or each["type"] in ("missing", "extra_forbidden") else f"{place}={each['input']!r}"


def _wanted(each: Any) -> str:
    if each["type"] == "missing":
        return "it is missing"
    if each["type"] == "extra_forbidden":
        return _no_such(str(each["loc"][-1]), nested=len(each["loc"]) > 1)
    return str(each["msg"]).replace("Value error, ", "").replace("Input should be", "it should be")


def _no_such(name: str, *, nested: bool) -> str:
    known = (_Named if nested else Config).model_fields
    near = nearest(name, known)
    return "there is no such setting" + (f"; nearest: {', '.join(map(repr, near))}" if near else "")
