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

from lab.errors import InputError, MissingExtraError, UnknownNameError
from lab.registry import STAND_INS, Rule, fold
from lab.stand_ins import FURTHER
from simulators.learned_reward.annotators import Comparisons, compared
from simulators.learned_reward.fitters import FITTERS

__all__ = ["Score", "find", "fit", "names", "reward_model"]

_KIND = "reward_model"
_MODELS: dict[str, Rule] = {}


@dataclass(frozen=True)
class Score:
    """What a reward model says of responses.

    Attributes:
        model: S fitted models side by side, [S, ..., D] -> [S, ...].
        alone: Whether one seed was asked for, so that responses have no axis of seeds.
    """

    model: Any
    alone: bool

    def __call__(self, responses: ArrayLike, context: Mapping[str, Any] | None = None) -> NDArray[np.float64]:
        """Scores of responses.

        Args:
            responses: Features [..., P, G, D]; the first axis is that of the seeds where several were asked for.
            context: What else a model may read (a reference, a user); those that read nothing take none.

        Returns:
            [..., P, G].

        Raises:
            InputError: A feature is not finite, or a context that this model does not read.
        """
        x = np.asarray(responses, np.float64)
        if context:
            raise InputError(f"this reward model reads the responses alone, not {', '.join(context)}")
        if not np.isfinite(x).all():
            raise InputError("responses must be finite")
        return np.asarray(self.model(x[None])[0] if self.alone else self.model(x))


def reward_model(
    name: str, *, paper: str = "", equation: str = "", note: str = ""
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: `fit(comparisons, seeds, *, options) -> S models` becomes a reward model, in `learned-reward` too.

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
        _MODELS[fold(name)] = Rule(name, _KIND, function, paper, equation, options=options, note=note)
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


def fit(
    name: str, comparisons: Comparisons | tuple[ArrayLike, ArrayLike], seed: int | Sequence[int] = 0, **options: Any
) -> Score:
    """Fit a reward model.

    Args:
        name: One of `names()`.
        comparisons: As `simulators.learned_reward.annotators.annotate` makes them, or (chosen, rejected) [N, D] each.
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
        data = comparisons if isinstance(comparisons, Comparisons) else compared(*comparisons)
        return Score(model.function(data, seeds, **options), alone)
    except (TypeError, ValueError) as reason:
        raise InputError(f"reward model {name!r}: {reason}") from None


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
