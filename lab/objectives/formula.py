"""An objective is declared once: its weights, its loss and its clip test are three questions to one formula."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial, wraps
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from lab.errors import UnknownNameError
from lab.objectives.tokens import Array, aggregate, over_tokens, ratio, scale
from lab.registry import register

__all__ = ["Formula", "Terms", "formula"]


class Formula(NamedTuple):
    """What an objective says about a batch, each part worked out when it is asked for.

    Attributes:
        weights: () -> weights on grad log pi [..., P, G, T], minus the slope of the loss; or those of each score by
            name.
        loss: () -> the loss as the paper writes it, one number per run.
        clipped: () -> where the clip acts [..., P, G, T]; None without a clip.
    """

    weights: Callable[[], Any]
    loss: Callable[[], Array]
    clipped: Callable[[], Array] | None = None


@dataclass
class Terms:
    """What every formula starts from.

    Attributes:
        new: Log-probabilities under the updated policy [..., P, G, T].
        advantage: As it was given [..., P, G] or [..., P, G, T].
        logp: Log-probabilities under the sampling policy [..., P, G, T], where the objective reads them.
        mask: Valid tokens [..., P, G, T]; None: all.
        share: How tokens are averaged: aggregation, max_length and floor of `tokens.scale`.
    """

    new: Array
    advantage: Array
    logp: Any = None
    mask: Array | None = None
    share: tuple[Any, ...] = ("token-mean",)

    @cached_property
    def a(self) -> Array:
        """Advantages [..., P, G, 1], or [..., P, G, T] where they are per token."""
        return over_tokens(self.advantage, self.new)

    @property
    def per_rollout(self) -> Array:
        """Advantages [..., P, G]; of values per token the first."""
        return self.advantage if self.advantage.ndim == self.new.ndim - 1 else self.advantage[..., 0]

    @cached_property
    def c(self) -> Any:
        """Factor of each token: loss = sum of c * (loss per token)."""
        return scale(self.mask, self.new, *self.share)

    @property
    def on_policy(self) -> bool:
        """Whether both log-probabilities are the very same array, as on the first step after sampling: ratios are 1."""
        return self.new is self.logp

    def ratio(self) -> tuple[Array, Array]:
        """Each token's ratio and its slope, see `tokens.ratio`."""
        return ratio(self.new, self.logp)

    def total(self, each: Array) -> Array:
        """Losses per token, aggregated: one number per run."""
        return aggregate(each, self.c, self.new)

    @cached_property
    def log_ratios(self) -> Array:
        """Sum over the valid tokens of each rollout of log pi_new - log pi_old [..., P, G]."""
        return self.sums(self.new - self.logp)

    def sums(self, values: Array) -> Array:
        """Sum over the valid tokens [..., P, G, T] -> [..., P, G]; the others may hold anything."""
        return np.asarray((values if self.mask is None else np.where(self.mask != 0, values, 0.0)).sum(axis=-1))

    @cached_property
    def valid(self) -> Array:
        """Valid tokens as numbers [..., P, G, T]."""
        return np.ones(self.new.shape) if self.mask is None else np.asarray(self.mask != 0, dtype=float)

    @cached_property
    def lengths(self) -> Array:
        """Valid tokens of each rollout, at least 1 [..., P, G]."""
        return np.maximum(self.valid.sum(axis=-1), 1.0)

    def at_tokens(self, values: Array) -> Array:
        """Values per rollout [..., P, G] at each of its valid tokens [..., P, G, T]."""
        spread = np.broadcast_to(values[..., None], self.new.shape)
        return spread.copy() if self.mask is None else spread * (self.mask != 0)


_SHARED = {
    "logp_new": "Log-probabilities under the updated policy [..., P, G, T].",
    "advantage": "[..., P, G] or [..., P, G, T].",
    "logp": "Log-probabilities under the sampling policy [..., P, G, T].",
    "mask": "Valid tokens [..., P, G, T]; None for all.",
    "aggregation": "How tokens are averaged, see `tokens.AGGREGATIONS`.",
    "max_length": 'L_max of "seq-mean-token-sum-norm".',
    "floor": 'Added to the length in "seq-mean-token-mean".',
}
_SHARE = ("aggregation", "max_length", "floor")


