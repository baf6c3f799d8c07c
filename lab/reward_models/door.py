"""Reward models by name: comparisons and a seed go in, a function that scores responses comes out.

>>> from simulators.learned_reward.annotators import annotate
>>> from simulators.learned_reward.gold import gold
>>> score = fit("bradley-terry", annotate(gold("linear"), 300), seed=0)
>>> score(gold("linear").draw(np.random.default_rng(1), 6).reshape(2, 3, 16)).shape
(2, 3)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from inspect import signature
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lab.errors import InputError, MissingExtraError, MissingFieldError, UnknownNameError
from lab.registry import STAND_INS, Rule, fold
from lab.stand_ins import FURTHER
from simulators.errors import check_numbers
from simulators.learned_reward.annotators import Comparisons, compared
from simulators.learned_reward.fitters import FITTERS
from simulators.learned_reward.users import Users, told

__all__ = ["Score", "find", "fit", "names", "reward_model"]

_KIND = "reward_model"
_MODELS: dict[str, Rule] = {}


#: What a reward model may learn from -> how plain arrays (chosen, rejected) become that.
_FROM_ARRAYS: Mapping[type, Callable[..., Any]] = {Comparisons: compared, Users: told}


@dataclass(frozen=True)
class Score:
    """What a reward model says of responses.

    Attributes:
        model: S fitted models side by side, [S, ..., D] -> [S, ...]; with the context where one is read.
        alone: Whether one seed was asked for, so that responses have no axis of seeds.
        reads: Names of what it reads beside the responses.
    """

    model: Any
    alone: bool
    reads: tuple[str, ...] = ()

    def __call__(self, responses: ArrayLike, context: Mapping[str, ArrayLike] | None = None) -> NDArray[np.float64]:
        """Scores of responses.

        Args:
            responses: Features [..., P, G, D]; the first axis is that of the seeds where several were asked for.
            context: What else it reads, by name: a reference [..., P, D], say, or what the user has compared; the first
                axes are those of the responses.

        Returns:
            [..., P, G].

        Raises:
            MissingFieldError: The context lacks something. InputError: A number is none, or it is not read.
        """
        given = dict(context or {})
        for name in given:
            if name not in self.reads:
                known = ", ".join(("the responses", *self.reads))
                raise InputError(f"this reward model does not read {name!r}; it reads {known}")
        if lacking := [name for name in self.reads if name not in given]:
            raise MissingFieldError(f"this reward model reads {', '.join(lacking)} too; give context={{name: array}}")
        x, *rest = (self._array(name, value) for name, value in {"responses": responses, **given}.items())
        beside = (dict(zip(given, rest, strict=True)),) if self.reads else ()
        try:
            found = self.model(x, *beside)
        except (ValueError, RuntimeError) as reason:
            shapes = ", ".join(f"{name} {np.shape(value)}" for name, value in {"responses": responses, **given}.items())
            raise InputError(f"shapes do not fit this reward model: {shapes} ({reason})") from None
        return np.asarray(found[0] if self.alone else found)

    def _array(self, name: str, value: ArrayLike) -> NDArray[np.float64]:
        try:
            x = check_numbers(name, value)
        except ValueError as reason:
            raise InputError(str(reason)) from None
        return x[None] if self.alone else x


def reward_model(
    name: str, *, paper: str = "", equation: str = "", note: str = "", data: type = Comparisons,
    reads: Sequence[str] = (),
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:  # fmt: skip
    """Decorator: `fit(comparisons, seeds, *, options) -> S models` becomes a reward model.

    One that learns from plain comparisons and reads nothing but the responses is one of `learned-reward` too.

    Args:
        name: What users write.
        paper: Slug of its paper.
        equation: Its loss or its reward in Unicode.
        note: A word on what it learns from.
        data: Class of what it learns from.
        reads: Names of what it reads beside the responses when it scores; S models are then called with the responses
            [S, ..., D] and a mapping from these names to arrays [S, ...].

    Raises:
        InputError: The name is another function's, or the first parameters are others.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        first, second, *rest = signature(function).parameters.values()
        known = _MODELS.get(fold(name))
        if (first.name, second.name) != ("comparisons", "seeds"):
            raise InputError(f"reward model {name!r}: its first parameters must be comparisons, seeds")
        if known is not None and known.function.__qualname__ != function.__qualname__:
            raise InputError(f"reward model {name!r} exists already; choose another name")
        options = MappingProxyType({p.name: p.default for p in rest})
        extras = {"data": data, "reads": tuple(reads)}
        _MODELS[fold(name)] = Rule(name, _KIND, function, paper, equation, options=options, note=note, extras=extras)
        if data is Comparisons and not reads:
            FITTERS[name] = lambda comparisons, seeds: find(name).function(comparisons, seeds)
        return function

    return decorate


