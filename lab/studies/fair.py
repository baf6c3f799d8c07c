"""Each variant at its own best learning rate, chosen on some runs and judged on others.

At one learning rate for all, a variant whose gradient is longer takes longer steps, and may lead for that alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lab.errors import InputError, UnknownNameError, check_whole
from lab.measures.interval import mean_interval
from lab.methods import Variant
from lab.training.jobs import seeds_of
from lab.training.train import train, variants_of
from simulators.records import World

__all__ = ["LRS", "TUNING", "Comparison", "Learner", "compare", "compare_learners", "tune"]

Array = NDArray[Any]

#: Learning rates that are tried first; where the best lies at an end, the next ones beyond it are tried too.
LRS = (0.25, 0.5, 1.0, 2.0, 4.0)
#: Seeds of the runs on which learning rates are chosen; nothing is judged on them.
TUNING = tuple(range(2_000_000, 2_000_008))
#: (learning rate, seeds of runs) -> what is judged at the end of each [n].
Learner = Callable[[float, Sequence[int]], Array]
_FURTHER = 4  # steps beyond an end
_MUCH = 1.5  # ratio of first steps from which on a comparison at one learning rate says so


def tune(
    world: World,
    variant: str | Variant,
    *,
    lrs: Sequence[float] = LRS,
    seeds: int | Sequence[int] = TUNING,
    steps: int = 100,
    metric: str = "value",
    **settings: Any,
) -> pl.DataFrame:
    """Final value of a variant over the learning rate.

    >>> import lab
    >>> lab.tune(lab.world("bandit"), "grpo", steps=20).filter(pl.col("best"))["variant"].item()
    'grpo'

    Args:
        world: The world.
        variant: Name, or a `Variant`.
        lrs: Learning rates to try, increasing; while the best is an end of them, the next one beyond is tried too.
        seeds: Runs to choose on.
        steps: Steps of each run.
        metric: What is judged at the last step; more is better.
        **settings: As in `lab.train`.

    Returns:
        A row per learning rate: variant, lr, mean over the runs, low and high (95%), and best, true in one row.

    Raises:
        InputError: No learning rate, or they do not increase; and as `lab.train`.
    """
    tried = [float(lr) for lr in lrs]
    if not tried or any(b <= a for a, b in itertools.pairwise(tried)) or tried[0] <= 0:
        raise InputError(f"lrs={list(lrs)!r}; they must be numbers above 0 that increase, such as {list(LRS)}")
    label = variants_of(variant)[0].name
    return _curve(label, _searched(lambda lr: _final(world, variant, lr, seeds, steps, metric, settings)[0], tried))


def _searched(final: Callable[[float], Array], tried: Sequence[float]) -> dict[float, Array]:
    """Final values by learning rate: those tried, and while the best is an end of them, the next one beyond."""
    found: dict[float, Array] = {}

    def ends() -> list[float]:
        """The learning rates to try next: beyond the end at which the best one lies."""
        best, least, most = max(found, key=lambda lr: float(found[lr].mean())), min(found), max(found)
        return [most * 2] if best == most else [least / 2] if best == least else []

    wanted = list(tried)
    for _ in range(_FURTHER + 1):
        for lr in wanted:
            found[lr] = final(lr)
        wanted = ends()
        if not wanted or len(tried) == 1:
            break
    return found


def _curve(label: str, found: Mapping[float, Array]) -> pl.DataFrame:
    """Final value over the learning rate, the best one marked."""
    rows = [(label, lr, *mean_interval(values)) for lr, values in sorted(found.items())]
    frame = pl.DataFrame(rows, schema=["variant", "lr", "mean", "low", "high"], orient="row")
    return frame.with_columns(best=pl.int_range(pl.len()) == pl.col("mean").arg_max())


@dataclass(frozen=True)
class Comparison:
    """Variants compared at the end of their runs.

    Attributes:
        metric: What was judged.
        lr: Learning rate of each variant.
        values: The metric at the last step of each run [n] of each variant; the n-th runs share their draws.
        first_steps: Length of each variant's first step, its mean over runs.
        curve: Final value over the learning rate (`tune`) of all variants; None where all had one learning rate.
    """

    metric: str
    lr: Mapping[str, float]
    values: Mapping[str, Array]
    first_steps: Mapping[str, float]
    curve: pl.DataFrame | None = None

    @property
    def fair(self) -> bool:
        """Whether each variant had its own best learning rate."""
        return self.curve is not None

    def beside(self, other: Comparison) -> Comparison:
        """Both as one: of the same runs and metric, where variants need settings of their own (reward weights, say).

        Raises:
            InputError: They measured different things, or only one of them is fair.
        """
        if (self.metric, self.fair) != (other.metric, other.fair):
            raise InputError(
                f"{other.metric!r} cannot stand beside {self.metric!r}: compare both fairly, by one metric"
            )
        curve = None if self.curve is None or other.curve is None else pl.concat([self.curve, other.curve])
        values, lengths = {**self.values, **other.values}, {**self.first_steps, **other.first_steps}
        return Comparison(self.metric, {**self.lr, **other.lr}, values, lengths, curve)

    def lead(self, ours: str, *others: str) -> tuple[float, tuple[float, float]]:
        """How far one variant ends above another, run by run: mean and 95% interval; of several the least.

        Raises:
            UnknownNameError: That variant was not compared.
        """
        for name in (ours, *others):
            if name not in self.values:
                raise UnknownNameError("variant", name, self.values)
        leads = [mean_interval(self.values[ours] - self.values[other]) for other in others]
        mean, low, high = min(leads)
        return mean, (low, high)

    @cached_property
    def frame(self) -> pl.DataFrame:
        """A row per variant: variant, lr, mean, low, high, and its lead over the first: lead, lead_low, lead_high."""
        first, rows = next(iter(self.values)), []
        for name, values in self.values.items():
            ahead = (None, None, None) if name == first else mean_interval(values - self.values[first])
            rows.append((name, self.lr[name], *mean_interval(values), *ahead))
        names = ["variant", "lr", "mean", "low", "high", "lead", "lead_low", "lead_high"]
        return pl.DataFrame(rows, schema={n: pl.Float64 if n != "variant" else pl.String for n in names}, orient="row")

    @property
    def sentence(self) -> str:
        """Who ends ahead of the first, and whether the comparison is fair."""
        first, *others = self.frame.iter_rows(named=True)
        parts = [f"{first['variant']} ends at {first['mean']:.3f}", *map(_beside, others)]
        return f"{'; '.join(parts)}. {self._fairness()}"

    def _fairness(self) -> str:
        if self.curve is not None:
            at_end = [name for name in self.lr if self._at_end(name)]
            ends = f"; that of {', '.join(at_end)} is an end of those tried" if at_end else ""
            return f"Each at its own best learning rate, chosen on other runs{ends}."
        steps = {name: length for name, length in self.first_steps.items() if length > 0}
        if not steps or max(steps.values()) < _MUCH * min(steps.values()):
            return "All at one learning rate."
        longest, shortest = max(steps, key=steps.__getitem__), min(steps, key=steps.__getitem__)
        return (
            f"Not fair: at one learning rate {longest}'s first step is {steps[longest] / steps[shortest]:.1f} times as "
            f"long as {shortest}'s; fair=True gives each its own best."
        )

    def _at_end(self, name: str) -> bool:
        assert self.curve is not None
        tried = self.curve.filter(variant=name)["lr"]
        return tried.len() > 1 and self.lr[name] in (tried.min(), tried.max())


def compare(
    world: World,
    variants: Iterable[str | Variant],
    *,
    fair: bool = False,
    lr: float = 1.0,
    lrs: Sequence[float] = LRS,
    tuning: int | Sequence[int] = TUNING,
    seeds: int | Sequence[int] = 16,
    steps: int = 100,
    metric: str = "value",
    progress: Callable[[int, int], None] | None = None,
    **settings: Any,
) -> Comparison:
    """Compare variants by where they end, on the same draws.

    Args:
        world: The world.
        variants: Names or variants; leads are over the first one.
        fair: Give each its own best learning rate, chosen on other runs.
        lr: Learning rate of all, where it is not fair.
        lrs: See `tune`.
        tuning: Runs on which learning rates are chosen.
        seeds: Runs to judge on.
        steps: Steps of each run.
        metric: What is judged at the last step; more is better.
        progress: Called with (variants done, variants in all).
        **settings: As in `lab.train`.

    Returns:
        Learning rates, final values run by run, leads with paired intervals, and the curve over the learning rate.

    Raises:
        InputError: A run is both chosen on and judged on; and as `lab.train`.
    """
    chosen = variants_of(variants)
    check_whole("steps", steps, 1)
    both = set(seeds_of(seeds).tolist()) & set(seeds_of(tuning).tolist()) if fair else set()
    if both:
        raise InputError(f"seed {min(both)} is among those to choose on and those to judge on; they must be different")
    rates, values, first, curves = {}, {}, {}, []
    for done, v in enumerate(chosen):
        if progress is not None:
            progress(done, len(chosen))
        rates[v.name] = lr
        if fair:
            curves.append(tune(world, v, lrs=lrs, seeds=tuning, steps=steps, metric=metric, **settings))
            rates[v.name] = curves[-1].filter(pl.col("best"))["lr"].item()
        values[v.name], first[v.name] = _final(world, v, rates[v.name], seeds, steps, metric, settings)
    if progress is not None:
        progress(len(chosen), len(chosen))
    return Comparison(metric, rates, values, first, pl.concat(curves) if fair else None)


def compare_learners(
    learners: Mapping[str, Learner], *, lrs: Sequence[float] = LRS, tuning: Sequence[int] = TUNING,
    seeds: Sequence[int] = tuple(range(16)), metric: str = "value",
) -> Comparison:  # fmt: skip
    """As `compare` with `fair`, for whatever learns: what `lab.train` does not train, or with a world for each run.

    Args:
        learners: Name -> function of a learning rate and the seeds of runs, which returns the metric at their end.
        lrs: See `tune`.
        tuning: Runs on which learning rates are chosen.
        seeds: Runs to judge on; the same seed is the same draws for every learner.
        metric: What is judged, in words.
    """
    rates, values, curves = {}, {}, []
    for name, learn in learners.items():
        curves.append(_curve(name, _searched(lambda lr, learn=learn: learn(lr, tuning), lrs)))  # type: ignore[misc]
        rates[name] = curves[-1].filter(pl.col("best"))["lr"].item()
        values[name] = learn(rates[name], seeds)
    return Comparison(metric, rates, values, {}, pl.concat(curves))


def _final(
    world: World, v: str | Variant, lr: float, seeds: Any, steps: int, metric: str, settings: Mapping[str, Any]
) -> tuple[Array, float]:
    """The metric of each run at its last step [n], and the mean length of the first step."""
    every = {"measure": [metric, "grad_norm"], "every": max(steps - 1, 1)}
    trace = train(world, v, lr=lr, seeds=seeds, steps=steps, **{**every, **settings})
    frame = trace.frame.sort("seed")
    first = frame.filter(step=0)["grad_norm"].mean()
    limit = trace.variants[0].max_grad_norm
    length = 0.0 if first is None else min(float(first), limit or np.inf)  # type: ignore[arg-type]
    return frame.filter(step=steps - 1)[metric].to_numpy(), lr * length


def _beside(row: Mapping[str, Any]) -> str:
    """Where a variant ends beside the first."""
    if row["lead_low"] <= 0 <= row["lead_high"]:
        return f"{row['variant']} is not told apart"
    way, lead = ("above", row["lead"]) if row["lead"] > 0 else ("below", -row["lead"])
    ends = sorted((abs(row["lead_low"]), abs(row["lead_high"])))
    return f"{row['variant']} ends {lead:.3f} ({ends[0]:.3f} to {ends[1]:.3f}) {way}"