def formula(
    name: str | None = None, *, reads: tuple[str, ...] = ("logp", "mask"), aggregation: str | None = None,
    clips: bool = False, fixed: str | None = None, **facts: Any,
) -> Callable[[Callable[..., Formula]], Callable[..., Array]]:  # fmt: skip
    """Decorator: `rule(t, *, own fields and options) -> Formula` becomes an objective and its function of weights.

    The objective takes (logp_new, advantage) and, beside what the rule names itself, the fields in `reads` and, with
    an aggregation, the options aggregation, max_length and floor. They are documented where they are added.

    Args:
        name: Registered name; the function's own by default.
        reads: Which of logp and mask it reads.
        aggregation: Default of the option; None: it averages in a way of its own.
        clips: Whether it has a clip test.
        fixed: Aggregation of a KL penalty, where it is no option.
        **facts: As in `lab.registry.register`.
    """
    shared: dict[str, Any] = {f: inspect.Parameter.empty if f == "logp" else None for f in reads}
    averages = {} if aggregation is None else {"aggregation": aggregation, "max_length": None, "floor": 0.0}

    def decorate(rule: Callable[..., Formula]) -> Callable[..., Array]:
        own = list(inspect.signature(rule).parameters.values())[1:]
        names = frozenset(p.name for p in own)
        known = {*names, *shared, *averages}

        def made(logp_new: Array, advantage: Array, given: dict[str, Any]) -> Formula:
            share = tuple(given.get(k, v) for k, v in averages.items()) or (fixed or "token-mean",)
            t = Terms(logp_new, advantage, given.get("logp"), given.get("mask"), share)
            return rule(t, **{k: v for k, v in given.items() if k in names})

        @wraps(rule)
        def weights(logp_new: Array, advantage: Array, **given: Any) -> Array:
            if not known >= given.keys():
                raise UnknownNameError(f"option of {rule.__name__},", min(given.keys() - known), known)
            return made(logp_new, advantage, given).weights()

        def asked(part: str, logp_new: Array, advantage: Array, options: SimpleNamespace) -> Array:
            result: Array = getattr(made(logp_new, advantage, vars(options)), part)()
            return result

        weights.__signature__ = _signature(own, shared, averages)  # type: ignore[attr-defined]
        weights.__doc__ = _documented(rule.__doc__ or "", ("logp_new", "advantage", *shared), tuple(averages))
        extras: dict[str, Any] = {part: partial(asked, part) for part in ("loss", *(["clipped"] if clips else []))}
        extras |= {} if fixed is None else {"aggregation": fixed}
        register("objective", name or rule.__name__, **extras, **facts)(weights)
        return weights

    return decorate


def _signature(own: list[inspect.Parameter], fields: dict[str, Any], averages: dict[str, Any]) -> inspect.Signature:
    """(logp_new, advantage, *, required fields, other fields, own parameters, averages)."""
    first = [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in ("logp_new", "advantage")]
    keyword = [inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=v) for n, v in fields.items()]
    last = [inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=v) for n, v in averages.items()]
    return inspect.Signature([*first, *keyword, *own, *last])


def _documented(text: str, before: tuple[str, ...], after: tuple[str, ...]) -> str:
    """The docstring with the shared arguments around its own, which stand behind the line of `t`."""
    head, found, rest = inspect.cleandoc(text).partition("    t: Terms of the batch.\n")
    if not found:
        return head
    own, _, tail = ("", "", rest[1:]) if rest.startswith("\n") else rest.partition("\n\n")
    told = [
        *(f"    {n}: {_SHARED[n]}" for n in before),
        *([own] if own else []),
        *(f"    {n}: {_SHARED[n]}" for n in after),
    ]
    return "\n".join([head.rstrip("\n"), *told, "", tail])