def names() -> list[str]:
    """Names of all reward models."""
    return [model.name for model in _MODELS.values()]


def find(name: str) -> Rule:
    """The reward model of that name, or what stands in for it (`lab.stand_ins.replaced`).

    Raises:
        UnknownNameError: There is none; the nearest names are offered.
    """
    found: Rule | None = STAND_INS.get().get((_KIND, fold(name))) or _MODELS.get(fold(name))
    if found is None:
        raise UnknownNameError("reward model", name, names(), "see lab.reward_models.names()")
    return found


def fit(name: str, comparisons: Any, seed: int | Sequence[int] = 0, **options: Any) -> Score:
    """Fit a reward model.

    Args:
        name: One of `names()`.
        comparisons: What it learns from: as `simulators.learned_reward.annotators.annotate` makes them, or as
            `users.ask` does for one that learns from users; or (chosen, rejected), [N, D] each, of users [U, N, D].
        seed: Of the model; several fit as many models at once, each on its own set [S, N, D] or all on the same.
        **options: Of the reward model, by name.

    Returns:
        A function of responses, see `Score`.

    Raises:
        UnknownNameError: No such model or option. MissingExtraError: torch is missing.
        InputError: There are no comparisons, nothing can be learned from them, or a number is none.
    """
    model = find(name)
    model.check_options(options)
    if find_spec("torch") is None:
        raise MissingExtraError(f"reward model {name!r}", "torch", "torch")
    alone = isinstance(seed, int)
    seeds = [seed] if isinstance(seed, int) else list(seed)
    try:
        return Score(model.function(_data(model, comparisons), seeds, **options), alone, model.extras["reads"])
    except (TypeError, ValueError) as reason:
        raise InputError(f"reward model {name!r}: {reason}") from None


def _data(model: Rule, given: Any) -> Any:
    """What the reward model learns from, made of plain arrays where it must be."""
    wanted = model.extras["data"]
    if isinstance(given, wanted):
        return given
    if wanted in _FROM_ARRAYS and isinstance(given, (tuple, list)) and len(given) == 2:
        return _FROM_ARRAYS[wanted](*given)
    pair = ", or a pair of arrays (chosen, rejected)" if wanted in _FROM_ARRAYS else ""
    raise TypeError(f"it learns from {wanted.__name__} of {wanted.__module__}{pair}, not from {type(given).__name__}")


def _stand_in(name: str, other: str | Mapping[str, Any] | Callable[..., Any]) -> Rule:
    """Another reward model under the name of the first; options that only the first knows are then ignored."""
    own = find(name)
    held = dict(other) if isinstance(other, Mapping) else {}
    own.check_options(held)
    by = own if held else find(other) if isinstance(other, str) else replace(own, function=other)  # type: ignore[arg-type]

    def function(*inputs: Any, **options: Any) -> Any:
        given = {name: value for name, value in options.items() if name in by.options}
        return by.function(*inputs, **{**given, **held})

    return replace(own, function=function)


FURTHER[_KIND] = _stand_in
