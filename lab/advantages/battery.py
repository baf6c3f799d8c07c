"""One suite of checks for every rule: declared properties are proved on many inputs, the others refuted by example."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lab.advantages.credit import Credit
from lab.advantages.door import call
from lab.advantages.statistics import NO_SIGNAL, Array
from lab.errors import LabError
from lab.registry import FIELDS, PROPERTIES, Rule, Shape, find

__all__ = ["PropertyReport", "check", "standard_inputs"]

_TOLERANCE = 1e-8


@dataclass(frozen=True)
class PropertyReport:
    """Result for one property of one rule.

    Attributes:
        name: A key of `lab.registry.PROPERTIES`.
        declared: Whether the rule declares it.
        holds: Whether every input agreed with it.
        counterexample: The first input that did not, in words; "" where it holds.
    """

    name: str
    declared: bool
    holds: bool
    counterexample: str = ""

    @property
    def agrees(self) -> bool:
        """Declared properties hold, and properties not declared have a counterexample."""
        return self.declared == self.holds


def standard_inputs(seed: int = 0) -> Iterator[tuple[str, Array]]:
    """Named batches of rewards [P, G, K] within [0, 1] on which every rule is tried."""
    rng = np.random.default_rng(seed)
    for size in (2, 3, 5, 8):
        yield f"uniform rewards, G={size}", rng.random((4, size, 2)).round(3)
        yield f"binary rewards, G={size}", rng.integers(0, 2, (5, size, 2)).astype(float)
    yield "all equal", np.full((3, 4, 2), 0.3)
    yield "all equal, different per prompt", np.repeat([[[0.0]], [[0.5]], [[1.0]]], 4, axis=1)
    yield "all equal but one", np.array([[1, 0, 0, 0, 0], [0, 1, 1, 1, 1]], float)[..., None]
    yield "ties", np.array([[0, 0.5, 0.5, 1], [0.5, 0.5, 1, 1]], float)[..., None]
    yield "one outlier", np.array([[0.01, 0.012, 0.011, 0.013, 1.0]])[..., None]
    yield "one group apart", np.array([[0, 0.001, 0], [1, 0.2, 0.7], [0.4, 0.4, 0.4]])[..., None]
    yield "a reward beside its mean", np.array([[0, 0.5, 0.52, 1], [0, 1, 1, 0], [1, 1, 0, 1]], float)[..., None]
    yield "one prompt, one spread", np.array([[0.2, 0.4, 0.9, 0.1]])[..., None]


_TOKENS = 5


def _given(rule: Rule, rewards: Array) -> dict[str, Any]:
    """The fields that a rule reads, made up for a batch; beyond mask, task and greedy rewards the required ones."""
    prompts, size = rewards.shape[:2]
    p, g, t = np.indices((prompts, size, _TOKENS))
    wave = np.sin(np.arange(prompts * size * _TOKENS * 3.0)).reshape(prompts, size, _TOKENS, 3)
    fields = {
        "mask": t < 1 + (p * size + g) * 7 % _TOKENS, "greedy_rewards": np.full(prompts, 0.25),
        "task": np.arange(prompts) % 2, "agent": (g + t) % 3, "actions": (p + g + t * (t + g)) % 2, "turn": t // 2,
        "turn_rewards": (7 * p + 3 * g + t // 2 * 2) % 5 / 4, "token_rewards": wave[..., 0], "hidden": wave,
        "prediction_error": wave[..., ::-1] - wave.mean(-1, keepdims=True),
        "pair_scores": (wave[..., 0].sum(-1)[:, :, None] > wave[..., 0].sum(-1)[:, None]) * 2.0 - 1.0,
    }  # fmt: skip
    wanted = [f for f in rule.fields if f in ("mask", "greedy_rewards", "task", *rule.required)]
    return {name: fields[name] if name in fields else _waves(name, prompts, size) for name in wanted}


def _waves(name: str, prompts: int, size: int) -> Array:
    """Numbers within [-1, 1] with the axes of a field, the first of them P."""
    sizes = {"P": prompts, "G": size, "T": _TOKENS}
    shape = [sizes.get(axis, 3) for axis in FIELDS[name].axes.removeprefix("S")]
    return np.asarray(np.sin(np.arange(1.0, 1 + np.prod(shape))).reshape(shape))


def _reordered(given: dict[str, Any], order: Array) -> dict[str, Any]:
    """The same fields with the rollouts of every group in another order."""
    moved = dict(given)
    for name, value in given.items():
        for axis in (i for i, a in enumerate(FIELDS[name].axes.removeprefix("S")) if a == "G"):
            moved[name] = np.take(moved[name], order, axis) if value.ndim > axis else moved[name]
    return moved


def _run(rule: Rule, rewards: Array, given: dict[str, Any] | None = None) -> Array:
    """Advantages [P, G] (of the first token where there are several) with every numerical floor set to 0."""
    floors = {k: 0.0 for k in rule.options if k == "eps" or k.endswith("_eps")}
    result: Credit = call(rule, rewards, **{**floors, **(_given(rule, rewards) if given is None else given)})
    advantage = result.advantage
    return advantage if advantage.ndim == rewards.ndim - 1 else advantage[..., 0]


def _differ(a: Array, b: Array) -> bool:
    """Whether a and b differ by more than rounding; equal infinities (a floor of 0 makes them) do not."""
    largest = np.abs(a[np.isfinite(a)]).max(initial=0.0)
    return bool((np.abs(a - b)[a != b] > _TOLERANCE * (1 + largest)).any())


def _shift(rule: Rule, r: Array) -> bool:
    return (
        _differ(_run(rule, r), _run(rule, r * 0.5 + 0.25))
        if _unit(rule)
        else _differ(_run(rule, r), _run(rule, r + 3.5))
    )


def _scale(rule: Rule, r: Array) -> bool:
    factor = 0.5 if _unit(rule) else 40.0
    return _differ(_run(rule, r), _run(rule, r * factor))


def _unit(rule: Rule) -> bool:
    """Rules of rewards within [low, high] are moved inside the unit interval only."""
    return "low" in rule.options and "high" in rule.options


def _permutation(rule: Rule, r: Array) -> bool:
    order = np.random.default_rng(1).permutation(r.shape[1])
    given = _given(rule, r)
    moved = _run(rule, np.ascontiguousarray(r[:, order]), _reordered(given, order))
    return _differ(_run(rule, r, given)[:, order], moved)


def _zero_sum(rule: Rule, r: Array) -> bool:
    a = _run(rule, r)
    return bool(np.abs(a.sum(-1)).max() > _TOLERANCE * (1 + np.abs(a).max()))


def _bounded(rule: Rule, r: Array) -> bool:
    tokens = _TOKENS if set(rule.fields) - {"greedy_rewards", "task"} else 1
    prompts, size, components = r.shape
    limit = rule.bound(Shape(prompts, size, components, tokens)) if rule.bound else 100.0 * size
    spread = np.array([1e-3, 1.0, 1e3]) if not _unit(rule) else np.array([1.0])
    return any(np.abs(_run(rule, r * s)).max() > limit * (1 + _TOLERANCE) for s in spread)


def _silent(rule: Rule, r: Array) -> bool:
    equal = (r == r[:, :1]).all(axis=(1, 2))
    return bool(equal.any() and np.abs(_run(rule, r)[equal]).max() > NO_SIGNAL)


def _groupwise(rule: Rule, r: Array) -> bool:
    if r.shape[0] == 1:
        return False
    changed = r.copy()
    changed[1:, 0] = 1 - changed[1:, 0] ** 2
    given = _given(rule, r)
    other = dict(given)
    if "turn_rewards" in given:
        other["turn_rewards"] = given["turn_rewards"] * (1 + np.arange(len(r)))[:, None, None]
    return _differ(_run(rule, r, given)[0], _run(rule, changed, other)[0])


_TESTS: dict[str, Callable[[Rule, Array], bool]] = {
    "shift": _shift, "scale": _scale, "permutation": _permutation, "zero_sum": _zero_sum,
    "bounded": _bounded, "silent": _silent, "groupwise": _groupwise,
}  # fmt: skip


def check(name: str | Rule) -> list[PropertyReport]:
    """Try every property of `PROPERTIES` on the rule: proofs for the declared ones, counterexamples for the others.

    Args:
        name: A registered advantage rule, one's own included, or its record.

    Returns:
        One report per property; `report.agrees` is False where the declaration and the finding differ.
    """
    rule = name if isinstance(name, Rule) else find("advantage", name)
    return [_report(rule, prop) for prop in PROPERTIES]


def _report(rule: Rule, prop: str) -> PropertyReport:
    for label, rewards in _inputs(prop):
        try:
            with np.errstate(divide="ignore", invalid="ignore"):
                broken = _TESTS[prop](rule, rewards)
        except LabError as reason:
            return PropertyReport(prop, prop in rule.properties, False, f"{label}: {reason}")
        if broken:
            return PropertyReport(prop, prop in rule.properties, False, label)
    return PropertyReport(prop, prop in rule.properties, True)


def _inputs(prop: str) -> Iterator[tuple[str, Array]]:
    yield from standard_inputs()
    if prop == "bounded":
        yield "one prompt far from nine", np.array([[1e-4, 0, 0]] * 9 + [[1.01, 0.99, 1]])[..., None]
        for size in (3, 5):
            yield (
                f"an outlier of 1e9, G={size}",
                np.array([[0.0] * (size - 1) + [1e9]] * 2)[..., None],
            )
            yield (
                f"four close rewards and an outlier, G={size}",
                np.array([[*np.linspace(0.5, 0.500001, size - 1), 1.0]] * 2)[..., None],
            )
