"""The public door to advantage rules: checks what comes in, calls the rule, gives back the caller's shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lab.advantages.credit import Credit
from lab.advantages.statistics import Array
from lab.errors import InputError, MissingFieldError, worlds_with
from lab.registry import FIELDS, Rule, find

__all__ = ["WrongShapeError", "added", "as_rewards", "bind", "call", "compute", "credit"]

_SHAPES = "[G], [P, G], [P, G, K] or [S, P, G, K]"


def compute(
    name: str,
    rewards: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    precision: str = "float64",
    missing: str = "error",
    **fields_and_options: Any,
) -> Array:
    """Advantages of `rewards` under the rule `name`.

    Args:
        name: A registered rule or preset, such as "gdpo" or "grpo@trl" (see `names`).
        rewards: Rewards [G] of one group, [P, G], [P, G, K] with K components, or [S, P, G, K] for S runs.
        weights: Weight of each component [K]; ones by default. Components are added before a rule of one reward.
        precision: "float64", or "float32" to see what a trainer's arithmetic does.
        missing: "error" refuses NaN; "skip" leaves them out of sums and means, an unscored rollout gets 0.
        **fields_and_options: Fields that the rule reads (`mask`, `greedy_rewards`, ...) and its options by name.

    Returns:
        Advantages in the shape of the rewards without K, plus [T] for a rule per token.

    Raises:
        UnknownNameError: No such rule or option. MissingFieldError: the rule reads a field that is not given.
        InputError: NaN or infinite rewards, or a shape that is not one of the above.
    """
    return credit(name, rewards, weights=weights, precision=precision, missing=missing, **fields_and_options).advantage


def credit(
    name: str,
    rewards: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    precision: str = "float64",
    missing: str = "error",
    **fields_and_options: Any,
) -> Credit:
    """As `compute`, with what the rule decides beside the advantages: which rollouts to keep, clip ranges."""
    rule = find("advantage", name)
    rule.check_options({k: v for k, v in fields_and_options.items() if v is not None or k in rule.options})
    array = as_rewards(rewards, precision, missing)
    given = _fields(rule, fields_and_options, array)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        result = call(rule, array, weights=None if weights is None else _weights(weights, array), **given)
    if missing == "skip":
        result = result._replace(advantage=np.where(np.isnan(result.advantage), 0.0, result.advantage))
    _check_result(rule, result.advantage, array, fields_and_options)
    lead = np.ndim(rewards)
    return Credit(*(_restore(x, lead) for x in (result.advantage, result.keep, result.clip_scale)))


def _check_result(rule: Rule, advantage: Array, rewards: Array, given: Mapping[str, Any]) -> None:
    groups = rewards.shape[:-1]
    bad = ~np.isfinite(advantage)
    if bad.any():
        options = ", ".join(f"{k}={v!r}" for k, v in given.items() if k in rule.options) or "its defaults"
        place = tuple(int(i) for i in np.argwhere(bad)[0][: len(groups)])
        named = ", ".join(f"{a}={i}" for a, i in zip("spg"[-len(groups) :], place, strict=True))
        raise InputError(
            f"advantage rule {rule.name!r} with {options} gives {advantage[bad][0]} at {named}, "
            f"where the rewards are {rewards[place].tolist()}"
        )


class WrongShapeError(InputError):
    """An advantage rule did not give one advantage per rollout, or per token."""


def _check_shape(rule: Rule, advantage: Any, groups: tuple[int, ...]) -> None:
    shape = np.shape(advantage)
    if isinstance(advantage, np.ndarray) and shape[: len(groups)] == groups and len(shape) <= len(groups) + 1:
        return
    axes = "SPGT"[3 - len(groups) :]
    wanted, got = (", ".join(axes[:n]) for n in (len(groups), len(shape)))
    named = (
        f"[{got}] = {shape}"
        if isinstance(advantage, np.ndarray) and len(shape) <= len(axes)
        else f"a {type(advantage).__name__} of shape {shape}"
    )
    raise WrongShapeError(
        f"advantage rule {rule.name!r} returned {named}; it must return the shape of rewards [{wanted}] = {groups}, "
        f"or [{wanted}, T] with one advantage per token"
    )


def call(rule: Rule, rewards: Array, *, weights: Array | None = None, **given: Any) -> Credit:
    """Call a rule on checked rewards [..., P, G, K]; used by the training loop, which checks once.

    Raises:
        MissingFieldError: A required field is missing.
    """
    absent = [f for f in rule.required if given.get(f) is None]
    if absent:
        raise MissingFieldError(
            f"advantage rule {rule.name!r} reads {', '.join(absent)}, which these rollouts do not have; "
            f"pass {absent[0]}=, or choose a world that provides it ({worlds_with(absent)})"
        )
    return bind(rule, {k: v for k, v in given.items() if k not in rule.fields}, weights)(
        rewards, {k: v for k, v in given.items() if k in rule.fields}
    )


def bind(rule: Rule, options: Mapping[str, Any], weights: Array | None = None) -> Callable[..., Credit]:
    """A rule with its options as a function of rewards [..., P, G, K] and a dictionary of fields, unchecked."""
    arguments = {**rule.options, **options}
    own_weights = "weights" in rule.options
    if own_weights and weights is not None:
        if arguments["weights"] is not None:
            raise InputError(f"rule {rule.name!r} has weights={arguments['weights']!r} beside reward_weights; give one")
        arguments["weights"] = weights
    rule_of = partial(rule.function, **arguments)
    takes_components = rule.components or own_weights

    def apply(rewards: Array, fields: Mapping[str, Any]) -> Credit:
        if weights is not None and weights.shape != rewards.shape[-1:]:
            raise InputError(f"{weights.size} weights for {rewards.shape[-1]} reward components; one each is needed")
        result = rule_of(rewards if takes_components else added(rewards, weights), **fields)
        made = result if isinstance(result, Credit) else Credit(result)
        _check_shape(rule, made.advantage, rewards.shape[:-1])
        return made

    return apply


def as_rewards(rewards: ArrayLike, precision: str = "float64", missing: str = "error") -> Array:
    """Rewards as a checked array [..., P, G, K] of the chosen precision.

    Raises:
        InputError: Wrong shape, not numbers, or NaN or infinite values (named with their place).
    """
    if precision not in ("float64", "float32"):
        raise InputError(f"precision={precision!r}; it must be 'float64' or 'float32'")
    if missing not in ("error", "skip"):
        raise InputError(f"missing={missing!r}; it must be 'error' or 'skip'")
    try:
        array = np.asarray(rewards, dtype=precision)
    except (TypeError, ValueError, OverflowError) as reason:
        raise InputError(f"rewards must be numbers in an array {_SHAPES}; {reason}") from None
    if not 1 <= array.ndim <= 4 or array.size == 0:
        raise InputError(f"rewards have shape {array.shape}; they must be {_SHAPES}, none of them empty")
    bad = ~np.isfinite(array) if missing == "error" else np.isinf(array)
    if bad.any():
        raise InputError(_where(array, bad))
    if array.ndim <= 2:
        array = array[..., None]
    return array[None] if np.ndim(rewards) == 1 else array


def _where(array: Array, bad: Array) -> str:
    place = tuple(int(i) for i in np.argwhere(bad)[0])
    axes = ["SPGK", "PGK", "PG", "G"][4 - array.ndim]
    named = ", ".join(f"{axis.lower()}={i}" for axis, i in zip(axes, place, strict=True))
    value = array[place]
    hint = "; missing='skip' leaves unscored rollouts out" if np.isnan(value) else ""
    return f"rewards hold {int(bad.sum())} value(s) that are not finite, the first is {value} at {named}{hint}"


def _weights(weights: ArrayLike, rewards: Array) -> Array:
    try:
        array = np.asarray(weights, dtype=rewards.dtype)
    except (TypeError, ValueError, OverflowError) as reason:
        raise InputError(f"weights must be numbers, one per reward component; {reason}") from None
    if array.shape != rewards.shape[-1:]:
        raise InputError(f"weights have shape {array.shape}; one per reward component is needed: {rewards.shape[-1:]}")
    if not np.isfinite(array).all():
        raise InputError(f"weights must be finite, got {array.tolist()}")
    return array


def added(rewards: Array, weights: Array | None = None) -> Array:
    """Weighted sum over the components [..., K] -> [...]; a rollout none of whose components is scored stays NaN."""
    if weights is None and rewards.shape[-1] == 1:
        return rewards[..., 0]
    weighted = rewards if weights is None else rewards * weights
    if not np.isnan(weighted).any():
        return weighted.sum(axis=-1)
    unscored = np.isnan(weighted).all(axis=-1)
    return np.where(unscored, rewards.dtype.type(np.nan), np.nansum(weighted, axis=-1))


def _fields(rule: Rule, given: Mapping[str, Any], rewards: Array) -> dict[str, Any]:
    """Options as they are; fields as arrays with the prompt axis in front of them."""
    out: dict[str, Any] = {}
    for name, value in given.items():
        if name not in rule.fields or value is None:
            out[name] = value
            continue
        array = np.asarray(value)
        check = {"mask": _mask, "greedy_rewards": _greedy_rewards}.get(name)
        if check is not None:
            array = check(array, rewards)
        elif FIELDS[name].axes.startswith("SPG"):
            array = _per_rollout(name, array, rewards.shape[:-1])
        out[name] = array
    return out


def _per_rollout(name: str, array: Array, groups: tuple[int, ...]) -> Array:
    """A field with the prompt axis in front where one group was given.

    Raises:
        InputError: It does not fit the rewards.
    """
    axes = FIELDS[name].axes.removeprefix("SPG")
    if array.ndim == len(groups) + len(axes) - 1 and groups[0] == 1:
        array = array[None]
    fits = array.ndim == len(groups) + len(axes) and array.shape[: len(groups)] == groups
    if not fits or (axes == "G" and array.shape[-1] != groups[-1]):
        wanted = ", ".join(("P", "G", *axes))
        raise InputError(f"{name} has shape {array.shape}; it must be [..., {wanted}] with [..., P, G] = {groups}")
    return array


def _mask(mask: Array, rewards: Array) -> Array:
    groups = rewards.shape[:-1]
    if mask.ndim == 2 and groups[0] == 1:
        mask = mask[None]
    if mask.shape[:-1] != groups[-(mask.ndim - 1) :]:
        raise InputError(f"mask has shape {mask.shape}; it must be [..., P, G, T] with [..., P, G] = {groups}")
    if not ((mask == 0) | (mask == 1)).all():
        raise InputError("mask holds values that are neither 0 nor 1; it says which tokens are valid")
    return mask


def _greedy_rewards(greedy: Array, rewards: Array) -> Array:
    groups = rewards.shape[:-1]
    if greedy.ndim == 0 and groups[:-1] == (1,):
        greedy = greedy[None]
    if greedy.shape not in (groups[:-1], groups):
        raise InputError(f"greedy_rewards have shape {greedy.shape}; one per prompt is needed: {groups[:-1]}")
    if greedy.dtype.kind not in "biuf" or not np.isfinite(greedy).all():
        raise InputError("greedy_rewards hold values that are not finite numbers")
    return greedy


def _restore(array: Array | None, lead: int) -> Any:
    return array[0] if array is not None and lead == 1 else array
