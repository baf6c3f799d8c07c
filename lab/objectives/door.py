"""The public door to objectives: weights, the loss they come from, and the share of clipped tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lab.errors import InputError, MissingFieldError
from lab.objectives.kl import kl_gradient, kl_value
from lab.objectives.tokens import Array, aggregate, factor
from lab.registry import Rule, find

__all__ = ["Weights", "bind", "call", "clip_share", "loss", "penalty", "weights"]

#: Weights of each score by name, "logp" that of log pi.
Weights = dict[str, Array]


def weights(
    name: str,
    logp_new: ArrayLike,
    advantage: ArrayLike,
    *,
    kl: str | None = None,
    kl_beta: float = 0.0,
    logp_ref: ArrayLike | None = None,
    **fields_and_options: Any,
) -> Any:
    """Weight of each token on grad log pi under the objective `name`, so that grad J = sum of w * grad log pi.

    Args:
        name: A registered objective, such as "ppo_clip" or "gspo" (see `names`).
        logp_new: Log-probabilities under the policy that is being updated [..., P, G, T].
        advantage: [..., P, G] or [..., P, G, T].
        kl: Estimator of a KL penalty, see `lab.objectives.ESTIMATORS`; None for no penalty.
        kl_beta: Coefficient of the penalty; adds -kl_beta * dKL/dlogp_new to the weight of every token.
        logp_ref: Log-probabilities under the reference policy [..., P, G, T], for the penalty.
        **fields_and_options: `logp` (under the sampling policy), `mask`, `scores` (by name, for an objective that
            weighs others than log pi), and the objective's options by name.

    Returns:
        Weights [..., P, G, T], 0 at masked tokens; those of each score by name for an objective on scores.

    Raises:
        UnknownNameError: No such objective or option. MissingFieldError: a field that it reads is not given.
        InputError: Shapes that do not fit, NaN or infinite numbers.
    """
    rule, new, a, given = _prepare(name, logp_new, advantage, fields_and_options)
    reference = _logp_ref(logp_ref, new, given)
    found = call(rule, new, a, kl=kl, kl_beta=kl_beta, logp_ref=reference, **given)
    return found if "scores" in rule.extras else found["logp"]


def call(
    rule: Rule, logp_new: Array, advantage: Array, *, kl: str | None = None, kl_beta: float = 0.0,
    logp_ref: Array | None = None, **given: Any,
) -> Weights:  # fmt: skip
    """The weights of each score by name, from checked arrays."""
    if "logp_ref" in rule.fields:
        given["logp_ref"] = logp_ref
    _require(rule, given)
    fields = {k: v for k, v in given.items() if k in rule.fields}
    options = {k: v for k, v in given.items() if k not in rule.fields}
    return bind(rule, options)(logp_new, advantage, fields, kl, kl_beta, logp_ref)


def bind(rule: Rule, options: Mapping[str, Any]) -> Callable[..., Weights]:
    """An objective with its options as a function of (logp_new, advantage, fields, kl, kl_beta, logp_ref, mask).

    It gives the weights of each score by name; a KL penalty adds to those of "logp".
    """
    rule_of = partial(rule.function, **{**rule.options, **options})
    reads_reference = "logp_ref" in rule.fields

    def weigh(
        new: Array, a: Array, fields: dict[str, Any], kl: Any, kl_beta: float, logp_ref: Any, mask: Any = None
    ) -> Weights:
        if reads_reference:
            fields["logp_ref"] = logp_ref
        found = rule_of(new, a, **fields)
        w = dict(found) if isinstance(found, Mapping) else {"logp": found}
        if kl is not None and kl_beta != 0.0:
            held = penalty(rule, {"mask": mask, **options, **fields}, new, kl, kl_beta, logp_ref)
            w["logp"] = w["logp"] + held if "logp" in w else held
        return w

    return weigh


def penalty(
    rule: Rule, given: Mapping[str, Any], logp_new: Array, kl: str, kl_beta: float, logp_ref: Array | None
) -> Array:
    """Weights of a KL penalty alone, aggregated as `rule` does with the fields and options given [..., P, G, T]."""
    c = factor(_namespace(rule, dict(given)), logp_new)
    return np.asarray(-kl_beta * c * kl_gradient(kl, logp_new, _reference(logp_ref)))


def loss(
    name: str,
    logp_new: ArrayLike,
    advantage: ArrayLike,
    *,
    kl: str | None = None,
    kl_beta: float = 0.0,
    logp_ref: ArrayLike | None = None,
    **fields_and_options: Any,
) -> Array:
    """The loss as the objective's paper writes it, one number per run; arguments as in `weights`.

    Raises:
        InputError: The objective was registered without its loss.
    """
    rule, new, a, given = _prepare(name, logp_new, advantage, fields_and_options)
    if "loss" not in rule.extras:
        raise InputError(f"objective {rule.name!r} was registered without a loss")
    reference = _logp_ref(logp_ref, new, given)
    options = _namespace(rule, given | ({"logp_ref": reference} if "logp_ref" in rule.fields else {}))
    value: Array = rule.extras["loss"](new, a, options)
    if kl is None or kl_beta == 0.0:
        return value
    return value + kl_beta * aggregate(kl_value(kl, new, _reference(reference)), factor(options, new), new)


def clip_share(name: str, logp_new: ArrayLike, advantage: ArrayLike, **fields_and_options: Any) -> Array | None:
    """Share of valid tokens that the objective's clip acts on, one number per run; None if it has no clip."""
    rule, new, a, given = _prepare(name, logp_new, advantage, fields_and_options)
    if "clipped" not in rule.extras:
        return None
    active = np.broadcast_to(rule.extras["clipped"](new, a, _namespace(rule, given)), new.shape)
    mask = given.get("mask")
    valid = np.ones(new.shape) if mask is None else np.asarray(mask, dtype=np.float64)
    return np.asarray((active * valid).sum(axis=(-3, -2, -1)) / np.maximum(valid.sum(axis=(-3, -2, -1)), 1))


