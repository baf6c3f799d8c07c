"""One suite of checks for every rule: declared properties are proved on many inputs, the others refuted by example."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lab.advantages.credit import Credit
from lab.advantages.door import WrongShapeError, added, call
from lab.advantages.statistics import NO_SIGNAL, Array
from lab.errors import LabError
from lab.registry import FIELDS, PROPERTIES, Rule, Shape, find

__all__ = ["Checked", "PropertyReport", "Seen", "check", "note_on_one", "standard_inputs"]

_TOLERANCE = 1e-8


class Seen(NamedTuple):
    """One group of a counterexample, before and after what should have changed nothing (or too much).

    Attributes:
        rewards: [G, K].
        advantages: [G].
        change: What was done to the rewards of the batch, in words; "" where nothing was.
        changed: Rewards of the same group afterwards [G, K]; None where nothing was done.
        after: Its advantages then [G].
    """

    rewards: Array
    advantages: Array
    change: str = ""
    changed: Array | None = None
    after: Array | None = None

    def added(self) -> Seen:
        """The same with the components of the rewards added, as a rule of one reward sees them."""
        changed = None if self.changed is None else added(self.changed)[:, None]
        return self._replace(rewards=added(self.rewards)[:, None], changed=changed)

    def __str__(self) -> str:
        said = f"rewards {_shown(self.rewards)} get {_shown(self.advantages)}"
        if self.changed is None or self.after is None:
            return said
        return f"{said}; {self.change}: {_shown(self.changed)} get {_shown(self.after)}"


def _shown(values: Array) -> str:
    column = values[..., 0] if values.ndim > 1 and values.shape[-1] == 1 else values
    return " ".join(
        np.array2string(column, separator=", ", max_line_width=10_000, formatter={"all": lambda x: f"{x:.4g}"}).split()
    )


@dataclass(frozen=True)
class PropertyReport:
    """Result for one property of one rule.

    Attributes:
        name: A key of `lab.registry.PROPERTIES`.
        declared: Whether the rule declares it.
        holds: Whether every input agreed with it.
        counterexample: The first input that did not, in words; "" where it holds.
        tried: How many inputs were tried, the counterexample included.
        seen: The counterexample in numbers; None where it holds, or where the rule refused the input.
    """

    name: str
    declared: bool
    holds: bool
    counterexample: str = ""
    tried: int = 0
    seen: Seen | None = None

    @property
    def agrees(self) -> bool:
        """Declared properties hold, and properties not declared have a counterexample."""
        return self.declared == self.holds

    @property
    def advice(self) -> str:
        """What to do where the declaration and the finding differ; "" where they agree."""
        if self.agrees:
            return ""
        if self.declared:
            return f"declared {self.name}, but there is a counterexample: mend the rule, or leave {self.name!r} out"
        bound = " and bound=lambda shape: its largest |advantage|" if self.name == "bounded" else ""
        return f"found {self.name}: declare properties=({self.name!r}, ...){bound}"


class Checked(list[PropertyReport]):
    """The reports of one rule, one per property; shown as a table, with the numbers of each counterexample."""

    def __init__(self, rule: str, reports: Iterable[PropertyReport]) -> None:
        super().__init__(reports)
        self.rule = rule

    def __repr__(self) -> str:
        wide = max(len(r.name) for r in self)
        lines = [f"rule {self.rule!r}", f"{'property':{wide}}  declared  holds  tried"]
        for r in self:
            declared, holds = ("yes" if x else "no" for x in (r.declared, r.holds))
            lines.append(f"{r.name:{wide}}  {declared:8}  {holds:5}  {r.tried:5}  {r.counterexample}".rstrip())
            lines += [f"{'':{wide}}  {said}" for said in (str(r.seen) if r.seen else "", r.advice) if said]
        return "\n".join(lines)


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
    yield "one outlier of forty", np.eye(1, 40)[..., None]
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
    return per_first_token(result.advantage, rewards)


def _differ(a: Array, b: Array) -> bool:
    """Whether a and b differ by more than rounding; equal infinities (a floor of 0 makes them) do not."""
    largest = np.abs(a[np.isfinite(a)]).max(initial=0.0)
    return bool((np.abs(a - b)[a != b] > _TOLERANCE * (1 + largest)).any())


def _compared(rule: Rule, r: Array, changed: Array, change: str) -> Seen | None:
    """The group whose advantages differ most once the batch is changed; None if none does."""
    a, b = _run(rule, r), _run(rule, changed)
    if not _differ(a, b):
        return None
    p = int(np.nanargmax(np.where(a == b, 0.0, np.abs(a - b)).max(axis=-1)))
    return Seen(r[p], a[p], change, changed[p], b[p])


def _shift(rule: Rule, r: Array) -> Seen | None:
    if _unit(rule):
        return _compared(rule, r, r * 0.5 + 0.25, "halved, 0.25 added")
    return _compared(rule, r, r + 3.5, "3.5 added")


def _scale(rule: Rule, r: Array) -> Seen | None:
    factor = 0.5 if _unit(rule) else 40.0
    return _compared(rule, r, r * factor, f"times {factor:g}")


def _unit(rule: Rule) -> bool:
    """Rules of rewards within [low, high] are moved inside the unit interval only."""
    return "low" in rule.options and "high" in rule.options


def _permutation(rule: Rule, r: Array) -> Seen | None:
    order = np.random.default_rng(1).permutation(r.shape[1])
    given, changed = _given(rule, r), np.ascontiguousarray(r[:, order])
    a, moved = _run(rule, r, given), _run(rule, changed, _reordered(given, order))
    if not _differ(a[:, order], moved):
        return None
    p = int(np.nanargmax(np.abs(a[:, order] - moved).max(axis=-1)))
    return Seen(r[p], a[p], "in another order", changed[p], moved[p])


def _zero_sum(rule: Rule, r: Array) -> Seen | None:
    a = _run(rule, r)
    away = np.abs(a.sum(-1))
    p = int(away.argmax())
    return Seen(r[p], a[p]) if away[p] > _TOLERANCE * (1 + np.abs(a).max()) else None


def _bounded(rule: Rule, r: Array) -> Seen | None:
    tokens = _TOKENS if set(rule.fields) - {"greedy_rewards", "task"} else 1
    prompts, size, components = r.shape
    limit = rule.bound(Shape(prompts, size, components, tokens)) if rule.bound else 100.0 * size
    for spread in (1.0,) if _unit(rule) else (1e-3, 1.0, 1e3):
        a = np.abs(_run(rule, r * spread))
        if a.max() > limit * (1 + _TOLERANCE):
            p = int(a.max(axis=-1).argmax())
            return Seen(r[p] * spread, _run(rule, r * spread)[p])
    return None


def _silent(rule: Rule, r: Array) -> Seen | None:
    equal = np.flatnonzero((r == r[:, :1]).all(axis=(1, 2)))
    if not equal.size:
        return None
    a = _run(rule, r)
    p = int(equal[np.abs(a[equal]).max(axis=-1).argmax()])
    return Seen(r[p], a[p]) if np.abs(a[p]).max() > NO_SIGNAL else None


def _groupwise(rule: Rule, r: Array) -> Seen | None:
    if r.shape[0] == 1:
        return None
    changed = r.copy()
    changed[1:, 0] = 1 - changed[1:, 0] ** 2
    given = _given(rule, r)
    other = dict(given)
    if "turn_rewards" in given:
        other["turn_rewards"] = given["turn_rewards"] * (1 + np.arange(len(r)))[:, None, None]
    a, b = _run(rule, r, given)[0], _run(rule, changed, other)[0]
    return Seen(r[0], a, "other groups changed", changed[0], b) if _differ(a, b) else None


_TESTS: dict[str, Callable[[Rule, Array], Seen | None]] = {
    "shift": _shift, "scale": _scale, "permutation": _permutation, "zero_sum": _zero_sum,
    "bounded": _bounded, "silent": _silent, "groupwise": _groupwise,
}  # fmt: skip


def check(name: str | Rule) -> Checked:
    """Try every property of `PROPERTIES` on the rule: proofs for the declared ones, counterexamples for the others.

    Numerical floors (eps) count as 0 here.

    Args:
        name: A registered advantage rule, one's own included, or its record.

    Returns:
        One report per property, shown as a table; `report.agrees` is False where the declaration and the finding
        differ, and `report.advice` says what to do.

    Raises:
        InputError: The rule does not give one advantage per rollout, or per token.
    """
    rule = name if isinstance(name, Rule) else find("advantage", name)
    return Checked(rule.name, (_report(rule, prop) for prop in PROPERTIES))


def _report(rule: Rule, prop: str) -> PropertyReport:
    declared, tried = prop in rule.properties, 0
    for tried, (label, rewards) in enumerate(_inputs(prop), start=1):
        try:
            with np.errstate(divide="ignore", invalid="ignore"):
                seen = _TESTS[prop](rule, rewards)
        except WrongShapeError:
            raise
        except LabError as reason:
            return PropertyReport(prop, declared, False, f"{label}: {reason}", tried)
        if seen is not None:
            return PropertyReport(prop, declared, False, label, tried, seen if rule.components else seen.added())
    return PropertyReport(prop, declared, True, tried=tried)


def note_on_one(name: str | Rule, options: Mapping[str, Any] | None = None) -> str:
    """What a rule makes of groups of one, where that is hardly what was meant: nothing, or the bare rewards; else "".

    Args:
        name: A registered advantage rule, or its record.
        options: Its options.
    """
    rule, rewards = name if isinstance(name, Rule) else find("advantage", name), np.array([0.25, 1.0, 0.5, 2.0])

    def given(size: int) -> Array:
        batch = rewards.reshape(-1, size, 1)
        fields = {**_given(rule, batch), **(options or {})}
        return per_first_token(call(rule, batch, **fields).advantage, batch).ravel()

    try:
        with np.errstate(divide="ignore", invalid="ignore"):
            one, four = given(1), given(4)
    except LabError:  # it says so itself
        return ""
    bare = np.allclose(one, rewards, rtol=1e-3) and not np.allclose(four, rewards, rtol=1e-3)
    made = "all zero" if not one.any() else "the rewards themselves" if bare else ""
    return f"a group of 1 has no baseline: {rule.name}'s advantages are {made}" if made else ""


def per_first_token(advantage: Array, rewards: Array) -> Array:
    """Advantages [P, G]; of those per token the first."""
    return advantage if advantage.ndim == rewards.ndim - 1 else advantage[..., 0]


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