def _namespace(rule: Rule, given: dict[str, Any]) -> SimpleNamespace:
    """Everything that a rule's loss and clip test read: absent fields are None, the aggregation is the rule's own."""
    nothing = dict.fromkeys(rule.fields)
    fixed = {"aggregation": rule.extras.get("aggregation", "token-mean"), "mask": None}
    return SimpleNamespace(**{**nothing, **fixed, **rule.options, **given})


def _reference(logp_ref: Array | None) -> Array:
    if logp_ref is None:
        raise MissingFieldError("a KL penalty compares with a reference policy: pass logp_ref=")
    return logp_ref


def _prepare(
    name: str, logp_new: ArrayLike, advantage: ArrayLike, given: dict[str, Any]
) -> tuple[Rule, Array, Array, dict[str, Any]]:
    rule = find("objective", name)
    given = {k: v for k, v in given.items() if v is not None or k in rule.options}
    if "logp" not in rule.fields:
        given.pop("logp", None)
    rule.check_options(given)
    new = _numbers("logp_new", logp_new)
    if new.ndim < 3:
        raise InputError(f"logp_new has shape {new.shape}; it must be [..., P, G, T]")
    a = _numbers("advantage", advantage)
    if a.shape not in (new.shape, new.shape[:-1]):
        raise InputError(f"advantage has shape {a.shape}; it must be {new.shape[:-1]} or {new.shape}")
    given |= {f: _array(f, given[f], new.shape) for f in ("logp", "mask", "clip_scale", "token_rewards") if f in given}
    if "scores" in given:
        given["scores"] = _scores(rule, given["scores"], new.shape)
    mask = given.get("mask")
    if mask is not None and not ((mask == 0) | (mask == 1)).all():
        raise InputError("mask holds values that are neither 0 nor 1; it says which tokens are valid")
    new, a = _finite("logp_new", new, mask), _finite("advantage", a, mask)
    if "logp" in given:
        given["logp"] = new if given["logp"] is logp_new else _finite("logp", given["logp"], mask)
    _require(rule, given)
    return rule, new, a, given


def _numbers(name: str, value: ArrayLike) -> Array:
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as reason:
        raise InputError(f"{name} must be numbers, in rows of one length; {reason}") from None


def _array(field: str, value: ArrayLike | None, shape: tuple[int, ...]) -> Array | None:
    if value is None:
        return None
    array = _numbers(field, value)
    if array.shape != shape:
        raise InputError(f"{field} has shape {array.shape}; it must be that of logp_new, {shape}")
    return array


def _scores(rule: Rule, given: Any, shape: tuple[int, ...]) -> dict[str, Array]:
    wanted = rule.extras.get("scores", ())
    found = {n: _numbers(n, given[n]) for n in wanted if isinstance(given, Mapping) and n in given}
    wrong = [n for n in wanted if n not in found or found[n].shape[:-1] != shape[:-1] or found[n].ndim != len(shape)]
    if wrong:
        shown = f"shape {found[wrong[0]].shape}" if wrong[0] in found else "nothing"
        raise InputError(
            f"objective {rule.name!r} weighs the scores {', '.join(wanted)}, each [..., P, G, T] with [..., P, G] = "
            f"{shape[:-1]}; scores= has {shown} for {wrong[0]!r}"
        )
    return found


def _logp_ref(logp_ref: ArrayLike | None, new: Array, given: dict[str, Any]) -> Array | None:
    array = _array("logp_ref", logp_ref, new.shape)
    return None if array is None else _finite("logp_ref", array, given.get("mask"))


def _finite(field: str, array: Array, mask: Array | None) -> Array:
    """The array, with 0 for what is not finite at masked tokens; InputError for such a value at a valid one."""
    bad = ~np.isfinite(array)
    if not bad.any():
        return array
    wrong = bad & (mask != 0) if mask is not None and array.shape == mask.shape else bad
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise InputError(f"{field} is {array[place]} at index {place}; it must be finite at every valid token")
    return np.where(bad, 0.0, array)


def _require(rule: Rule, given: dict[str, Any]) -> None:
    absent = [f for f in rule.required if given.get(f) is None]
    if absent:
        raise MissingFieldError(f"objective {rule.name!r} reads {', '.join(absent)}; pass {absent[0]}=")
